"""Scores of a model: accuracy per ScienceQA column, LLaVA-Bench."""
