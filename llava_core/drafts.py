"""Results that are whole or absent: written beside their place, then renamed [edge].

Whatever fails on the way leaves nothing behind, and an error of the system names the result, whichever
library met it: few name the file that they were writing, and those in Rust tell the error in words only.
`ensembles.drafts` does the same for the estimators' package.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from llava_core.errors import disk_error


@contextmanager
def whole_file(path: Path, *, shared: bool = False) -> Iterator[Path]:
    """Give the draft of a file, which takes its place at the end of the context.

    Parameters
    ----------
    path : Path
        The folder is made where it is missing.
    shared : bool
        Other processes may write the same file at the same time; the last one's stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    owner = f".{os.getpid()}" if shared else ""
    draft = path.with_name(f".{path.name}{owner}.writing")
    with naming(path, draft=draft):
        try:
            draft.unlink(missing_ok=True)  # by a process that was killed
            yield draft
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)


@contextmanager
def naming(path: Path, *, draft: Path | None = None) -> Iterator[None]:
    """Let an error of the disk name a file, unless it names one itself.

    Parameters
    ----------
    path : Path
    draft : Path, optional
        Where an error names the draft, or a file in it, it is to name what the draft becomes.
    """
    try:
        yield
    except Exception as error:
        number = disk_error(error)
        if number is None:
            raise
        named = str(getattr(error, "filename", None) or path)
        if draft is not None and named.startswith(str(draft)):
            named = f"{path}{named[len(str(draft)) :]}"
        raise OSError(number, os.strerror(number), named) from error


def save_array(path: Path, array: NDArray[Any]) -> None:
    """Write an array as ``.npy``.

    numpy itself writes through a C stream and overlooks that the last page did not fit on the disk.
    """
    with path.open("wb") as file:
        np.save(_Plain(file), array, allow_pickle=False)


class _Plain:
    """A file that numpy takes for a stream of Python's."""

    def __init__(self, file: IO[bytes]) -> None:
        self.write = file.write
