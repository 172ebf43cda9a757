"""One door to every kind of data set: what stands at the path says which reader it is for [edge].

| at the path | reader |
|---|---|
| a folder with ``problems.json`` | `llava_core.data.scienceqa` |
| a folder with parquet files, or one with the column ``choices`` | `llava_core.data.scienceqa_parquet` |
| ``.json``, or ``.jsonl`` whose first object has ``conversations`` | `llava_core.data.scienceqa_records` |
| any other ``.jsonl`` or ``.parquet`` | `llava_core.data.table` |
"""

import json
from codecs import BOM_UTF8
from collections.abc import Callable
from pathlib import Path

from llava_core.data.example import Dataset
from llava_core.data.image_files import check_images
from llava_core.data.json_file import check_is_file
from llava_core.data.records import SUFFIXES
from llava_core.data.scienceqa import load_scienceqa
from llava_core.data.scienceqa_parquet import is_scienceqa_parquet, load_scienceqa_parquet, parquet_files
from llava_core.data.scienceqa_records import load_scienceqa_records
from llava_core.data.table import load_table
from llava_core.errors import InputError

Progress = Callable[[int, int], None]


def load_dataset(path: Path, *, progress: Progress | None = None) -> Dataset:
    """Read ScienceQA in any layout, or a JSONL or parquet file of one's own, and check its images.

    Parameters
    ----------
    path : Path
        Folder or file, see the table of this module.
    progress : callable, optional
        Called with (done, in all), of rows or bytes read and then of images checked.

    Raises
    ------
    InputError
        If there is nothing, something of another type, or its content is faulty, an image included.
    """
    path = Path(path)
    dataset = _read(path, progress)
    check_images(dataset, progress=progress)
    return dataset


def _read(path: Path, progress: Progress | None) -> Dataset:
    if path.is_dir():
        if not (path / "problems.json").exists() and parquet_files(path):
            return load_scienceqa_parquet(path, progress=progress)
        return load_scienceqa(path)
    if not path.exists():
        raise InputError("no such file or folder", path=path)
    check_is_file(path)
    if path.name == "problems.json":
        raise InputError(
            f"got one file of ScienceQA's layout, allowed is its folder, {path.parent}", path=path
        )
    kind = path.suffix.lower()
    if kind == ".json" or (kind == ".jsonl" and _holds_conversations(path)):
        return load_scienceqa_records(path, progress=progress)
    if kind not in SUFFIXES:
        raise InputError(
            f"got a file of type {path.suffix or 'none'!r}, allowed are {', '.join(SUFFIXES)}, "
            ".json with LLaVA records, or a folder with problems.json or parquet files",
            path=path,
        )
    if kind == ".parquet" and is_scienceqa_parquet(path):
        return load_scienceqa_parquet(path, progress=progress)
    return load_table(path)


def _holds_conversations(path: Path) -> bool:
    """Whether the first line is a record of LLaVA; a line that cannot be read is left to the reader."""
    with path.open("rb") as file:
        line = next((line for line in file if line.strip()), b"").removeprefix(BOM_UTF8)
    try:
        first = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(first, dict) and "conversations" in first
