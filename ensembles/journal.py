"""Optuna's journal file, of which no full disk and no killed process spoils more than the last line [edge].

Optuna appends to whatever it finds. Behind half of a line that becomes a line that no process can read, and
the study is lost. Here such a half is cut off under the journal's lock before anything is appended, and at
once where it was this process that could not write all of it.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend, JournalFileSymlinkLock


def open_journal(path: Path) -> JournalStorage:
    """Open a journal, made where there is none."""
    return JournalStorage(_Journal(path))


class _Journal(BaseJournalBackend):
    """Reads as Optuna does, and appends whole lines."""

    def __init__(self, path: Path) -> None:
        # The lock is a link to the journal. A relative one leads nowhere, and after its holder was killed
        # Optuna would wait for ever: that nobody holds it is told by the journal's time of change.
        self._path = path.absolute()
        self._reader = JournalFileBackend(str(self._path))
        self._lock = JournalFileSymlinkLock(str(self._path))

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        """Return the entries from a number on, half a line at the end left out."""
        return self._reader.read_logs(log_number_from)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append entries, all of them or none."""
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        self._lock.acquire()
        try:
            end = _cut_half_line(self._path)
            try:
                with self._path.open("ab") as file:
                    file.write(lines.encode())
                    file.flush()
                    os.fsync(file.fileno())
            except OSError as error:
                os.truncate(self._path, end)
                raise OSError(error.errno, error.strerror, str(self._path)) from error
        finally:
            self._lock.release()


def _cut_half_line(path: Path) -> int:
    """Cut off what stands behind the last line end; return the size that is left."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - 1, 0))
        if file.read() in (b"\n", b""):
            return size
        file.seek(0)
        end = file.read().rfind(b"\n") + 1
    os.truncate(path, end)
    return end
