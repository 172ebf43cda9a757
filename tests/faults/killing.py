"""Kills a job, checks what is left, lets it go on, and holds the end against a run that nothing disturbed.

A kill is SIGKILL, either at a moment of the time between the first file event of an undisturbed run and its
end, or at the N-th file event itself; of the whole group of processes at once, or of the main process alone,
beside whose orphans the next run then works. Seeded: job, seed and number decide a case, up to the speed of
the machine.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

import psutil
from typer.testing import CliRunner

from studies.cli import app
from tests.faults.jobs import Job, Material, environment, watching
from tests.faults.whole import torn

MOST_S = 300.0
"""A run that takes longer hangs."""
ORPHANS_S = 10.0
"""Time in which processes end whose main process was killed."""
ALONE_FRAC = 1 / 3
"""Share of the kills that only the main process is met by."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kill:
    """When and what to kill."""

    at_event: int = 0
    """Number of the file event that does not come to pass; 0 for a kill by the clock."""
    after_s: float = 0.0
    """Seconds after the first file event."""
    alone: bool = False
    """The main process only."""

    def __str__(self) -> str:
        how = f"at event {self.at_event}" if self.at_event else f"at {self.after_s:.2f} s"
        return f"{how}, main process alone" if self.alone else how


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """A fault that met a job at work."""

    stage: str
    """Of the job."""
    told: str
    """What it was, and just after which file event."""


@dataclass(kw_only=True, slots=True)
class Outcome:
    """What came of a case."""

    job: str
    faults: list[Fault] = field(default_factory=list)
    """Those that met the job at work."""
    torn: list[str] = field(default_factory=list)
    """Files that were not whole after a kill, or lacking at the end."""
    redone: list[str] = field(default_factory=list)
    """Finished units of work that were done again."""
    left: list[str] = field(default_factory=list)
    """Files at the end that an undisturbed run does not leave; processes that did not end."""
    failed: str = ""
    """Why the last run did not come to its end."""
    different: list[str] = field(default_factory=list)
    """Results that are not those of the undisturbed run."""

    @property
    def defects(self) -> list[str]:
        """Everything that breaks the promise."""
        named = {
            "torn": self.torn,
            "redone": self.redone,
            "left": self.left,
            "failed": [self.failed] if self.failed else [],
            "different": self.different,
        }
        return [f"{name}: {each}" for name, found in named.items() for each in found]


def draw_kills(job: Job, made: Material, *, seed: int, number: int, n_cases: int, n_kills: int) -> list[Kill]:
    """Draw the kills of a case.

    Parameters
    ----------
    job : Job
    made : Material
    seed, number : int
        Decide the kills, together with the job's name.
    n_cases : int
        Of the job in all: the first kills of these are spread evenly over the run.
    n_kills : int
        Each further one falls into what the one before left to be done.
    """
    rng = random.Random(f"{job.name}:{seed}:{number}")
    lines = made.events(job).read_text().splitlines()
    begun, ended = (float(line.split()[0]) for line in (lines[0], lines[-1]))
    left, kills = 1.0, list[Kill]()
    for n_before in range(n_kills):
        share = rng.random() * left if n_before else (number % n_cases + rng.random()) / n_cases
        alone = rng.random() < ALONE_FRAC
        if rng.random() < 1 / 2:
            kills.append(Kill(at_event=1 + int(share * len(lines)), alone=alone))
        else:
            kills.append(Kill(after_s=share * (ended - begun), alone=alone))
        left = max(0.0, left - share)
    return kills


def disturb(job: Job, made: Material, folder: Path, kills: Sequence[Kill]) -> Outcome:
    """Run one case: kill the job again and again, let it go on to its end, and hold that to the promise.

    Parameters
    ----------
    job : Job
    made : Material
    folder : Path
        Of this case; what its runs say is written beside it.
    kills : sequence of Kill
        Those that come too late, after the end of a run, are not counted.
    """
    folder.mkdir(parents=True)
    outcome, sessions = Outcome(job=job.name), list[int]()
    finished: dict[str, str] = {}
    for n_run, kill in enumerate((*kills, None)):
        events = folder.with_suffix(f".events{n_run}")
        ended = run(job, made, folder, events, kill, goes_on=n_run > 0)
        sessions.append(ended.session)
        outcome.torn += torn(folder)
        outcome.redone += done_again(job, folder, finished, events)
        finished |= job.finished(folder)
        if kill is not None and ended.code == -signal.SIGKILL:
            outcome.faults.append(Fault(stage=stage_at(job, events), told=f"{kill}, after {last(events)}"))
        elif ended.code != 0:
            outcome.failed = ended.told
            break
    outcome.left += orphans(sessions)
    if not outcome.failed:
        compare(job, folder, made.undisturbed(job), outcome)
    return outcome


