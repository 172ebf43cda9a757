"""Reader of ScienceQA in Hugging Face's parquet layout, ``derek-thomas/ScienceQA`` and its copies [edge].

Files ``train-*.parquet``, ``validation-*.parquet`` and ``test-*.parquet``, in a folder or its ``data/``, or
one such file, have the columns ``image question choices answer hint task grade subject topic category skill
lecture solution``; ``image`` is null or a structure whose ``bytes`` hold the file. The part ``validation`` is
called ``val``, as in the official layout. There are no question ids: a column ``pid`` or ``id`` is taken
where a copy has one, otherwise the id is the file's part and the row counted from 0, ``validation-17``, which
is the row that the data set's viewer shows. So published answers, which go by the official ids, fit only with
such a column.

Images are written once into a folder of the user's cache (``XDG_CACHE_HOME``, else ``~/.cache``), each named
by the hash of its bytes: whatever comes after the readers, decoding threads, other processes, reports and
records for training, names an image by its file. All of ScienceQA takes 0.6 GB there.
"""

import hashlib
import io
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from llava_core.data.example import Dataset
from llava_core.data.image_files import opened_image
from llava_core.data.parquet_file import reading_parquet
from llava_core.data.scienceqa_dataset import TEXT_FIELDS, make_dataset
from llava_core.drafts import whole_file
from llava_core.errors import InputError
from llava_core.folders import cache_folder

COLUMNS = ("image", "question", "choices", "answer", *TEXT_FIELDS)
"""All but ``image``, ``question``, ``choices`` and ``answer`` may be missing."""

_PARTS = {"train": "train", "validation": "val", "val": "val", "test": "test"}
_ID_COLUMNS = ("pid", "id")
_BATCH_ROWS = 256
"""Rows whose images are in memory together."""

Progress = Callable[[int, int], None]


def parquet_files(folder: Path) -> list[Path]:
    """Return the parquet files of a folder in this layout; none if it is another."""
    return sorted(folder.glob("*.parquet")) or sorted(folder.glob("data/*.parquet"))


def is_scienceqa_parquet(path: Path) -> bool:
    """Whether a parquet file has this layout's columns rather than those of a question file of one's own."""
    names = set(_open(path).schema_arrow.names)
    return {"question", "choices", "answer"} <= names and "options" not in names


def load_scienceqa_parquet(path: Path, *, progress: Progress | None = None) -> Dataset:
    """Read a folder or a file in Hugging Face's layout.

    Parameters
    ----------
    path : Path
    progress : callable, optional
        Called with (rows read, rows in all).

    Returns
    -------
    Dataset
        In the order of train, val, test, and of the rows.

    Raises
    ------
    InputError
        If a file is broken, lacks a column, or does not tell its part; the message names file and row.
    """
    path = Path(path)
    files = [path] if path.is_file() else parquet_files(path)
    told = [(file, _part(file, alone=len(files) == 1)) for file in files]
    told.sort(key=lambda each: list(_PARTS).index(each[1]) if each[1] else -1)
    n_rows = sum(_open(file).metadata.num_rows for file, _ in told)
    problems: dict[str, Any] = {}
    splits: dict[str, str] = {}
    images: dict[str, Path] = {}
    n_before: dict[str | None, int] = {}
    cache = cache_folder("images")
    for file, part in told:
        for where, row in _rows(file):
            number = n_before.get(part, 0)
            n_before[part] = number + 1
            pid = _id(file, where, row) or f"{part or 'row'}-{number}"
            if pid in problems:
                raise InputError(
                    f"got {pid!r} again, allowed is one row per question", path=file, record=where
                )
            content = _content(file, where, row.get("image"))
            problems[pid] = {name: row.get(name) for name in COLUMNS} | {
                "image": None if content is None else "image"
            }
            if part is not None:
                splits[pid] = _PARTS[part]
            if content is not None:
                images[pid] = _kept(content, cache, file, where)
            if progress is not None and len(problems) % _BATCH_ROWS == 0:
                progress(len(problems), n_rows)
    if not problems:
        raise InputError("holds no questions", path=path)
    return make_dataset(
        path,
        problems,
        name=path.resolve().stem,
        splits=splits,
        find_image=lambda pid, _: images.get(pid),
        fingerprint_parts=(problems, splits),
    )


def _open(path: Path) -> Any:
    import pyarrow.parquet as pq

    with reading_parquet(path):
        return pq.ParquetFile(path)


def _part(file: Path, *, alone: bool) -> str | None:
    found = re.match(rf"({'|'.join(_PARTS)})\b", file.name)
    if found is None and not alone:
        raise InputError(
            f"got {file.name!r}, allowed are names that begin with {', '.join(_PARTS)}", path=file
        )
    return found[1] if found else None


def _rows(file: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each row with the place a user finds it at, counted from 0."""
    table = _open(file)
    lacking = [name for name in ("question", "choices", "answer") if name not in table.schema_arrow.names]
    if lacking:
        raise InputError(f"lacks the columns {', '.join(lacking)}", path=file)
    wanted = [name for name in (*_ID_COLUMNS, *COLUMNS) if name in table.schema_arrow.names]
    number = 0
    with reading_parquet(file):
        for batch in table.iter_batches(batch_size=_BATCH_ROWS, columns=wanted):
            for row in batch.to_pylist():
                yield f"row {number}", row
                number += 1


def _id(file: Path, where: str, row: Mapping[str, Any]) -> str | None:
    name = next((name for name in _ID_COLUMNS if name in row), None)
    if name is None:
        return None
    if not isinstance(row[name], str | int):
        raise InputError(
            f"got {row[name]!r}, allowed is a text or a whole number", path=file, record=where, field=name
        )
    return str(row[name])


def _content(file: Path, where: str, image: Any) -> bytes | None:
    if image is None:
        return None
    content = image.get("bytes") if isinstance(image, dict) else None
    if not isinstance(content, bytes):
        raise InputError(
            "got no bytes, allowed is null or a structure with the bytes of an image file",
            path=file,
            record=where,
            field="image",
        )
    return content


def _kept(content: bytes, cache: Path, file: Path, where: str) -> Path:
    """Return the file in the cache that has these bytes, written if it is not there."""
    digest = hashlib.sha256(content).hexdigest()
    try:
        with opened_image(io.BytesIO(content)) as image:
            kind = (image.format or "image").lower()
    except InputError as error:
        raise InputError(error.problem, path=file, record=where, field="image") from None
    place = cache / digest[:2] / f"{digest}.{kind}"
    if not place.is_file() or place.stat().st_size != len(content):
        with whole_file(place, shared=True) as draft:
            draft.write_bytes(content)
    return place
