"""The pages in a real browser: Playwright drives Chromium, axe-core looks for barriers."""

import itertools
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from studies.report import studies_of, write_comparison, write_optuna_report, write_report
from studies.report.ablation_page import write_ablation_report
from studies.report.probing_page import write_probing_report
from tests.studies.report.made_ablation import build_ablation_summary
from tests.studies.report.made_probing import build_probing_summary
from tests.studies.report.made_report import build_compared, build_summary
from tests.studies.report.made_study import make_study

pytestmark = pytest.mark.chromium
WIDTHS = (390, 1280)
PAGES = ("report", "compare", "optuna", "ablation", "probing")
PRESS_ALL_HEADS = """() => [...document.querySelectorAll("table.sortable")].flatMap((table) => {
  const rows = () => [...table.tBodies[0].rows].filter((row) => !row.classList.contains("ticks"));
  const told = (row, place) => (row.cells[place].dataset.value ?? row.cells[place].textContent).trim();
  return [...table.tHead.rows[0].cells].filter((head) => head.querySelector("button")).map((head) => {
    const place = head.cellIndex;
    const before = rows();
    const were = before.map((row) => told(row, place));
    head.querySelector("button").click();
    const all = [...table.tBodies[0].rows];
    const n_ticks = all.length - rows().length;
    return {
      head: head.textContent, numeric: head.classList.contains("n"), were,
      said: [...table.querySelectorAll("th[aria-sort]")].map((each) => each.ariaSort),
      before: before.map((row) => row.textContent), rows: rows().map((row) => row.textContent),
      shown: rows().map((row) => told(row, place)),
      ticks_last: all.slice(all.length - n_ticks).every((row) => row.classList.contains("ticks")),
    };
  });
})"""
"""Presses the head of each column that has a button, and tells what its cells held before and after."""
OUTSIDE = {
    "outer": {"value": 0.61, "low": 0.57, "high": 0.66, "level": 0.95, "n": 1200},
    "comparison": {
        "n_questions": 2400,
        "n_families": 590,
        "chosen": {"value": 0.501, "low": 0.47, "high": 0.53, "level": 0.95, "n": 2400},
        "rechosen": {"value": 0.512, "low": 0.48, "high": 0.55, "level": 0.95, "n": 2400},
        **{
            rival: {
                "value": 0.53,
                "trial": 0,
                "difference": {"value": -0.03, "low": -0.05, "high": -0.01, "level": 0.95, "n": 2400},
                "rechosen": {"value": -0.02, "low": -0.04, "high": 0.01, "level": 0.95, "n": 2400},
                **more,
            }
            for rival, more in (
                ("default", {}),
                ("random", {"n_trials": 24, "n_pruned": 0, "n_shared": 2, "fit_s": 31.0}),
            )
        },
    },
}
"""What a run knows of a tuned study beside its trials; all figures invented."""


def is_in_order(shown, *, numeric):
    """Whether cells stand as one press leaves them: numbers falling, then words, then what is not there."""
    kinds, numbers, words = [], [], []
    for text in shown:
        bare = text.replace("\u2212", "-").replace(",", "")
        number = re.match(r"[<\s]*([-+]?\d[\d.]*(?:e[-+]?\d+)?)", bare) if numeric else None
        kinds.append(2 if text in ("", "\u2013") else 0 if number else 1)
        if number:
            numbers.append(float(number[1]))
        elif kinds[-1] == 1:
            words.append(text.lower())
    return (
        kinds == sorted(kinds)
        and numbers == sorted(numbers, reverse=True)
        and words == sorted(words, reverse=numeric)
    )


@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("Chromium is not on PATH: it opens the pages")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory, image_root):
    """Name of every page to its file."""
    folder = tmp_path_factory.mktemp("pages")
    paths = {name: folder / name / f"{name}.html" for name in PAGES}
    for path in paths.values():
        path.parent.mkdir()
    summary = build_summary()
    # More questions than are shown at once: the rest is folded away.
    summary["examples"]["won"] *= 2
    write_report(summary, paths["report"], image_root=image_root)
    write_comparison(build_compared(summary), paths["compare"])
    write_ablation_report(build_ablation_summary(), paths["ablation"])
    (paths["probing"].parent / "images").symlink_to(image_root / "images")
    write_probing_report(build_probing_summary(), paths["probing"])
    quiet, level = optuna.logging.ERROR, optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(quiet)
    for seed, name in enumerate(("xgboost", "random_forest")):
        make_study(folder / f"{name}.log", name=name, seed=seed)
    tuned = [one for log in sorted(folder.glob("*.log")) for one in studies_of(log)]
    optuna.logging.set_verbosity(level)
    write_optuna_report([replace(tuned[0], **OUTSIDE), *tuned[1:]], paths["optuna"])
    return paths


