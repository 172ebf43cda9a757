"""Loaded by the interpreters of a command under fault: writes down file events, and kills at the N-th.

An event is what a process of the command is about to do to a file of the run's folder: open it for writing,
rename, remove, make. Killing just before one lands between "written" and "renamed", where clocks seldom do.
``FAULTS_FOLDER`` is the folder, ``FAULTS_EVENTS`` takes a line ``seconds event path`` for each,
``FAULTS_AT`` is the number of the event that does not come to pass, and ``FAULTS_ALONE`` says that other
processes of the command live on. The product knows nothing of it.
"""

import os
import signal
import sys
import time
from threading import Lock
from typing import Any

CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


def place_of(event: str, args: tuple[Any, ...]) -> str | None:
    """Return the absolute path that an event changes, None if it changes none."""
    folder_fd = -1
    if event == "open":
        path = args[0] if (args[2] or 0) & WRITES else None
    elif event in CHANGES:
        path = args[1] if event in ("os.rename", "os.link", "os.symlink") else args[0]
        folder_fd = args[-1] if isinstance(args[-1], int) and event in ("os.remove", "os.rmdir") else -1
    else:
        path = None
    if path is None or isinstance(path, int):
        return None
    above = os.readlink(f"/proc/self/fd/{folder_fd}") if folder_fd >= 0 else os.getcwd()  # noqa: PTH109, PTH115
    return os.path.join(above, os.fsdecode(path))  # noqa: PTH118 - pathlib is not loaded yet


def watch(folder: str, events: str, at: int, *, alone: bool) -> None:
    """Write events down, and kill all processes of the session, or the first of them, at one event."""
    file, numbers = (
        os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND) for path in (events, f"{events}.n")
    )
    lock, begun, main = Lock(), time.monotonic(), os.getsid(0)

    def note(event: str, args: tuple[Any, ...]) -> None:
        place = place_of(event, args)
        if place is None or not place.startswith(folder + os.sep):
            return
        with lock:  # where the byte was appended is its number among those of all processes
            os.write(numbers, b".")
            number = os.lseek(numbers, 0, os.SEEK_CUR)
        if number == at:
            os.kill(main, signal.SIGKILL) if alone else os.killpg(main, signal.SIGKILL)
        os.write(file, f"{time.monotonic() - begun:.4f} {event} {place[len(folder) + 1 :]}\n".encode())

    sys.addaudithook(note)


if "FAULTS_EVENTS" in os.environ:
    watch(
        os.environ["FAULTS_FOLDER"],
        os.environ["FAULTS_EVENTS"],
        int(os.environ.get("FAULTS_AT", "0")),
        alone="FAULTS_ALONE" in os.environ,
    )