def compare(job: Job, folder: Path, undisturbed: Path, outcome: Outcome) -> None:
    """Tell how the end of a case differs from that of an undisturbed run."""
    there, expected = names(folder), names(undisturbed)
    outcome.torn += [f"{name}: lacking at the end" for name in sorted(expected - there)]
    outcome.left += sorted(there - expected)
    found, before = job.results(folder), job.results(undisturbed)
    outcome.different += sorted(name for name in {*found, *before} if found.get(name) != before.get(name))
    if "report" in job.stages:
        said = CliRunner().invoke(app, ["verify", str(folder / "out"), str(undisturbed / "out")])
        outcome.different += [f"studies verify: {said.output}"] if said.exit_code else []


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """How a run ended."""

    code: int
    session: int
    told: str
    """Its last words."""


def run(job: Job, made: Material, folder: Path, events: Path, kill: Kill | None, *, goes_on: bool) -> Ended:
    """Run a job in a session of its own until it ends or is killed."""
    command = [sys.executable, *job.command(made), *(job.resume if goes_on else ())]
    more = {"FAULTS_AT": str(kill.at_event)} if kill and kill.at_event else {}
    more |= {"FAULTS_ALONE": "1"} if kill and kill.alone else {}
    hooked, words = environment(**watching(folder, events, **more)), events.with_suffix(".words")
    with words.open("w") as file:
        process = subprocess.Popen(
            command, cwd=folder, env=hooked, start_new_session=True, stdout=subprocess.DEVNULL, stderr=file
        )
    if kill and not kill.at_event:
        wait(process, until=lambda: events.is_file() and events.stat().st_size > 0)
        wait(process, most_s=kill.after_s)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL) if kill.alone else os.killpg(process.pid, signal.SIGKILL)
    wait(process)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        return Ended(code=1, session=process.pid, told=f"hangs: {words.read_text()[-600:]}")
    code = process.wait()
    return Ended(code=code, session=process.pid, told=f"exit code {code}: {words.read_text()[-600:]}")


def changes_of(events: Path) -> list[str]:
    """Return ``event path`` of the file events of a run, as they came."""
    lines = events.read_text().splitlines() if events.is_file() else []
    return [line.split(maxsplit=1)[1] for line in lines]


def last(events: Path) -> str:
    return (changes_of(events) or ["nothing"])[-1]


def stage_at(job: Job, events: Path) -> str:
    """Return the stage that a job had come to: the one whose files it changed last."""
    for told in reversed(changes_of(events)):
        for stage, patterns in job.stages.items():
            if any(fnmatch(told.split(maxsplit=1)[1], pattern) for pattern in patterns):
                return stage
    return next(iter(job.stages))


def wait(
    process: "subprocess.Popen[bytes]", *, until: Callable[[], bool] = lambda: False, most_s: float = MOST_S
) -> None:
    """Wait for the end of a process, or for something else, for so long at most."""
    end = time.monotonic() + most_s
    while process.poll() is None and not until() and time.monotonic() < end:
        time.sleep(0.005)


def orphans(sessions: Sequence[int]) -> list[str]:
    """Return the processes of killed commands that do not end by themselves, and end them."""
    end = time.monotonic() + ORPHANS_S
    while (found := alive(sessions)) and time.monotonic() < end:
        time.sleep(0.1)
    for process in found:
        process.kill()
    return [f"process {process.pid} did not end" for process in found]


def alive(sessions: Sequence[int]) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError):
            if os.getsid(process.pid) in sessions and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def done_again(job: Job, folder: Path, finished: dict[str, str], events: Path) -> list[str]:
    """Return the finished units that stand there anew, or were put in place again and removed since."""
    now = job.finished(folder)
    anew = {name for name, mark in finished.items() if now.get(name, mark) != mark}
    placed = {told.split(maxsplit=1)[1] for told in changes_of(events) if told.startswith("os.rename ")}
    return sorted(anew | (placed & finished.keys()))


def names(folder: Path) -> set[str]:
    """Return all that stands in a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}
