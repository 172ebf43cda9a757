"""One door to every kind of data set: the path says which reader it is for [edge]."""

from collections.abc import Callable
from pathlib import Path

from llava_core.data.example import Dataset
from llava_core.data.image_files import check_images
from llava_core.data.records import SUFFIXES
from llava_core.data.scienceqa import load_scienceqa
from llava_core.data.table import load_table
from llava_core.errors import InputError


def load_dataset(path: Path, *, progress: Callable[[int, int], None] | None = None) -> Dataset:
    """Read a folder in ScienceQA's layout, or a JSONL or parquet file, and check its images.

    Parameters
    ----------
    path : Path
        A folder with ``problems.json``, or a file that `load_table` reads.
    progress : callable, optional
        Called with the number of image files checked and in all.

    Raises
    ------
    InputError
        If there is nothing, something of another type, or its content is faulty, an image included.
    """
    path = Path(path)
    dataset = _read(path)
    check_images(dataset, progress=progress)
    return dataset


def _read(path: Path) -> Dataset:
    if path.is_dir():
        return load_scienceqa(path)
    if not path.exists():
        raise InputError("no such file or folder", path=path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"got a file of type {path.suffix or 'none'!r}, allowed are {', '.join(SUFFIXES)}, "
            "or a folder with problems.json",
            path=path,
        )
    return load_table(path)
