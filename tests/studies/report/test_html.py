import copy
import html as html_escapes
import re

import pytest

from studies.report import render_html, write_report
from studies.report.html import thumbnail_uri
from tests.studies.report.parsed_page import Page, interval, rounded, signed_interval, with_sign

MOST_BYTES = 2_000_000
OPTIONAL_PARTS = {
    "ladder": "ladder",
    "comparisons": "comparisons",
    "families_removed": "families",
    "curves": "curves",
    "slices": "slices",
    "llava": "llava",
    "ablation": "ablation",
    "examples": "examples",
    "tuning": "tuning",
    "audit": "audit",
    "data": "data",
    "provenance": "provenance",
    "complementarity": "complementarity",
    "cost_fronts": "cost",
    "calibration": "calibration",
    "risk_coverage": "risk",
    "positions": "positions",
}


def test_page_is_balanced_and_its_anchors_lead_somewhere(summary):
    page = Page(render_html(summary))
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    assert render_html(summary).count("<section") == 3 + len(OPTIONAL_PARTS)
    assert set(OPTIONAL_PARTS.values()) <= set(page.ids)


def test_verdict_comes_first(summary):
    text = render_html(summary)
    sentence = text.index(html_escapes.escape(summary["verdict"]["sentence"]))
    assert all(sentence < text.index(f'<section id="{part}"') for part in OPTIONAL_PARTS.values())
    for detail in summary["verdict"]["details"]:
        assert detail in text


def test_method_table_holds_every_number_rounded(summary):
    (table,) = Page(render_html(summary)).tables["methods"]
    against = {c["a"]: c for c in summary["comparisons"] if c["b"] == "llava"}
    assert len(table) == 1 + len(summary["methods"])
    rows = {row[0]: row for row in table[1:]}
    for method in summary["methods"]:
        row = rows[method["label"]]
        assert row[1] == f"{rounded(100 * method['accuracy']['value'])} {interval(method['accuracy'])}"
        if method["name"] in against:
            found = against[method["name"]]
            assert (
                row[2] == f"{with_sign(found['difference']['value'])} {signed_interval(found['difference'])}"
            )
            assert row[3] == f"{found['gains']} / {found['losses']}"
        if method["log_loss"]:
            edges = "\u2013".join(rounded(method["log_loss"][end], 3) for end in ("low", "high"))
            assert row[4] == f"{rounded(method['log_loss']['value'], 3)} {edges}"
            assert row[5] == rounded(method["brier"]["value"], 3)
            assert row[6:8] == [rounded(method["aurc"], 3), rounded(method["augrc"], 3)]
            shares = (method["coverage_at_risk"][risk] for risk in ("0.01", "0.02", "0.05"))
            assert row[8] == " / ".join(rounded(100 * share, 0) for share in shares)
        else:
            assert row[4:9] == ["\u2013"] * 5
        assert row[12] == ("\u2013" if method["n_features"] is None else str(method["n_features"]))
    values = [m["accuracy"]["value"] for m in summary["methods"]]
    shown = [float(row[1].split()[0]) for row in table[1:]]
    assert shown == [float(rounded(100 * value)) for value in sorted(values, reverse=True)]


def test_difference_from_the_llm_is_turned_where_it_is_listed_the_other_way_round(summary):
    (table,) = Page(render_html(summary)).tables["methods"]
    row = next(row for row in table if row[0] == "Decision tree")
    listed = next(c for c in summary["comparisons"] if (c["a"], c["b"]) == ("llava", "decision_tree"))
    turned = listed["difference"]
    edges = f"{with_sign(-turned['high'])} to {with_sign(-turned['low'])}"
    assert row[2] == f"{with_sign(-turned['value'])} {edges}"
    assert row[3] == f"{listed['losses']} / {listed['gains']}"


def test_ladder_puts_the_note_beside_the_measurement(summary):
    (table,) = Page(render_html(summary)).tables["ladder"]
    accuracy = {m["name"]: m["accuracy"] for m in summary["methods"]}
    for rung, row in zip(summary["ladder"], table[1:], strict=False):
        measured = accuracy[rung["method"]]
        assert row[:3] == [
            rung["rung"],
            rung["note"],
            f"{rounded(100 * measured['value'])} {interval(measured)}",
        ]
    assert [rung["note"] for rung in summary["ladder"]] == ["90", "95", "97", "??", "??"]