@pytest.fixture
def open_page(chromium, pages):
    """Open a page by name in a window; requests and errors are kept as attributes of the page."""
    contexts = []

    def open_(name, *, width=1280, scheme="light", scripts=True):
        context = chromium.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            java_script_enabled=scripts,
            reduced_motion="reduce",
        )
        contexts.append(context)
        page = context.new_page()
        page.asked, page.broken = [], []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("pageerror", lambda error: page.broken.append(str(error)))
        page.on("console", lambda told: page.broken.append(told.text) if told.type == "error" else None)
        page.goto(pages[name].as_uri())
        return page

    yield open_
    for context in contexts:
        context.close()


def unfold(page):
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_opens_fits_and_asks_for_nothing_else(open_page, name, width):
    page = open_page(name, width=width)
    assert page.locator("h1").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth") == width
    unfold(page)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.wait_for_load_state("networkidle")
    outside = [url for url in page.asked if not url.startswith("data:")]
    assert outside == [Path(page.url.removeprefix("file://")).as_uri()]
    assert page.broken == []


def test_a_request_would_be_seen(open_page):
    page = open_page("report")
    page.evaluate("new Image().src = 'http://127.0.0.1:9/picture.png'")
    page.wait_for_timeout(200)
    assert "http://127.0.0.1:9/picture.png" in page.asked


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_no_serious_barrier(open_page, name, scheme):
    from axe_playwright_python.sync_playwright import Axe

    page = open_page(name, scheme=scheme)
    unfold(page)
    found = Axe().run(page).response["violations"]
    serious = {
        rule["id"]: [node["html"][:120] for node in rule["nodes"]][:3]
        for rule in found
        if rule["impact"] in ("serious", "critical")
    }
    assert serious == {}


def test_axe_would_find_one(open_page):
    from axe_playwright_python.sync_playwright import Axe

    page = open_page("compare")
    page.evaluate("document.querySelector('main').append(document.createElement('button'))")
    assert "button-name" in {rule["id"] for rule in Axe().run(page).response["violations"]}


def column(page, place):
    return page.evaluate(
        "(place) => [...document.querySelectorAll('#methods table tbody tr:not(.ticks)')]"
        ".map((row) => (row.cells[place].dataset.value ?? row.cells[place].innerText).trim())",
        place,
    )


@pytest.mark.parametrize("head", ["AURC", "Fit", "Log-loss"])
def test_a_table_is_sorted_by_keyboard_and_says_so(open_page, head):
    page = open_page("report")
    button = page.locator("#methods table thead").get_by_role("button", name=head, exact=True)
    place = button.evaluate("(button) => button.closest('th').cellIndex")
    before = column(page, place)

    def numbers():
        found = [re.match(r"[\d.]+", text) for text in column(page, place)]
        return [None if match is None else float(match[0]) for match in found]

    button.focus()
    page.keyboard.press("Enter")
    assert button.evaluate("(button) => button.closest('th').ariaSort") == "descending"
    down = numbers()
    known = [number for number in down if number is not None]
    assert known == sorted(known, reverse=True)
    assert None not in down[: len(known)]
    page.keyboard.press("Space")
    assert button.evaluate("(button) => button.closest('th').ariaSort") == "ascending"
    assert numbers() == [*sorted(known), *[None] * (len(down) - len(known))]
    assert sorted(column(page, place)) == sorted(before)
    assert page.locator("#methods th[aria-sort]").count() == 1


def test_rows_of_ticks_stay_below(open_page):
    page = open_page("report")
    page.locator("#comparisons thead").get_by_role("button", name="Gains", exact=True).click()
    last = page.locator("#comparisons tbody tr").last
    assert last.get_attribute("class") == "ticks"
    gains = page.locator("#comparisons tbody tr:not(.ticks) td:nth-child(4)").all_inner_texts()
    assert list(map(int, gains)) == sorted(map(int, gains), reverse=True)


@pytest.mark.parametrize("name", PAGES)
def test_every_table_that_sorts_is_sorted_by_every_head(open_page, name):
    page = open_page(name)
    unfold(page)
    assert page.locator("table.sortable").count() >= 2
    columns = page.evaluate(PRESS_ALL_HEADS)
    assert len(columns) >= 10
    for column in columns:
        assert column["said"] == ["descending" if column["numeric"] else "ascending"], column["head"]
        assert sorted(column["rows"]) == sorted(column["before"]), column["head"]
        assert column["ticks_last"], column["head"]
        assert is_in_order(column["shown"], numeric=column["numeric"]), (column["head"], column["shown"])
    assert any(column["shown"] != column["were"] for column in columns)


