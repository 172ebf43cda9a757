"""Two processes at one place, and processes of a job that are killed: what has to hold at the end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from tests.faults.disks import one_line
from tests.faults.jobs import Job, Material, environment
from tests.faults.killing import Fault, Outcome, compare
from tests.faults.whole import torn

HELD = "another process writes this; wait for it, or name another --out"
LOST = "a worker process was killed"
MOST_S = 300.0
"""A job that takes longer hangs."""


def two_at_once(job: Job, made: Material, folder: Path, *, after_s: float = 0.0) -> Outcome:
    """Start a job twice in one folder, together or one later than the other.

    Each ends well, or is refused in one line, and one of them ends well; so the folder is that of a run that
    was alone.
    """
    outcome, command = Outcome(job=job.name), [sys.executable, *job.command(made)]
    undisturbed = made.undisturbed(job)
    folder.mkdir(parents=True)
    running = [_start(command, folder)]
    time.sleep(after_s)
    running.append(_start(command, folder))
    ended = [_end(command, process) for process in running]
    outcome.faults.append(Fault(stage=next(iter(job.stages)), told=f"a second process after {after_s} s"))
    problems = [one_line(each, "error: ") for each in ended if each.returncode]
    refused = [words for each in ended if each.returncode for words in each.stderr.splitlines()[-1:]]
    if all(each.returncode for each in ended) or any(problems):
        outcome.failed = "; ".join([*problems, *refused])
        return outcome
    outcome.torn += torn(folder)
    compare(job, folder, undisturbed, outcome)
    return outcome


def lose_a_worker(job: Job, made: Material, folder: Path, *options: str) -> Outcome:
    """Kill the first worker process that a job starts, then let the job go on without such a loss."""
    outcome, undisturbed = Outcome(job=job.name), made.undisturbed(job)
    command = [sys.executable, *job.command(made), *options]
    folder.mkdir(parents=True)
    process = _start(command, folder)
    _kill_a_worker(process)
    ended = _end(command, process)
    outcome.faults.append(Fault(stage=next(iter(job.stages)), told="a worker killed"))
    outcome.torn += torn(folder)
    again = _end(command, _start([*command, *job.resume], folder))
    outcome.failed = one_line(ended, LOST) or (again.stderr[-600:] if again.returncode else "")
    if not outcome.failed:
        outcome.torn += torn(folder)
        compare(job, folder, undisturbed, outcome)
    return outcome


def _kill_a_worker(process: "subprocess.Popen[str]") -> None:
    """Kill the first child that is a worker: it runs Python, and is not the tracker of resources."""
    end = time.monotonic() + MOST_S
    while process.poll() is None and time.monotonic() < end:
        for worker in _workers(process.pid):
            os.kill(worker, signal.SIGKILL)
            return
        time.sleep(0.01)


def _workers(pid: int) -> list[int]:
    found = []
    for child in psutil.Process(pid).children(recursive=True):
        try:
            words = " ".join(child.cmdline())
        except psutil.Error:
            continue
        if "spawn_main" in words or "popen_loky" in words:
            found.append(child.pid)
    return found


def _start(command: Sequence[str], folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command, cwd=folder, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def _end(command: Sequence[str], process: "subprocess.Popen[str]") -> "subprocess.CompletedProcess[str]":
    """Wait for the end of a process; one that hangs is killed, and ends with the code of that."""
    try:
        told = process.communicate(timeout=MOST_S)[1]
    except subprocess.TimeoutExpired:
        process.kill()
        told = process.communicate()[1] + "\nhangs"
    return subprocess.CompletedProcess(command, process.returncode, "", told)
