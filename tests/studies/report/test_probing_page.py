import copy
import csv
import html as html_escapes
import itertools
import json
import re

import pytest
from PIL import Image

from studies.report.probing_grid import stage_figure, targets
from studies.report.probing_page import render_probing, write_probing_report
from tests.studies.report.made_probing import build_probing_summary
from tests.studies.report.parsed_page import Page, interval, rounded, signed_interval, with_sign

MOST_BYTES = 2_000_000
OPTIONAL_PARTS = {
    "comparisons": "comparisons",
    "hard": "hard",
    "similarity": "similarity",
    "dimension": "dimension",
    "modality_gap": "gap",
    "audit": "audit",
    "provenance": "provenance",
}


@pytest.fixture
def summary():
    return build_probing_summary()


def by_stage(summary, target, probe):
    return [c for c in summary["cells"] if (c["target"], c["probe"]) == (target, probe)]


def number_range(estimate):
    return f"{rounded(estimate['low'], 2)} to {rounded(estimate['high'], 2)}"


def test_page_is_balanced_and_its_anchors_lead_somewhere(summary):
    page = Page(render_probing(summary))
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    assert {"verdict", "data", "overview", "target-1", "target-2", "erasure"} <= set(page.ids)
    assert set(OPTIONAL_PARTS.values()) <= set(page.ids)


def test_verdict_comes_first(summary):
    text = render_probing(summary)
    sentence = text.index(html_escapes.escape(summary["verdict"]["sentence"]))
    assert sentence < text.index('<section id="data"')
    for detail in summary["verdict"]["details"]:
        assert html_escapes.escape(detail) in text


def test_grids_hold_every_number_rounded(summary):
    tables = Page(render_probing(summary)).tables["target-1"]
    scores, selectivity, bits, usable = tables[:4]
    assert scores[0] == ["Stage", *(probe["label"] for probe in summary["probes"])]
    for place, stage in enumerate(summary["stages"]):
        assert scores[1 + place][0] == f"{place + 1} {stage['label']}".replace(" ", "", 1)
    for column, probe in enumerate(summary["probes"], start=1):
        for place, cell in enumerate(by_stage(summary, "topic", probe["name"]), start=1):
            floor = rounded(100 * cell["floor"]["value"])
            told = f"{rounded(100 * cell['score']['value'])} {interval(cell['score'])} floor {floor}"
            assert scores[place][column] == told
            both = [rounded(100 * cell["selectivity"][key]["value"]) for key in ("real", "control")]
            difference = cell["selectivity"]["difference"]
            mark = "" if difference["low"] > 0 else " not above 0"
            assert selectivity[place][column] == (
                f"{with_sign(difference['value'])}{mark} {both[0]} \u2212 {both[1]}"
            )
            assert bits[place][column] == (
                f"{rounded(cell['bits']['per_item'], 2)} "
                f"compression {rounded(cell['bits']['compression'], 2)}"
            )
            assert usable[place][column] == (
                f"{rounded(cell['usable_bits']['value'], 2)} {number_range(cell['usable_bits'])}"
            )
    assert any("not above 0" in cell for row in selectivity for cell in row)


def test_controls_costs_and_curves_hold_their_numbers(summary):
    curves, controls, costs = Page(render_probing(summary)).tables["target-1"][4:]
    cells = [c for s in summary["stages"] for c in summary["cells"] if c["stage"] == s["name"]]
    cells = [cell for cell in cells if cell["target"] == "topic"]
    assert curves[0][2:] == ["75", "150", "300", "600", "1,200", "1,800"]
    for cell, curve, control, cost in zip(cells, curves[1:], controls[1:], costs[1:], strict=True):
        told = [f"{rounded(100 * p['score']['value'])} {interval(p['score'])}" for p in cell["curve"]]
        assert curve[2:] == told
        assert control[6] == " ".join(
            (
                with_sign(cell["selectivity"]["difference"]["value"]),
                signed_interval(cell["selectivity"]["difference"]),
            )
        )
        rank, random = cell["matched_rank"], cell["random_projector"]
        assert control[7].startswith(rounded(100 * rank["score"]["value"]) if rank else "\u2013")
        assert ("rank 64" in control[7]) == bool(rank)
        assert control[9].startswith(with_sign(random["difference"]["value"]) if random else "\u2013")
        assert cost[5:7] == [f"{cell['bits'][key]:,.0f}" for key in ("total", "prior")]
        assert cost[7] == ", ".join(f"{key} {value}" for key, value in cell["chosen"].items())


