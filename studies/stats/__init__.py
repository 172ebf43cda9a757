"""Numbers with intervals, paired tests, proper scores and selective answering, per question and by family."""

from studies.stats.comparison import Comparison, compare, holm
from studies.stats.components import Components, variance_components
from studies.stats.estimate import Estimate, accuracy_estimate, mean_estimate
from studies.stats.proper import brier, log_loss
from studies.stats.selective import RiskCoverage, augrc, aurc, coverage_at_risk, risk_coverage

__all__ = [
    "Comparison",
    "Components",
    "Estimate",
    "RiskCoverage",
    "accuracy_estimate",
    "augrc",
    "aurc",
    "brier",
    "compare",
    "coverage_at_risk",
    "holm",
    "log_loss",
    "mean_estimate",
    "risk_coverage",
    "variance_components",
]
