"""Numbers with intervals, paired tests, proper scores and selective answering, per question and by family."""

from studies.stats.calibration import Reliability, reliability
from studies.stats.comparison import Comparison, compare, holm, right_answers
from studies.stats.components import Components, half_width, variance_components
from studies.stats.estimate import Estimate, accuracy_estimate, mean_estimate
from studies.stats.overlap import AloneAgainstAll, Overlap, alone, either_credit, overlap
from studies.stats.pareto import on_front
from studies.stats.proper import brier, log_loss
from studies.stats.seeds import SeedVariation, seed_variation
from studies.stats.selective import (
    RiskCoverage,
    augrc,
    aurc,
    coverage_at_risk,
    reachable_points,
    risk_coverage,
)
from studies.stats.shuffling import donor_rows

__all__ = [
    "AloneAgainstAll",
    "Comparison",
    "Components",
    "Estimate",
    "Overlap",
    "Reliability",
    "RiskCoverage",
    "SeedVariation",
    "accuracy_estimate",
    "alone",
    "augrc",
    "aurc",
    "brier",
    "compare",
    "coverage_at_risk",
    "donor_rows",
    "either_credit",
    "half_width",
    "holm",
    "log_loss",
    "mean_estimate",
    "on_front",
    "overlap",
    "reachable_points",
    "reliability",
    "right_answers",
    "risk_coverage",
    "seed_variation",
    "variance_components",
]
