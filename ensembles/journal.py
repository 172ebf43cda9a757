"""Optuna's journal of a study, in a file that outlives whoever wrote to it [edge].

Optuna holds others off by a link beside the journal, which a killed process leaves there: who comes next
waits half a minute, or for ever where the journal's path is relative. It also appends to a line that was torn
off, and then neither can be read. Here the system holds the lock, and lets go of it with the process; who
takes it cuts a torn line off first. What the line would have said is done again.
"""

import os
from pathlib import Path
from threading import Lock
from typing import Any

_PIECE_BYTES = 4096


def open_journal(path: Path) -> Any:
    """Open a journal, made if it is not there, as a storage of Optuna."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    lock: Any = JournalLock(path)  # Optuna does not export the base of its locks
    return JournalStorage(JournalFileBackend(str(path), lock_obj=lock))


class JournalLock:
    """Who holds it may append to a journal: one thread of one process, whose death lets go of it.

    Parameters
    ----------
    path : Path
        The journal.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._threads = Lock()
        self._handle = -1

    def acquire(self) -> bool:
        """Wait until nobody else holds it, and cut off a line that was torn."""
        import fcntl

        self._threads.acquire()
        self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        fcntl.flock(self._handle, fcntl.LOCK_EX)
        cut_torn_line(self._handle)
        return True

    def release(self) -> None:
        """Let the next one have it."""
        os.close(self._handle)
        self._threads.release()


def cut_torn_line(handle: int) -> None:
    """Cut off what stands behind the last line end of a file that is open for reading and writing."""
    size = end = os.fstat(handle).st_size
    while end:
        start = max(0, end - _PIECE_BYTES)
        line_end = os.pread(handle, end - start, start).rfind(b"\n")
        if line_end >= 0:
            end = start + line_end + 1
            break
        end = start
    if end < size:
        os.ftruncate(handle, end)