def test_comparison_table_holds_every_number_rounded(summary):
    (table,) = Page(render_html(summary)).tables["comparisons"]
    for listed, row in zip(summary["comparisons"], table[1:], strict=False):
        found = listed["difference"]
        assert row[1] == f"{with_sign(found['value'])} {signed_interval(found)}"
        assert row[3:5] == [str(listed["gains"]), str(listed["losses"])]
        assert row[7] == "1,200"
    assert [row[5] for row in table[1:4]] == ["< 0.001", "< 0.001", "0.0018"]


def test_only_differences_that_leave_out_zero_are_bold(summary):
    text = render_html(summary)
    section = text[text.index('<section id="comparisons"') :]
    bold = [
        "best" in match
        for match in re.findall(r'<td class="(n[^"]*)">\S+ <span class="i under">[^<]* to', section)
    ]
    clear = [c["difference"]["low"] > 0 or c["difference"]["high"] < 0 for c in summary["comparisons"]]
    assert bold[: len(clear)] == clear
    assert False in clear


def test_slices_ablation_tuning_and_data_hold_their_numbers(summary):
    page = Page(render_html(summary))
    by_value = {row[0]: row for table in page.tables["slices"] for row in table[1:]}
    for found in summary["slices"]:
        row = by_value[found["value"]]
        assert row[1] == str(found["n"])
        best = found["accuracy"]["stacking_with_llava"]
        assert row[2] == f"{rounded(100 * best['value'])} {interval(best)}"
    ablation = {(row[0], row[1]): row[3] for row in page.tables["ablation"][0][1:-1]}
    label = {m["name"]: m["label"] for m in summary["methods"]}
    for found in summary["ablation"]:
        told = ablation[label[found["method"]], found["without"]]
        assert told == f"{with_sign(found['difference']['value'])} {signed_interval(found['difference'])}"
    for found, row in zip(summary["tuning"], page.tables["tuning"][0][1:], strict=True):
        bias = found["outer_log_loss"] - found["inner_log_loss"]
        assert row[3] == rounded(found["inner_log_loss"], 3)
        assert row[4] == rounded(found["standard_error"], 3)
        assert row[7] == f"+{rounded(bias, 3)}"
        assert row[10] == with_sign(found["inner_accuracy"] - found["outer_accuracy"])
        assert row[11] == str(found["one_standard_error"]["n_within"])
        assert row[12] == f"trial {found['one_standard_error']['trial']}"
        assert row[13] == ", ".join(f"{edge['name']} {edge['side']}" for edge in found["at_edge"])
    splits, published, columns, gaps = page.tables["data"]
    assert columns[0] == ["File", "NAT", "SOC", "LAN", "TXT", "IMG", "NO", "G1-6", "G7-12", "Avg"]
    assert columns[1][9].replace("3,175", "").strip() == "90.65"
    assert published[1] == ["llm:llava_13b", "3,175", "2,878", "90.65", "2,877", "90.61", "4"]
    assert splits[1] == ["train_llm", "6,000", "19,311", "1,480", "3,750"]
    assert gaps[1] == ["hint", "test", "412", "1,200", "34.3", "none given by the source"]


def test_llava_section_shows_skills_over_chance(summary):
    (table,) = Page(render_html(summary)).tables["llava"]
    rows = {row[0].lower(): row for row in table[1:]}
    for skill in summary["llava"]["skills"]:
        row = rows[skill["skill"]]
        assert row[1:3] == ["90", rounded(100 * skill["chance"])]
        assert row[4] == with_sign(skill["accuracy"]["value"] - skill["chance"])


@pytest.mark.parametrize("part", OPTIONAL_PARTS)
@pytest.mark.parametrize("gone", ["null", "absent"])
def test_a_missing_part_is_left_out_gracefully(summary, part, gone):
    less = copy.deepcopy(summary)
    if gone == "null":
        less[part] = None
    else:
        del less[part]
    page = Page(render_html(less))
    assert OPTIONAL_PARTS[part] not in page.ids
    assert f"#{OPTIONAL_PARTS[part]}" not in page.links
    assert {other for name, other in OPTIONAL_PARTS.items() if name != part} <= set(page.ids)


def test_the_least_summary_still_renders(summary):
    least = {
        "title": "One method",
        "verdict": {"sentence": "It ran."},
        "methods": [{"name": "chance", "accuracy": summary["methods"][-1]["accuracy"]}],
    }
    page = Page(render_html(least))
    assert page.tables["methods"][0][1][0] == "chance"
    assert not set(OPTIONAL_PARTS.values()) & set(page.ids)


