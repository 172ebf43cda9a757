"""The pages in a real browser: Playwright drives Chromium, axe-core looks for barriers."""

import json
import re
import shutil
from pathlib import Path

import pytest

from studies.report import write_comparison, write_report

pytestmark = pytest.mark.chromium
WIDTHS = (390, 1280)
PAGES = ("report", "compare")


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


@pytest.fixture
def open_page(chromium, summary, image_root, compared, tmp_path):
    """Open a page by name in a window; requests and errors are kept as attributes of the page."""
    contexts = []

    def open_(name, *, width=1280, scheme="light", scripts=True):
        path = tmp_path / f"{name}.html"
        if name == "report":
            write_report(summary, path, image_root=image_root)
        else:
            write_comparison(compared, path)
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
        page.goto(path.as_uri())
        return page

    yield open_
    for context in contexts:
        context.close()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_opens_fits_and_asks_for_nothing_else(open_page, name, width):
    page = open_page(name, width=width)
    assert page.locator("h1").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
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
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
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
def test_anchors_lead_to_their_sections(open_page, name):
    page = open_page(name, width=390)
    links = page.locator("nav.toc a")
    assert links.count() >= 4
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


def test_the_first_stop_of_the_keyboard_skips_to_the_content(open_page):
    page = open_page("report")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#main"


def test_without_scripts_tables_are_plain(open_page):
    page = open_page("report", scripts=False)
    assert page.locator("#methods thead th").first.inner_text() == "Method"
    assert page.locator("thead button").count() == 0


def test_folded_questions_open(open_page, summary):
    summary["examples"]["won"] *= 2
    page = open_page("report")
    hidden = page.locator("#examples details article").first
    assert not hidden.is_visible()
    page.locator("#examples details summary").first.click()
    assert hidden.is_visible()


def test_print_shows_what_is_folded_away_and_hides_what_needs_a_screen(open_page):
    page = open_page("report", width=720)
    folded = page.locator("#complementarity details table")
    assert not folded.is_visible()
    page.emulate_media(media="print")
    assert folded.is_visible()
    assert not page.locator("nav.toc").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 720
    pdf = page.pdf(format="A4")
    assert pdf.startswith(b"%PDF")


def test_dark_and_light_differ(open_page):
    paper = {
        scheme: open_page("report", scheme=scheme).evaluate("getComputedStyle(document.body).backgroundColor")
        for scheme in ("light", "dark")
    }
    assert json.dumps(paper) == '{"light": "rgb(251, 251, 250)", "dark": "rgb(20, 23, 26)"}'
