"""From a finished run to pages people read."""

from studies.report.compare_page import terminal_rows, write_comparison
from studies.report.html import render_html, write_report, write_texts
from studies.report.optuna_page import studies_of, write_optuna_report

__all__ = [
    "render_html",
    "studies_of",
    "terminal_rows",
    "write_comparison",
    "write_optuna_report",
    "write_report",
    "write_texts",
]