def test_disorder_would_be_seen():
    shown = ["1,200 (1,100 to 1,300)", "+35.1", "< 0.001", "\u22122", "words", "depth", "\u2013"]
    assert is_in_order(shown, numeric=True)
    for first, second in itertools.pairwise(range(len(shown))):
        swapped = list(shown)
        swapped[first], swapped[second] = shown[second], shown[first]
        assert not is_in_order(swapped, numeric=True)
    assert is_in_order(["a", "B", ""], numeric=False)


@pytest.mark.parametrize("name", PAGES)
def test_every_anchor_leads_to_its_place(open_page, name):
    page = open_page(name, width=390)
    unfold(page)
    links = page.locator('main a[href^="#"], nav.toc a')
    assert links.count() >= 3
    assert page.locator("a:not([href^='#'])").count() == 0
    for place in range(links.count()):
        link = links.nth(place)
        target = link.get_attribute("href")
        link.evaluate("(link) => link.click()")
        assert page.evaluate("location.hash") == target
        top, at_end = page.evaluate(
            "(id) => [document.querySelector(id).getBoundingClientRect().top,"
            " scrollY + innerHeight >= document.documentElement.scrollHeight - 2]",
            target,
        )
        assert 0 <= top <= 40 or at_end, target


@pytest.mark.parametrize("name", PAGES)
def test_the_first_stop_of_the_keyboard_skips_to_the_content(open_page, name):
    page = open_page(name)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#main"


def test_without_scripts_tables_are_plain(open_page):
    page = open_page("report", scripts=False)
    assert page.locator("#methods thead th").first.inner_text() == "Method"
    assert page.locator("thead button").count() == 0


def test_folded_questions_open(open_page):
    page = open_page("report")
    hidden = page.locator("#examples details article").first
    assert not hidden.is_visible()
    page.locator("#examples details summary").first.click()
    assert hidden.is_visible()


def test_figures_of_a_tuning_are_drawn_when_they_come_near(open_page):
    page = open_page("optuna")
    drawn = page.locator(".drawn.js-plotly-plot")
    page.wait_for_function("document.querySelector('.drawn.js-plotly-plot')")
    assert page.locator("details .drawn.js-plotly-plot").count() == 0
    unfold(page)
    holders = page.locator(".drawn")
    # Of each study: history, three parameters, three pairs, cost.
    assert holders.count() == 16
    for place in range(16):
        holders.nth(place).scroll_into_view_if_needed()
        page.wait_for_function(
            "(place) => document.querySelectorAll('.drawn')[place].querySelector('svg')", arg=place
        )
    assert drawn.count() == 16
    page.wait_for_load_state("networkidle")
    assert [url for url in page.asked if not url.startswith("data:")] == [page.url]
    assert page.broken == []


def test_trials_are_saved_from_the_page(open_page, pages):
    page = open_page("optuna")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save as CSV").first.click()
    held = Path(saved.value.path()).read_text(encoding="utf-8").splitlines()
    beside = pages["optuna"].with_suffix(".csv").read_text(encoding="utf-8").splitlines()
    assert f"study,{held[0]}" == beside[0]
    assert len(held) == 1 + 24


@pytest.mark.parametrize("name", PAGES)
def test_print_shows_what_is_folded_away_and_hides_what_needs_a_screen(open_page, name):
    page = open_page(name, width=720)
    folded = page.locator("details").first.locator("table, article, li, .drawn").first
    has_folded = folded.count() > 0
    assert has_folded == (name != "ablation")
    assert not (has_folded and folded.is_visible())
    page.emulate_media(media="print")
    assert not has_folded or folded.is_visible()
    assert not page.locator("nav.toc").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 720
    pdf = page.pdf(format="A4")
    assert pdf.startswith(b"%PDF")


@pytest.mark.parametrize("name", PAGES)
def test_dark_and_light_differ(open_page, name):
    paper = {
        scheme: open_page(name, scheme=scheme).evaluate("getComputedStyle(document.body).backgroundColor")
        for scheme in ("light", "dark")
    }
    assert json.dumps(paper) == '{"light": "rgb(251, 251, 250)", "dark": "rgb(20, 23, 26)"}'
