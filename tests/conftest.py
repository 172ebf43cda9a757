"""What all tests share: real data sets where they are, and skipped tests named in the last lines."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.chat_server import Answer, ChatServer, serve


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="a skipped test is a failure (make test-full)")


@pytest.fixture(scope="session")
def scienceqa_dir() -> Path:
    """Folder of real ScienceQA in its official layout."""
    folder = os.environ.get("SCIENCEQA_DIR")
    if not folder:
        pytest.skip("SCIENCEQA_DIR is not set: it names a folder with real ScienceQA")
    return Path(folder)


@pytest.fixture(scope="session")
def llava_bench_dir() -> Path:
    """Folder of LLaVA-Bench's questions, answers and reviews, under their published names."""
    folder, beside = os.environ.get("LLAVA_BENCH_DIR"), os.environ.get("SCIENCEQA_DIR")
    if folder:
        return Path(folder)
    found = Path(beside).resolve().parent / "llava_bench" if beside else None
    if found is None or not found.is_dir():
        pytest.skip("LLAVA_BENCH_DIR is not set: it names a folder with LLaVA-Bench's files")
    return found


@pytest.fixture
def chat_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Answer], ChatServer]]:
    """Start servers in OpenAI's protocol that say what a test gives them to say."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    with ExitStack() as open_servers:
        yield lambda answer: open_servers.enter_context(serve(answer))


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    yield
    skipped = terminalreporter.stats.get("skipped", [])
    if skipped:
        terminalreporter.section("skipped here; make test-full fails on these")
        for report in skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
            terminalreporter.write_line(f"{report.nodeid}: {reason}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if session.config.getoption("--no-skips") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
