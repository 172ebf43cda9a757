"""The one error for input that a user can mend; the commands turn it into one line and exit code 2."""

import errno
from pathlib import Path

from llava_core.keys import without_secrets


class InputError(ValueError):
    """Input that cannot be used, told in one line.

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
        where += [f"record {record}"] if record is not None else []
        where += [f"field {field}"] if field is not None else []
        super().__init__(f"{', '.join(where)}: {problem}" if where else problem)
        self.problem = problem
        self.path = path
        self.record = record
        self.field = field


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
