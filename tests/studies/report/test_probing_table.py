"""The tables of a probing run in the terminal."""

from studies.report.probing_table import NO_FAMILIES, probing_tables
from tests.studies.report.made_probing import build_probing_summary


def test_a_table_warns_where_no_family_was_named() -> None:
    summary = build_probing_summary(n_targets=1)
    ((_, foot),) = probing_tables(summary)
    assert "n = " in foot
    assert NO_FAMILIES not in foot
    summary["data"]["has_families"] = False
    assert probing_tables(summary)[0][1] == foot + NO_FAMILIES
