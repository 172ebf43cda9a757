"""From a finished run to pages people read."""

from studies.report.html import render_html, write_report

__all__ = ["render_html", "write_report"]
