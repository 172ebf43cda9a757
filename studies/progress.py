"""What a run tells the terminal while it works: a bar with time left per stage, a line per finding [edge].

A run gets a `Progress` and knows nothing of terminals; tests hand in `Silent`. What it tells may hold names
from data: neither markup nor control characters in them are obeyed.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from time import monotonic
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars

LOG_EVERY_S = 30.0
Tick = Callable[[int, int], None]
"""Called with how much is done and how much there is to do."""


class Progress(Protocol):
    """Receiver of what a run tells."""

    def stage(self, title: str) -> Tick:
        """Open the next stage, closing the one before, and return the function that moves its bar."""

    def note(self, text: str) -> None:
        """Tell one line that stays."""


class Silent:
    """Tells nothing."""

    def stage(self, title: str) -> Tick:
        """Return a function that does nothing."""
        return lambda done, total: None

    def note(self, text: str) -> None:
        """Do nothing."""


class _Shown:
    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._open: list[TaskID] = []

    def stage(self, title: str) -> Tick:
        self.close()
        task = self._bars.add_task(printable(title)[:34], total=None)
        self._open.append(task)
        return lambda done, total: self._bars.update(task, completed=done, total=max(total, 1))

    def note(self, text: str) -> None:
        self._bars.console.print(printable(text), markup=False, highlight=False, soft_wrap=False)

    def close(self) -> None:
        for task in self._open:
            total = self._bars.tasks[task].total or 1
            self._bars.update(task, total=total, completed=total)
            self._bars.stop_task(task)
        self._open.clear()


class _Logged:
    """Lines in place of bars: a stage as it opens, then how far it is, twice a minute at most."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._begun = monotonic()

    def stage(self, title: str) -> Tick:
        begun = monotonic()
        told = begun
        self._line(title)

        def tick(done: int, total: int) -> None:
            nonlocal told
            now = monotonic()
            if done and now - told >= LOG_EVERY_S:
                told = now
                left = (now - begun) / done * (total - done)
                self._line(f"{title}: {done}/{total}, {timedelta(seconds=round(left))} left")

        return tick

    def note(self, text: str) -> None:
        self._console.print(printable(text), markup=False, highlight=False, soft_wrap=False)

    def _line(self, text: str) -> None:
        since = timedelta(seconds=round(monotonic() - self._begun))
        self._console.print(f"[{since}] {printable(text)}", markup=False)


def printable(text: str) -> str:
    r"""Return a text without control characters, which data may hold and a terminal would obey.

    Examples
    --------
    >>> printable("question \x1b[2J7")
    'question ?[2J7'
    """
    return "".join(char if char.isprintable() or char.isspace() else "?" for char in text)


@contextmanager
def shown(console: Console) -> Iterator[Progress]:
    """Show bars on a terminal; in a pipe or a log, a line per stage and half a minute."""
    if not console.is_terminal:
        yield _Logged(console)
        return
    columns = (
        TextColumn("{task.description:<34}", markup=False),
        BarColumn(bar_width=12),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=console) as bars:
        progress = _Shown(bars)
        yield progress
        progress.close()
