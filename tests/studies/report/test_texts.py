import copy
import csv
import itertools
import json
import re

import pytest

from studies.report import write_texts
from studies.report.heads import HEADS
from studies.report.markdown import render_markdown
from studies.report.tables import TABLES, flat_tables


def test_every_table_holds_every_row_unrounded(summary, tmp_path):
    write_texts(summary, tmp_path)
    files = {path.stem: path for path in (tmp_path / "tables").glob("*.csv")}
    assert set(files) == set(TABLES)
    read = {
        name: list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
        for name, path in files.items()
    }
    for method, row in zip(summary["methods"], read["methods"], strict=True):
        assert row["name"] == method["name"]
        assert float(row["accuracy"]) == method["accuracy"]["value"]
        assert float(row["accuracy_low"]) == method["accuracy"]["low"]
        assert row["fit_s"] == ("" if method["fit_s"] is None else repr(method["fit_s"]))
        if method["coverage_at_risk"]:
            assert float(row["coverage_at_risk_0.05"]) == method["coverage_at_risk"]["0.05"]
    assert len(read["slices"]) == sum(len(row["accuracy"]) for row in summary["slices"])
    assert len(read["curves"]) == sum(len(curve["points"]) for curve in summary["curves"])
    assert len(read["reliability"]) == sum(len(row["bins"]) for row in summary["calibration"])
    first = read["risk_coverage"][0]
    assert [float(first["coverage"]), float(first["risk"])] == summary["risk_coverage"][0]["points"][0]
    assert json.loads(read["positions"][0]["chosen"]) == summary["positions"]["methods"][0]["chosen"]
    assert [row["with_image"] for row in read["weights"][:2]] == ["False", "True"]


def test_tables_of_an_earlier_rendering_do_not_stay(summary, tmp_path):
    write_texts(summary, tmp_path)
    summary["ablation"] = []
    write_texts(summary, tmp_path)
    assert not (tmp_path / "tables" / "ablation.csv").exists()
    assert (tmp_path / "tables" / "methods.csv").exists()


def test_markdown_says_what_the_page_says(summary):
    text = render_markdown(summary)
    assert text.startswith(f"# {summary['title']}\n\n**Stacking with LLaVA answers 80.1 % of 1,200")
    best = summary["methods"][0]["accuracy"]
    interval = " to ".join(f"{100 * best[end]:.1f}" for end in ("low", "high"))
    line = next(line for line in text.splitlines() if line.startswith("| Stacking with LLaVA | stack"))
    assert f"| {100 * best['value']:.1f} [{interval}] |" in line
    assert "| < 0.001 |" in text.replace("\\<", "<")
    for heading in (
        "Comparisons",
        "Who is right where another is wrong",
        "Calibration",
        "Tuning",
        "Provenance",
    ):
        assert f"\n## {heading}\n" in text
    assert render_markdown(copy.deepcopy(summary)) == text


def test_markdown_tables_have_as_many_cells_as_heads(summary):
    summary["methods"][0]["label"] = "a|b\n`c`"
    for block in re.split(r"\n\n", render_markdown(summary)):
        lines = block.splitlines()
        if lines and lines[0].startswith("|"):
            widths = {len(re.findall(r"(?<!\\)\|", line)) for line in lines}
            assert len(widths) == 1, lines[0]


@pytest.mark.parametrize(
    "part", ["anatomy", "calibration", "slices", "families_removed", "provenance", "llava"]
)
def test_a_missing_part_is_left_out_of_the_texts(summary, part):
    whole = set(flat_tables(summary))
    summary[part] = None
    assert set(flat_tables(summary)) <= whole
    assert "Methods" in render_markdown(summary)


def test_hostile_text_stays_text(summary):
    summary["verdict"]["sentence"] = "<script>alert(1)</script> | [x](http://evil.example)"
    line = render_markdown(summary).splitlines()[2]
    assert "\\<script\\>" in line
    assert "\\[x\\]" in line


def test_heads_are_words_that_name_columns_of_the_tables(summary):
    lines = render_markdown(summary).splitlines()
    heads = {
        cell.strip()
        for line, below in itertools.pairwise(lines)
        if below.startswith("|-")
        for cell in line.strip("|").split("|")
    }
    assert {"McNemar's p", "Coverage at 5 % risk", "AURC", "Questions", "Fit"} <= heads
    assert not [one for one in heads if re.match(r"(N|P) |.* s$|.*\bp$(?<!'s p)", one)]
    columns = {column for rows in flat_tables(summary).values() for row in rows for column in row}
    assert set(HEADS) <= columns
