"""Heads of the Markdown tables: what a column of the CSV files is called where people read it."""

from collections.abc import Mapping

from studies.report.format import sentence_case

HEADS: Mapping[str, str] = {
    "a": "Method",
    "b": "Against",
    "a_only": "Only the first",
    "b_only": "Only the second",
    "either": "Either, an oracle",
    "x": "M counts",
    "n": "Questions",
    "n_questions": "Questions",
    "n_rows": "Option rows",
    "n_families": "Families",
    "n_with_image": "With image",
    "n_features": "Features",
    "n_trials": "Trials",
    "log_loss": "Log-loss",
    "brier": "Brier score",
    "aurc": "AURC",
    "augrc": "AUGRC",
    "coverage_at_risk_0.01": "Coverage at 1 % risk",
    "coverage_at_risk_0.02": "Coverage at 2 % risk",
    "coverage_at_risk_0.05": "Coverage at 5 % risk",
    "fit_s": "Fit",
    "predict_s": "Predict",
    "size_bytes": "Size",
    "mcnemar_p": "McNemar's p",
    "p_holm": "Holm's p",
    "log_loss_gained": "Log-loss gained",
    "inner_log_loss": "Inner log-loss",
    "outer_log_loss": "Outer log-loss",
    "default_inner_log_loss": "Inner log-loss of the defaults",
    "seconds": "Time",
}


def head(column: str) -> str:
    """Return the head of a column; one without a name of its own is written as words."""
    return HEADS.get(column, sentence_case(column))