def test_a_failed_cell_stays_and_breaks_its_line(summary):
    failed = [cell for cell in summary["cells"] if cell["status"] == "failed"]
    assert [(cell["target"], cell["stage"], cell["probe"]) for cell in failed] == [
        ("answer", "projector_stage1", "boosting")
    ]
    text = render_probing(summary)
    tables = Page(text).tables["target-2"]
    assert [table[4][5] for table in tables[:4]] == ["failed"] * 4
    assert any("MemoryError: 12 GB" in row[1] for row in tables[5])
    assert "1 cell failed and scores as chance" in text
    lines = {line["name"]: line for line in stage_figure(summary["targets"][1], summary)["lines"]}
    assert [len(part.split()) for part in lines["boosting"]["parts"]] == [3, 4]
    assert [len(part.split()) for part in lines["linear"]["parts"]] == [8]


def test_figure_places_scores_on_one_axis_and_labels_apart(summary):
    topic, _ = targets(summary)
    figure = topic["figure"]
    top, bottom = figure["y_ticks"][-1], figure["y_ticks"][0]
    span = (top["value"] - bottom["value"]) / (bottom["at"] - top["at"])
    assert len(figure["lines"]) == 5
    for line in figure["lines"]:
        for dot, cell in zip(line["dots"], by_stage(summary, "topic", line["name"]), strict=True):
            read = bottom["value"] + (bottom["at"] - dot["y"]) * span
            assert read == pytest.approx(cell["score"]["value"], abs=1e-3)
            assert dot["top"] < dot["y"] < dot["bottom"]
        places = [dot["x"] for dot in line["dots"]]
        assert places == sorted(places)
        assert all(100 * k / 8 < at < 100 * (k + 1) / 8 for k, at in enumerate(places))
    labels = sorted([line["label_at"] for line in figure["lines"]] + [figure["chance_label_at"]])
    assert min(b - a for a, b in itertools.pairwise(labels)) >= 8 - 1e-9
    assert "XGBoost best at LLM, layer 4" in figure["text"]


def test_tints_follow_the_numbers_and_the_best_is_told_in_bold_too(summary):
    topic, _ = targets(summary)
    for grid, value, better in (
        ("scores", lambda cell: cell["score"]["value"], max),
        ("bits", lambda cell: cell["bits"]["per_item"], min),
    ):
        cells = [cell for row in topic[grid] for cell in row["cells"]]
        by_value = sorted(cells, key=value, reverse=better is max)
        tints = [cell["tint"] for cell in by_value]
        assert tints == sorted(tints, reverse=True)
        assert tints[0] == 28.0
        for column in range(5):
            own = [row["cells"][column] for row in topic[grid]]
            assert [cell["is_best"] for cell in own] == [value(c) == better(map(value, own)) for c in own]


def test_comparisons_erasure_similarity_and_dimension_hold_their_numbers(summary):
    tables = Page(render_probing(summary)).tables
    label = {stage["name"]: stage["label"] for stage in summary["stages"]}
    for target, table in zip(("topic", "answer"), tables["comparisons"], strict=True):
        found = [row for row in summary["comparisons"] if row["target"] == target]
        for row, told in zip(found, table[1:], strict=False):
            assert told[0] == f"{label[row['a']]} against {label[row['b']]}"
            assert told[2] == f"{with_sign(row['difference']['value'])} {signed_interval(row['difference'])}"
            assert told[4:] == ["61", "38"] + (
                ["< 0.001", "0.0060"] if row["probe"] == "linear" else ["0.21", "1"]
            )
    erased, answers = tables["erasure"]
    first = summary["erasure"][0]
    assert erased[1][0] == "Topic Projector after stage 2"
    shown = [first[when][probe] for probe in ("linear", "forest") for when in ("before", "after")]
    assert erased[1][3:7] == [f"{rounded(100 * one['value'])} {interval(one)}" for one in shown]
    assert erased[1][7] == "Right answer 55.0 \u2192 53.0"
    one = summary["answers_erased"][0]
    assert [cell.split()[0] for cell in answers[1][1:6]] == ["62.7", "57.1", "61.9", "\u22125.6", "\u22124.8"]
    assert answers[1][7] == str(one["n"])
    (matrix,) = tables["similarity"]
    for told, values in zip(matrix[1:], summary["similarity"]["cka"], strict=True):
        assert told[1:] == ["\u2013" if value is None else rounded(value, 2) for value in values]
    (filled,) = tables["dimension"]
    assert [row[2].split()[0] for row in filled[1:-1]] == [
        rounded(row["estimate"]["value"]) if row["estimate"] else "\u2013" for row in summary["dimension"]
    ]
    assert filled[3][3:] == ["19 different vectors, needed are 20", "\u2013"]


