"""From a finished run to pages people read."""

from studies.report.html import render_html, write_report, write_texts
from studies.report.optuna_page import studies_of, write_optuna_report

__all__ = ["render_html", "studies_of", "write_optuna_report", "write_report", "write_texts"]
