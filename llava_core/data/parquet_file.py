"""Parquet files of the user, with one clear line for what is missing or broken [edge]."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llava_core.data.json_file import check_is_file
from llava_core.errors import InputError


@contextmanager
def reading_parquet(path: Path) -> Iterator[None]:
    """Tell whatever reading a parquet file comes upon inside the block as bad input.

    Arrow raises errors of its own for a broken file and Python's for what becomes no Python value: text that
    is not UTF-8, a column that stands there twice, a date beyond its calendar.

    Raises
    ------
    InputError
        If the file is missing, no regular file, or cannot be read.
    """
    check_is_file(path)
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        told = str(error).strip() or type(error).__name__
        raise InputError(f"cannot be read as parquet: {told.splitlines()[0]}", path=path) from None