def test_the_hardest_questions_are_shown_with_bits_by_stage(summary):
    text = html_escapes.unescape(render_probing(summary))
    section = text[text.index('<section id="hard"') : text.index('<section id="erasure"')]
    assert section.count("<article") == 24
    assert "26.8\u2009% are below zero at all stages" in section
    item = summary["hard"]["topic"]["items"][0]
    told = ", ".join(
        f"{stage['label']} {rounded(item['bits'][stage['name']])}" for stage in summary["stages"]
    )
    assert f'aria-label="Bits by stage: {told}"' in section
    assert section.count("The picture is not shown") == 18


@pytest.mark.parametrize(
    ("change", "told"), [({"has_families": False}, "No families"), ({"split": "random"}, "Random split")]
)
def test_a_split_that_flatters_is_warned_of(summary, change, told):
    assert 'class="warning"' not in render_probing(summary)
    summary["data"] |= change
    (warning,) = re.findall(r'<p class="warning">(.*?)</p>', render_probing(summary))
    assert told in warning


def test_how_much_memory_could_show_is_told_beside_the_selectivity(summary):
    told = "those of the 87&thinsp;% of the questions scored there whose family is learned from"
    assert render_probing(summary).count(told) == len(summary["targets"])
    for target in summary["targets"]:
        del target["memory_frac"]  # of a run from before it was measured
    assert "whose family is learned from" not in render_probing(summary)


@pytest.mark.parametrize("part", OPTIONAL_PARTS)
@pytest.mark.parametrize("gone", ["null", "absent"])
def test_a_missing_part_is_left_out_gracefully(part, gone, tmp_path):
    summary = build_probing_summary(n_targets=1, n_stages=2)
    assert summary[part]
    if gone == "null":
        summary[part] = None
    else:
        del summary[part]
    page = Page(write_probing_report(summary, tmp_path / "report.html").read_text(encoding="utf-8"))
    assert OPTIONAL_PARTS[part] not in page.ids
    assert f"#{OPTIONAL_PARTS[part]}" not in page.links
    there = {other for name, other in OPTIONAL_PARTS.items() if name != part}
    assert there <= set(page.ids)


