"""What a run tells a terminal and a log."""

import io

import pytest
from rich.console import Console

from studies import progress as module
from studies.progress import shown


def told(monkeypatch: pytest.MonkeyPatch, *, terminal: bool) -> str:
    clock = iter(range(0, 10_000, 20))
    monkeypatch.setattr(module, "monotonic", lambda: float(next(clock)))
    stream = io.StringIO()
    with shown(Console(file=stream, width=80, force_terminal=terminal)) as progress:
        tick = progress.stage("fit the members")
        for done in range(1, 5):
            tick(done, 4)
        progress.note("a finding")
    return stream.getvalue()


def test_a_log_gets_lines_while_a_stage_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = told(monkeypatch, terminal=False).splitlines()
    assert lines[0].endswith("] fit the members")
    assert any("fit the members: 2/4" in line and line.endswith("left") for line in lines)
    assert lines[-1] == "a finding"
    assert all(len(line) <= 80 and "\x1b" not in line for line in lines)


def test_a_terminal_gets_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "4/4" in told(monkeypatch, terminal=True)


@pytest.mark.parametrize("terminal", [True, False])
def test_names_from_data_are_shown_as_they_are_and_not_obeyed(
    monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    stream = io.StringIO()
    with shown(Console(file=stream, width=80, force_terminal=terminal)) as progress:
        progress.stage("read a[/b].jsonl")(1, 2)
        progress.note("[bold]x[/b] \x1b[2Jgone")
    told = stream.getvalue()
    assert "read a[/b].jsonl" in told
    assert "[bold]x[/b] ?[2Jgone" in told
