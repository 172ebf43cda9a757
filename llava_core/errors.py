"""The one error for input that a user can mend; the commands turn it into one line and exit code 2."""

import errno
import os
import re
import shutil
from concurrent.futures import BrokenExecutor
from contextlib import suppress
from pathlib import Path
from reprlib import Repr

from llava_core.keys import without_secrets

MOST_TOLD = 600
"""Signs of a message beyond the path; what a file holds may be of any length."""


class InputError(ValueError):
    """Input that cannot be used, told in one line of printable signs, whatever the input holds.

    Parameters
    ----------
    problem : str
        What is wrong: what was got and what is allowed.
    path : Path, optional
        File or folder that holds the fault.
    record : str, optional
        Record within the file (question id, line number, block name).
    field : str, optional
        Field within the record.

    Examples
    --------
    >>> print(InputError("got 7, allowed 0 to 3", path=Path("problems.json"), record="12", field="answer"))
    problems.json, record 12, field answer: got 7, allowed 0 to 3
    """

    def __init__(
        self,
        problem: str,
        *,
        path: Path | None = None,
        record: str | None = None,
        field: str | None = None,
    ) -> None:
        where = [str(path)] if path is not None else []
        where += [f"record {_short(record, 80)}"] if record is not None else []
        where += [f"field {_short(field, 80)}"] if field is not None else []
        self.problem = _printable(_short(problem, MOST_TOLD))
        super().__init__(_printable(": ".join([", ".join(where), self.problem] if where else [self.problem])))
        self.path = path
        self.record = record
        self.field = field


def shown(value: object) -> str:
    """Return a value of a file in few signs, however long or deeply nested it is.

    Examples
    --------
    >>> shown("north"), shown([1, [2, [3, [4, [5]]]]])
    ("'north'", '[1, [2, [3, [...]]]]')
    """
    return _REPR.repr(value)


def told_in_one_line(error: Exception) -> str | None:
    """Return what a user can mend: bad input, a full disk, a file out of reach, a worker that was killed.

    None for any other error. Keys and passwords are hidden.
    """
    if isinstance(error, InputError):
        return without_secrets(str(error))
    if isinstance(error, BrokenExecutor):
        return (
            "a worker process was killed, perhaps for want of memory; the same command goes on from here "
            "(of `studies`: with --resume)"
        )
    number = disk_error(error)
    if number is None:
        return None
    place = getattr(error, "filename", None)
    if number in (errno.ENOSPC, errno.EDQUOT):
        of_quota = " (the quota is used up)" if number == errno.EDQUOT else _free(place)
        return f"no space left on the disk while writing {place or 'the output'}{of_quota}"
    reason = os.strerror(number)
    return f"{place or 'the output'}: {reason[:1].lower()}{reason[1:]}"


def disk_error(error: Exception) -> int | None:
    """Return the number of the system's error about a file, whichever library tells it, or None.

    Examples
    --------
    >>> disk_error(RuntimeError("I/O error: No space left on device (os error 28)"))
    28
    """
    if isinstance(error, InputError):
        return None
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno if error.errno in _OF_DISKS or error.filename is not None else None
    told = str(error)
    if isinstance(error, OSError) and "requested and" in told:  # numpy, of a write that was cut short
        return errno.ENOSPC
    by_rust = re.search(r"\(os error (\d+)\)", told)
    if by_rust and int(by_rust[1]) in _OF_DISKS:
        return int(by_rust[1])
    return next((number for words, number in _OF_SQLITE.items() if words in told), None)


_OF_DISKS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
"""What a disk answers to a write; most libraries then name no file."""
_OF_SQLITE = {
    "database or disk is full": errno.ENOSPC,
    "attempt to write a readonly database": errno.EROFS,
    "disk I/O error": errno.EIO,
}
_REPR = Repr()
_REPR.maxlevel = 4
_REPR.maxstring = _REPR.maxother = 80
_REPR.maxlong = 40


def _free(place: str | None) -> str:
    """Return how much is free where a file was to be written, for a message."""
    if place is None:
        return ""
    for folder in Path(place).absolute().parents:
        with suppress(OSError):
            free = shutil.disk_usage(folder).free
            told = f"{free / 1e6:,.1f} MB" if free >= 1e6 else f"{free / 1e3:,.0f} kB"
            return f" ({told} free without it)"
    return ""


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _printable(text: str) -> str:
    """Return a text with line ends, control signs and halves of surrogate pairs as their escapes."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)
