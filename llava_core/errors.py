"""The one error for input that a user can mend; the commands turn it into one line and exit code 2."""

import errno
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


def told_in_one_line(error: InputError | OSError) -> str | None:
    """Return what a user can mend: bad input, a full disk, a file that cannot be read or written.

    None for any other error of the system. numpy tells a short write without an error number. Keys and
    passwords are hidden.
    """
    if isinstance(error, InputError):
        return without_secrets(str(error))
    short = error.errno is None and "requested and" in str(error)
    if short or error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"no space left on the disk while writing {error.filename or 'the output folder'}"
    if error.filename is None or error.strerror is None:
        return None
    return f"{error.filename}: {error.strerror[:1].lower()}{error.strerror[1:]}"


_REPR = Repr()
_REPR.maxlevel = 4
_REPR.maxstring = _REPR.maxother = 80
_REPR.maxlong = 40


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _printable(text: str) -> str:
    """Return a text with line ends, control signs and halves of surrogate pairs as their escapes."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)
