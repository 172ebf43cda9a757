"""Data that holds scripts is shown as text: every text of a page is poisoned, then a browser opens it."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from studies.report import write_comparison, write_optuna_report, write_report
from studies.report.optuna_page import studies_of

pytestmark = pytest.mark.chromium
POISON = (
    "</script></style></title><script>window.hit = 1</script>"
    "\"'><img src=x onerror='window.hit = 2'><svg onload=\"window.hit = 3\">"
    '" onmouseover="window.hit = 4" {{ 7 * 7 }} javascript:window.hit=5'
)
OURS = ("kind", "status", "mime", "x", "dimension", "cost", "block_kind")
"""Fields whose few values are ours and decide what is drawn."""


def poisoned(value, *, names, field=None):
    """Append the poison to every text, the same to the same; keys are names of methods, or ours."""
    if isinstance(value, str):
        return value if field in OURS else value + POISON
    if isinstance(value, Mapping):
        return {
            (key + POISON if key in names else key): poisoned(part, names=names, field=key)
            for key, part in value.items()
        }
    if isinstance(value, list | tuple):
        return [poisoned(part, names=names, field=field) for part in value]
    return value


def with_pictures(summary):
    """Let the examples name the pictures that are there, through names that are poison too."""
    for side in ("won", "lost"):
        for card in summary["examples"][side]:
            if card["image_path"]:
                card["image_path"] = card["image_path"].removesuffix(POISON)
    return summary


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
def opened(chromium):
    """Open a file; what it said, asked for and broke are attributes of the page."""
    contexts = []

    def open_(path: Path):
        context = chromium.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
        contexts.append(context)
        page = context.new_page()
        page.asked, page.broken, page.said = [], [], []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("pageerror", lambda error: page.broken.append(str(error)))
        page.on("dialog", lambda dialog: (page.said.append(dialog.message), dialog.dismiss()))
        page.goto(path.as_uri())
        page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        return page

    yield open_
    for context in contexts:
        context.close()


def write_report_page(summary, image_root, path: Path, *, poison: bool) -> Path:
    if poison:
        summary = with_pictures(poisoned(summary, names={method["name"] for method in summary["methods"]}))
    return write_report(summary, path, image_root=image_root)


def write_compare_page(compared, path: Path, *, poison: bool) -> Path:
    names = {row["method"] for row in compared["leaderboard"]}
    return write_comparison(poisoned(compared, names=names) if poison else compared, path)


def write_optuna_page(folder: Path, *, poison: bool) -> Path:
    """Write the page about a study whose name, parameters, choices, attributes and errors are poison."""
    more = POISON if poison else ""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    journal = folder / "study.journal"
    storage = JournalStorage(JournalFileBackend(str(journal)))
    study = optuna.create_study(study_name=f"study{more}", storage=storage, direction="minimize")
    study.set_user_attr("metric", f"metric{more}")
    study.set_user_attr(f"key{more}", f"value{more}")
    for number in range(12):
        trial = study.ask()
        drawn = trial.suggest_float(f"rate{more}", 0.1, 1.0)
        trial.suggest_categorical(f"choice{more}", [f"a{more}", f"b{more}"])
        trial.set_user_attr("fit_s", 0.1)
        if number == 5:
            trial.set_user_attr("error", f"error{more}")
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            trial.report(drawn, 0)
            study.tell(trial, drawn)
    page = folder / "optuna.html"
    write_optuna_report(studies_of(journal), page, title=f"title{more}", source=f"source{more}")
    return page


TRACES = """() => ({
  hit: window.hit ?? null,
  scripts: document.scripts.length,
  pictures: document.querySelectorAll("img:not([src^='data:image/'])").length,
  handlers: [...document.querySelectorAll("*")].filter((each) =>
    [...each.attributes].some((one) => one.name.startsWith("on"))).length,
  links: [...document.querySelectorAll("a[href]")].filter((each) =>
    !each.getAttribute("href").startsWith("#")).length,
})"""


@pytest.mark.parametrize("name", ["report", "compare", "optuna"])
def test_poison_in_every_text_is_shown_and_does_nothing(
    name, opened, summary, compared, image_root, tmp_path
):
    write = {
        "report": lambda path, poison: write_report_page(summary, image_root, path / "p.html", poison=poison),
        "compare": lambda path, poison: write_compare_page(compared, path / "p.html", poison=poison),
        "optuna": lambda path, poison: write_optuna_page(path, poison=poison),
    }[name]
    (tmp_path / "plain").mkdir()
    (tmp_path / "poisoned").mkdir()
    plain = opened(write(tmp_path / "plain", False))
    page = opened(write(tmp_path / "poisoned", True))
    for each in page.locator("button").all()[:10]:
        if each.is_visible():
            each.click()
    page.mouse.move(400, 400)
    page.wait_for_load_state("networkidle")
    assert page.evaluate(TRACES) == plain.evaluate(TRACES) | {"hit": None}
    assert (page.broken, page.said) == ([], [])
    outside = [url for url in page.asked if not url.startswith("data:")]
    assert outside == [page.url.partition("#")[0]]
    text = page.locator("body").inner_text()
    assert text.count("<script>window.hit = 1</script>") > 5
    assert "{{ 7 * 7 }}" in text


def test_question_option_skill_and_file_name_are_among_what_is_shown(opened, summary, image_root, tmp_path):
    page = opened(write_report_page(summary, image_root, tmp_path / "p.html", poison=True))
    shown = page.locator("#examples").inner_text()
    for card in summary["examples"]["won"][:2]:
        assert card["question"][:30] in shown
        assert f"{card['options'][0]}{POISON}"[:100] in shown
        assert f"{card['skill']}{POISON}" in shown
        assert f"{card['example_id']}{POISON}" in shown
    assert f"{summary['data']['name']}{POISON}" in page.locator("body").inner_text()


def test_poison_that_is_not_escaped_would_be_seen(opened, summary, image_root, tmp_path):
    path = write_report_page(summary, image_root, tmp_path / "p.html", poison=False)
    plain = opened(path).evaluate(TRACES)
    path.write_text(path.read_text().replace("</main>", f"{POISON}</main>"))
    found = opened(path).evaluate(TRACES)
    assert found["hit"] is not None
    assert found["scripts"] > plain["scripts"]
    assert found["pictures"] > plain["pictures"]
    assert found["handlers"] > plain["handlers"]