def test_of_one_stage_none_is_best_and_none_alike(tmp_path):
    summary = build_probing_summary(n_stages=1)
    summary["erasure"] = []
    text = write_probing_report(summary, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "similarity" not in Page(text).ids
    topic, _ = targets(summary)
    assert not any(cell["is_best"] for row in topic["scores"] for cell in row["cells"])


def test_rows_of_a_table_need_no_more_than_scores(summary):
    for cell in summary["cells"]:
        cell |= dict.fromkeys(
            ("floor", "selectivity", "bits", "usable_bits", "matched_rank", "random_projector")
        )
        cell["curve"] = []
    kept = ("title", "verdict", "data", "stages", "probes", "targets", "cells")
    summary = {key: summary[key] for key in kept}
    summary["targets"] = summary["targets"][:1]
    summary["cells"] = [cell for cell in summary["cells"] if cell["target"] == "topic"]
    summary["data"] |= {"unit": "rows", "has_families": False, "n_families_removed": 0}
    page = Page(render_probing(summary))
    assert {"overview", "erasure", *OPTIONAL_PARTS.values()}.isdisjoint(page.ids)
    assert len(page.tables["target-1"]) == 3
    assert "1,800 rows in 590 families" in render_probing(summary)


def test_hostile_text_is_escaped_everywhere(summary, tmp_path):
    attack = "<script>alert('x')</script>\"><img src=http://evil.example/x onerror=alert(1)>"
    keys = ("name", "stage", "probe", "target", "a", "b", "concept", "kind", "status", "split", "level", "of")

    def poison(value, key=""):
        if isinstance(value, dict):
            return {name: poison(part, name) for name, part in value.items()}
        if isinstance(value, list):
            return [poison(part, key) for part in value]
        return f"{value}{attack}" if isinstance(value, str) and key not in keys else value

    summary["similarity"], told = {**summary["similarity"], "stages": []}, summary["similarity"]["stages"]
    hostile = poison(summary)
    hostile["similarity"]["stages"] = told
    for check, named in zip(hostile["audit"]["checks"], ("<script>a", "b"), strict=True):
        check["name"] = named
    text = render_probing(hostile)
    assert text.count("<script") == 1
    assert "<img" not in text
    page = Page(text)
    assert page.open == []
    assert page.fetched == ["data:,"]
    assert (
        "Which of these statements about the force between the pairs of magnets is right?&lt;script&gt;"
        in text
    )
    assert "magnets&lt;script&gt;" in text
    write_probing_report(hostile, tmp_path / "report.html")
    lines = (tmp_path / "report.md").read_text(encoding="utf-8").splitlines()
    assert not any(re.search(r"(?<!\\)<script", line) for line in lines if not line.startswith("    "))


def test_the_largest_page_is_small_and_asks_nothing_of_any_address(tmp_path):
    summary = build_probing_summary(n_targets=6, n_stages=14)
    (tmp_path / "images" / "test").mkdir(parents=True)
    for place in range(12):
        Image.effect_noise((300, 300), 90).save(tmp_path / "images" / "test" / f"{place}.png")
    path = write_probing_report(summary, tmp_path / "report.html")
    text = path.read_text(encoding="utf-8")
    assert path.stat().st_size < MOST_BYTES
    assert not re.search(r"(?:https?:)?//[\w.-]+\.\w", re.sub(r"data:image/[^\"]+", "", text))
    assert "url(" not in text
    assert "@import" not in text
    pictures = [address for address in Page(text).fetched if address != "data:,"]
    assert pictures
    assert text.count("The picture is not shown") == 6 * 9 - len(pictures)
    assert all(address.startswith("data:image/") for address in pictures)


def test_same_summary_gives_the_same_bytes_and_stays_as_it_was(summary, tmp_path):
    before = copy.deepcopy(summary)
    page = write_probing_report(summary, tmp_path / "report.html")
    assert page.read_text(encoding="utf-8") == render_probing(before)
    assert summary == before


def test_tables_and_markdown_say_the_same_unrounded_and_rounded(summary, tmp_path):
    write_probing_report(summary, tmp_path / "report.html")
    read = {
        path.stem: list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
        for path in (tmp_path / "tables").glob("*.csv")
    }
    for cell, row in zip(summary["cells"], read["cells"], strict=True):
        assert float(row["score"]) == cell["score"]["value"]
        assert row["status"] == cell["status"]
        if cell["status"] == "ok":
            assert float(row["selectivity_low"]) == cell["selectivity"]["difference"]["low"]
            assert float(row["bits_per_item"]) == cell["bits"]["per_item"]
            assert json.loads(row["chosen"]) == cell["chosen"]
    assert len(read["curves"]) == sum(len(cell["curve"]) for cell in summary["cells"])
    assert len(read["hard_items"]) == 2 * 12 * 8
    assert not any("magnets" in value for row in read["hard_items"] for value in row.values())
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    cell = summary["cells"][0]
    edges = " to ".join(rounded(100 * cell["score"][end]) for end in ("low", "high"))
    assert f"| Topic | CLIP, layer -4 | Linear | {rounded(100 * cell['score']['value'])} [{edges}] |" in text
    for heading in ("Stage against stage", "Erasure", "Similarity of stages", "Provenance"):
        assert f"\n## {heading}\n" in text
    assert "magnets" not in text