def test_the_method_chosen_without_the_test_questions_is_told(summary):
    told = re.search(r'<p class="chosen">(.*?)</p>', render_html(summary), flags=re.DOTALL)[1]
    assert "<strong>Stacking</strong> was chosen" in told
    assert "(least log-loss on val)" in told
    del summary["choice"]
    assert 'class="chosen"' not in render_html(summary)


def test_complementarity_puts_the_wins_of_the_row_over_the_column(summary):
    matrix, pairs = Page(render_html(summary)).tables["complementarity"]
    told = summary["complementarity"]
    label = {m["name"]: m["label"] for m in summary["methods"]}
    place = {row[0].split(" ", 1)[1]: i for i, row in enumerate(matrix[1:])}
    assert len(place) == len(told["methods"])
    for pair in told["pairs"]:
        a, b = place[label[pair["a"]]], place[label[pair["b"]]]
        assert matrix[1 + a][1 + b] == str(pair["a_only"])
        assert matrix[1 + b][1 + a] == str(pair["b_only"])
    for row in told["methods"]:
        assert matrix[1 + place[label[row["method"]]]][-2:] == [
            str(row["alone_right"]),
            str(row["alone_wrong"]),
        ]
    first = max(told["pairs"], key=lambda pair: pair["either"])
    assert pairs[1][:3] == [label[first["a"]], label[first["b"]], str(first["both_right"])]
    assert pairs[1][6:9] == [
        rounded(first["error_ratio"], 2),
        rounded(100 * first["error_overlap"]),
        rounded(100 * first["either"]),
    ]
    n = sum(first[key] for key in ("both_right", "a_only", "b_only", "both_wrong"))
    best = (first["both_right"] + max(first["a_only"], first["b_only"])) / n
    assert pairs[1][9] == with_sign(first["either"] - best)


def test_anatomy_holds_weights_members_and_blocks(summary):
    *weights, members, shuffled, numbers = Page(render_html(summary)).tables["anatomy"]
    assert len(weights) == 2
    assert weights[0] == [
        ["Input", "Without an image", "With an image"],
        ["XGBoost", "0.71", "0.52"],
        ["sum_logprob", "0.08", "0.31"],
    ]
    rows = summary["anatomy"]["without_members"]
    assert [row[2].split()[0] for row in members[1:-1]] == [
        with_sign(row["difference"]["value"]) for row in rows
    ]
    assert [row[1] for row in members[1:-1]] == ["XGBoost", "Random forest", "LightGBM"]
    assert [row[1] for row in shuffled[1:-1]] == ["clip_image", "overlap", "image"] * 2
    for row, found in zip(numbers[1:], summary["anatomy"]["importance"][3:], strict=False):
        assert row[2].split()[0] == with_sign(found["accuracy_lost"]["value"])
        assert row[3].split()[0] == with_sign(found["accuracy_lost_with_image"]["value"])


def test_calibration_risk_positions_and_cost_hold_their_numbers(summary):
    page = Page(render_html(summary))
    *bins, every = page.tables["calibration"]
    assert len(bins) == 6
    assert len(every) == 1 + len(summary["calibration"])
    first = summary["calibration"][0]
    assert every[1][1:3] == [rounded(100 * first["error"]), with_sign(first["overconfidence"])]
    assert len(bins[0]) == 11
    assert "risk" in page.ids
    (places,) = page.tables["positions"]
    right = summary["positions"]["right"]
    assert places[0] == ["Method", "A", "B", "C", "Distance, %"]
    assert places[1][1:4] == [rounded(100 * n / sum(right)) for n in right]
    by_label = {row[0]: row for row in places[2:]}
    for row in summary["positions"]["methods"]:
        label = next(m["label"] for m in summary["methods"] if m["name"] == row["method"])
        assert by_label[label][4] == rounded(100 * row["distance"])
    fit, predict = page.tables["cost"]
    points = sorted(summary["cost_fronts"][0]["points"], key=lambda point: point["cost"])
    assert [row[3] for row in fit[1:]] == ["yes" if point["on_front"] else "no" for point in points]
    assert len(predict) == 1 + len(summary["cost_fronts"][1]["points"])


def test_figures_say_in_words_what_they_show(summary):
    text = html_escapes.unescape(render_html(summary))
    figures = re.findall(r'<(?:svg|div)[^>]*role="img"[^>]*>', text)
    assert len(figures) > 60
    assert all(re.search(r'aria-label="[^"]{3,}"', figure) for figure in figures)
    assert "Accuracy against confidence of Stacking in 10 bins: mean distance 3.1 points" in text


