"""Replies that were paid for, in one SQLite file: a run that was killed asks for none of them again [edge].

A reply is known by all that it depends on: the model, the messages, temperature, length, and which attempt it
was. It is on the disk before anyone sees it.
"""

import hashlib
import json
import os
import sqlite3
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Self

from llava_core.backends.budget import Usage
from llava_core.backends.chat import Backend, Reply, Request
from llava_core.errors import InputError, disk_error

_WAIT_S = 60
"""For another process that writes to the same file."""


class ReplyCache:
    """Replies by request.

    Parameters
    ----------
    path : Path or None
        File, made where there is none; None keeps replies in memory.

    Raises
    ------
    InputError
        If there is another kind of file, or its folder cannot be written to.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = Lock()
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path or ":memory:", check_same_thread=False, timeout=_WAIT_S)
            with self._db:
                self._db.execute(
                    "CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, text TEXT NOT NULL, "
                    "finish TEXT NOT NULL, n_prompt_tokens INTEGER NOT NULL, "
                    "n_completion_tokens INTEGER NOT NULL)"
                )
        except sqlite3.Error as error:
            raise _told(error, path, "cannot be used as a cache of replies") from None

    def get(self, backend: Backend, request: Request) -> Reply | None:
        """Return the reply to a request, None where there is none yet."""
        row = self._run(
            "SELECT text, finish, n_prompt_tokens, n_completion_tokens FROM replies WHERE key = ?",
            (_key(backend, request),),
        )
        if row is None:
            return None
        text, finish, n_prompt_tokens, n_completion_tokens = row
        return Reply(
            text=text,
            finish=finish,
            n_prompt_tokens=n_prompt_tokens,
            n_completion_tokens=n_completion_tokens,
        )

    def put(self, backend: Backend, request: Request, reply: Reply) -> None:
        """Keep a reply; it has reached the disk on return."""
        self._run(
            "INSERT OR REPLACE INTO replies VALUES (?, ?, ?, ?, ?)",
            (
                _key(backend, request),
                reply.text,
                reply.finish,
                reply.n_prompt_tokens,
                reply.n_completion_tokens,
            ),
        )

    @property
    def spent(self) -> Usage:
        """What all replies in the file took."""
        row = self._run(
            "SELECT COUNT(*), COALESCE(SUM(n_prompt_tokens), 0), COALESCE(SUM(n_completion_tokens), 0) "
            "FROM replies"
        )
        assert row is not None
        return Usage(n_requests=row[0], n_prompt_tokens=row[1], n_completion_tokens=row[2])

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self, statement: str, values: tuple[object, ...] = ()) -> tuple[Any, ...] | None:
        """Execute one statement and return its first row."""
        try:
            with self._lock, self._db:
                row: tuple[Any, ...] | None = self._db.execute(statement, values).fetchone()
                return row
        except sqlite3.Error as error:
            raise _told(error, self._path, "the cache of replies cannot be used") from None


def _told(error: sqlite3.Error, path: Path | None, problem: str) -> InputError | OSError:
    """Return what to raise: of a full disk, say, the error that all others raise who write to it."""
    number = disk_error(error)
    if number is None:
        return InputError(f"{problem} ({error})", path=path)
    return OSError(number, os.strerror(number), str(path))


def _key(backend: Backend, request: Request) -> str:
    told = [
        backend.name,
        [[message.role, message.text] for message in request.messages],
        request.temperature,
        request.max_tokens,
        request.attempt,
    ]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()
