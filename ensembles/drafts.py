"""Files that are whole or absent: written beside their place, then renamed [edge].

What `llava_core.drafts` does for the packages above, for estimators alone: neither package knows the other.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give the draft of a file, which takes its place at the end of the context.

    Other processes may write the same file at the same time. An error of the system names the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.writing")
    try:
        yield draft
        draft.replace(path)
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
    finally:
        draft.unlink(missing_ok=True)


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
