"""Estimates with intervals, paired comparisons, selective-prediction figures."""