def test_a_failed_method_stays_in_the_table(summary):
    broken = {**summary["methods"][4], "status": "failed", "error": "MemoryError: 12 GB", "fit_s": None}
    broken["accuracy"] = summary["methods"][-1]["accuracy"]
    summary["methods"][4] = broken
    page = Page(render_html(summary))
    row = next(row for row in page.tables["methods"][0] if row[0].startswith(broken["label"] + " "))
    assert "failed" in row[0]
    assert "MemoryError: 12 GB" in row[0]
    assert "failed" in page.tables["ladder"][0][3][2]
    summary["methods"][4] = {**broken, "accuracy": None}
    assert "failed" in "".join(Page(render_html(summary)).tables["methods"][0][-1])


def test_hostile_text_is_escaped_everywhere(summary):
    attack = "<script>alert('x')</script>\"><img src=http://evil.example/x onerror=alert(1)>"

    def poison(value):
        if isinstance(value, dict):
            return {key: poison(part) for key, part in value.items()}
        if isinstance(value, list):
            return [poison(part) for part in value]
        return f"{value}{attack}" if isinstance(value, str) else value

    text = render_html(poison(summary), thumbnails={})
    assert text.count("<script") == 1
    assert "<img" not in text
    page = Page(text)
    assert page.open == []
    assert page.fetched == ["data:,"]
    assert html_escapes.escape(attack, quote=False).split("&gt;")[0] in text


def test_page_is_small_and_asks_nothing_of_any_address(summary, tmp_path, image_root):
    path = write_report(summary, tmp_path / "run" / "report.html", image_root=image_root)
    text = path.read_text(encoding="utf-8")
    assert path.stat().st_size < MOST_BYTES
    assert list(path.parent.iterdir()) == [path]
    assert not re.search(r"(?:https?:)?//[\w.-]+\.\w", re.sub(r"data:image/[^\"]+", "", text))
    assert "url(" not in text
    assert "@import" not in text
    assert text.count("<script") == 1
    pictures = [address for address in Page(text).fetched if address != "data:,"]
    assert len(pictures) == sum(bool(e["image_path"]) for side in summary["examples"].values() for e in side)
    assert all(address.startswith("data:image/") for address in pictures)


def test_page_stays_small_for_a_huge_summary(summary):
    skill = next(row for row in summary["slices"] if row["dimension"] == "skill")
    summary["slices"] += [{**skill, "value": f"skill {i}"} for i in range(3000)]
    summary["llava"]["stages"][0]["loss"] = [[step, 1 / (step + 1)] for step in range(200_000)]
    for side in summary["examples"].values():
        side[:] = [{**side[0], "question": "long " * 20_000}] * 50
    text = render_html(summary)
    assert len(text.encode()) < MOST_BYTES
    assert "2,955 more in summary.json" in text


def test_same_summary_gives_the_same_bytes(summary, tmp_path, image_root):
    first, second = (
        write_report(copy.deepcopy(summary), tmp_path / name, image_root=image_root).read_bytes()
        for name in ("a.html", "b.html")
    )
    assert first == second


def test_summary_is_not_changed(summary):
    before = copy.deepcopy(summary)
    render_html(summary)
    assert summary == before


def test_templates_do_no_arithmetic():
    from pathlib import Path

    import studies.report

    folder = Path(studies.report.__file__).parent / "templates"
    sources = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.html")}
    assert {"report.html", "_macros.html"} <= set(sources)
    for name, source in sources.items():
        assert "|safe" not in source, name
        for code in re.findall(r"{[{%](.*?)[%}]}", source, flags=re.DOTALL):
            bare = re.sub(r"\"[^\"]*\"|'[^']*'", "", code).strip().strip("-")
            assert not re.search(r"[+*/]|\s-\s|\bround\b", bare), (name, code)


def test_unreadable_pictures_are_named(summary, tmp_path):
    text = render_html(summary)
    assert text.count("The picture could not be read") == sum(
        bool(e["image_path"]) for side in summary["examples"].values() for e in side
    )
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n torn")
    assert thumbnail_uri(tmp_path / "torn.png") is None
    assert thumbnail_uri(tmp_path / "absent.png") is None


def test_thumbnails_are_small(tmp_path):
    import base64
    import io

    from PIL import Image

    Image.effect_noise((900, 400), 90).save(tmp_path / "noise.png")
    uri = thumbnail_uri(tmp_path / "noise.png")
    kind, _, payload = uri.partition(";base64,")
    small = Image.open(io.BytesIO(base64.b64decode(payload)))
    assert kind in ("data:image/png", "data:image/jpeg")
    assert small.size == (160, 71)
    assert len(uri) < 20_000
