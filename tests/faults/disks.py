"""Disks of a few megabytes that a job fills, or may not write to, and what has to hold at its end.

A disk is a tmpfs in a mount namespace of its own, so that no privilege is needed, nobody else sees it and
nothing stays mounted. From outside it is looked at through ``/proc``.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path

from tests.faults.jobs import Job, Material, environment
from tests.faults.killing import Fault, Outcome, compare
from tests.faults.whole import torn

PAGE_BYTES = 4096
ROOM_BYTES = 1 << 30
"""Of a disk on which everything fits."""


class Disk:
    """A small disk at a place, for the commands that are run in it.

    Parameters
    ----------
    place : Path
        An empty folder.
    size : int
        Bytes.
    """

    def __init__(self, place: Path, size: int) -> None:
        self.place = place
        script = 'mount -t tmpfs -o size="$1" disk "$2" && echo mounted && exec cat'
        apart = ["unshare", "--user", "--map-root-user", "--mount"]
        self._holder = subprocess.Popen(
            [*apart, "sh", "-c", script, "sh", str(size), str(place)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._holder.stdout is not None, "it is a pipe"
        if self._holder.stdout.readline() != "mounted\n":
            raise OSError(f"no disk can be mounted: {self._holder.communicate()[1].strip()}")
        self._enter = [
            "nsenter", "--preserve-credentials", "--user", "--mount", "--target", str(self._holder.pid),
        ]  # fmt: skip

    def copied(self, to: Path) -> Path:
        """Return a folder with all that is on the disk now."""
        return shutil.copytree(f"/proc/{self._holder.pid}/root{self.place}", to, symlinks=True)

    def remount(self, options: str) -> None:
        """Change the size, or whether the disk can be written to."""
        self.run("mount", "-o", f"remount,{options}", str(self.place), check=True)

    def run(self, *command: str, check: bool = False) -> "subprocess.CompletedProcess[str]":
        """Run a command that sees the disk, in its root."""
        within = [*self._enter, "env", f"--chdir={self.place}", *command]
        return subprocess.run(within, env=environment(), capture_output=True, text=True, check=check)

    def close(self) -> None:
        """Give the disk back, with all that is on it."""
        self._holder.communicate()


@contextmanager
def disk(place: Path, size: int = ROOM_BYTES) -> Iterator[Disk]:
    """Open a disk at a place, which is made."""
    place.mkdir(parents=True)
    opened = Disk(place.resolve(), size)
    try:
        yield opened
    finally:
        opened.close()


def fill(job: Job, made: Material, folder: Path, *, share: float) -> Outcome:
    """Run a job on a disk that has a share of what it needs, then make room and let it go on."""
    outcome, place = Outcome(job=job.name), folder / "disk"
    size = max(1, int(share * pages(made.undisturbed(job)))) * PAGE_BYTES
    with disk(place, size) as full:
        ended = full.run(sys.executable, *job.command(made))
        left = full.copied(folder / "left")
        outcome.torn += torn(left)
        problem = no_space(ended, place)
        outcome.faults.append(Fault(stage=stage_of(job, ended, place), told=f"{size} bytes"))
        full.remount(f"size={ROOM_BYTES}")
        begun = any((left / "out").glob("*"))
        again = full.run(sys.executable, *job.command(made), *(job.resume if begun else ()))
        if problem or again.returncode:
            outcome.failed = problem or f"exit code {again.returncode}: {again.stderr[-600:]}"
        else:
            end = full.copied(folder / "end")
            outcome.torn += torn(end)
            compare(job, end, made.undisturbed(job), outcome)
    return outcome


def stage_of(job: Job, ended: "subprocess.CompletedProcess[str]", place: Path) -> str:
    """Return the stage of the file that the last words of a command name."""
    file = str(place / named(ended)).removeprefix(f"{place}/")
    stages = (stage for stage, names in job.stages.items() if any(fnmatch(file, name) for name in names))
    return next(stages, next(iter(job.stages)))


def named(ended: "subprocess.CompletedProcess[str]") -> str:
    """Return the file that could not be written, as a command's last words name it."""
    return ended.stderr.rpartition("while writing ")[2].rpartition(" (")[0]


def pages(folder: Path) -> int:
    """Return how many pages of a disk what stands in a folder takes."""
    return sum(-(-file.stat().st_size // PAGE_BYTES) for file in folder.rglob("*") if file.is_file())


def no_space(ended: "subprocess.CompletedProcess[str]", place: Path) -> str:
    """Return what is wrong with the end of a command that met a full disk at a place, nothing if it is right.

    The line names a file there, in full or relative to the place.
    """
    problem = one_line(ended, "error: no space left on the disk while writing ")
    is_there = (place / named(ended)).is_relative_to(place)
    return problem or ("" if is_there else f"names no file there: {ended.stderr[-600:]}")


def one_line(ended: "subprocess.CompletedProcess[str]", told: str) -> str:
    """Return what is wrong with the end of a command that should end in this line, nothing if it is right."""
    lines = ended.stderr.splitlines()
    errors = [line for line in lines if "error" in line.lower() or "Traceback" in line]
    if ended.returncode != 2 or not lines or errors != lines[-1:] or not errors[0].startswith("error: "):
        return f"exit code {ended.returncode}: {ended.stderr[-600:]}"
    return "" if told in errors[0] else f"{told!r} is not what it said: {errors[0]}"
