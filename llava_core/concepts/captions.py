"""Captioned images from TSV, JSONL and parquet files, in chunks [edge].

A TSV file has a header that names the caption's column, or, like the files of CC3M, none: then a line is a
caption, a tab and a URL. There are no quotes in TSV; a caption with a tab is a bad line. A file of any size
is read in chunks. Left out: CSV, whose quoting differs from writer to writer.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any, cast

from llava_core.data.json_file import check_is_file
from llava_core.data.json_stream import json_records
from llava_core.data.parquet_file import reading_parquet
from llava_core.errors import InputError, shown

SUFFIXES = (".tsv", ".txt", ".jsonl", ".json", ".parquet")
CHUNK_CAPTIONS = 20_000
"""Captions that are handed on together."""
_CC3M = ("caption", "url")


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """Names of columns or fields; one that is None is taken where it stands under its usual name."""

    caption: str = "caption"
    id: str | None = None
    image: str | None = None
    url: str | None = None
    need_image: bool = False
    """A record without an image is a bad one."""

    def in_file(self) -> tuple[tuple[str, bool], ...]:
        """Return of caption, id, image and URL the name in the file, and whether it has to be there."""
        return (
            (self.caption, True),
            *((ours, False) if name is None else (name, True) for ours, name in self._others()),
        )

    def _others(self) -> tuple[tuple[str, str | None], ...]:
        return (("id", self.id), ("image", self.image), ("url", self.url))


@dataclass(frozen=True, kw_only=True, slots=True)
class CaptionChunk:
    """Captions that stand one after the other in a file, without bad ones that are passed over."""

    path: Path
    rows: list[int]
    """Line, record or row of each, counted from 0."""
    captions: list[str]
    ids: list[str | None]
    images: list[str | None]
    urls: list[str | None]
    done: int
    """How far this is in the file, of ``total``."""
    total: int


BadRecord = Callable[[InputError], None]


def caption_chunks(
    path: Path, columns: Columns, *, size: int = CHUNK_CAPTIONS, on_bad: BadRecord | None = None
) -> Iterator[CaptionChunk]:
    """Yield the captions of a file.

    Parameters
    ----------
    path : Path
        ``.tsv`` or ``.txt``, ``.jsonl`` or ``.json`` (a list), ``.parquet``.
    columns : Columns
    size : int
        Captions in a chunk; the last one may have fewer.
    on_bad : callable, optional
        Called with the fault of a record that is then passed over; otherwise the first one is raised.
        Broken JSON is always raised, since where the next record begins is not known.

    Raises
    ------
    InputError
        If the file is missing, broken, of another type or without captions, or a column is not there.
    """
    kind = path.suffix.lower()
    if kind not in SUFFIXES:
        raise InputError(
            f"got a file of type {kind or 'none'!r}, allowed are {', '.join(SUFFIXES)}", path=path
        )
    check_is_file(path)
    if kind == ".parquet":
        read = _from_parquet(path, columns, size)
    elif kind in (".jsonl", ".json"):
        read = _from_json(path, columns)
    else:
        read = _from_tsv(path, columns)
    n_captions = 0
    for chunk in _chunks(read, columns, path, size, on_bad):
        n_captions += len(chunk.captions)
        yield chunk
    if not n_captions:
        raise InputError("holds no captions", path=path)


_OTHERS = ("id", "image", "url")
_Fields = tuple[Any, Any, Any, Any]
"""Caption, id, image and URL as a file has them; None for what it has not."""
_Texts = tuple[str, str | None, str | None, str | None]
_Read = Iterator[tuple[int, str, _Fields | InputError, int, int]]
"""Row, where a user finds it, its fields (or why there are none), done, total."""


def _chunks(
    read: _Read, columns: Columns, path: Path, size: int, on_bad: BadRecord | None
) -> Iterator[CaptionChunk]:
    rows: list[int] = []
    kept: list[_Texts] = []
    done = total = 0

    def chunk() -> CaptionChunk:
        captions, ids, images, urls = (list(column) for column in zip(*kept, strict=True))
        return CaptionChunk(
            path=path, rows=list(rows), captions=captions, ids=ids, images=images, urls=urls,
            done=done, total=total,
        )  # fmt: skip

    for row, where, fields, done, total in read:  # noqa: B007 (chunk() reads them)
        try:
            if isinstance(fields, InputError):
                raise fields
            told = _told(fields, columns, path, where)
        except InputError as fault:
            if on_bad is None:
                raise
            on_bad(fault)
            continue
        rows.append(row)
        kept.append(told)
        if len(kept) == size:
            yield chunk()
            rows.clear()
            kept.clear()
    if kept:
        yield chunk()


def _told(fields: _Fields, columns: Columns, path: Path, where: str) -> _Texts:
    """Return the four fields as texts.

    Raises
    ------
    InputError
        If one of them is nothing that it may be.
    """
    caption, *others = fields
    if not isinstance(caption, str) or not caption.strip():
        got = "nothing" if caption is None else shown(caption)
        raise InputError(f"got {got}, allowed is a text with words", path=path, record=where, field="caption")
    for at, value in enumerate(others):
        if value is None or isinstance(value, str):
            continue
        if isinstance(value, bool) or not isinstance(value, int):
            raise InputError(
                f"got {shown(value)}, allowed is a text or a whole number",
                path=path,
                record=where,
                field=_OTHERS[at],
            )
        others[at] = str(value)
    if columns.need_image and not others[1]:
        raise InputError(
            "got nothing, allowed is the image of a record: name its column, or a pattern of names",
            path=path,
            record=where,
            field="image",
        )
    return (" ".join(caption.split()), others[0], others[1], others[2])


def _from_tsv(path: Path, columns: Columns) -> _Read:
    total = path.stat().st_size
    done = 0
    with path.open("rb") as file:
        names: list[str] | None = None
        places: list[int | None] = []
        row = -1
        for number, line in enumerate(file, start=1):
            done += len(line)
            where = f"line {number}"
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                row += 1
                fault = InputError(f"not UTF-8 text (byte {error.start})", path=path, record=where)
                yield row, where, fault, done, total
                continue
            cells = text.split("\t")
            if names is None:
                names, is_header = _names(cells, path, columns)
                places = [names.index(name) if name in names else None for name, _ in columns.in_file()]
                if is_header:
                    continue
            if not text.strip():
                continue
            row += 1
            if len(cells) != len(names):
                problem = f"got {len(cells)} cells, allowed are {len(names)}: {', '.join(names)}"
                yield row, where, InputError(problem, path=path, record=where), done, total
                continue
            found = tuple(cells[place] or None if place is not None else None for place in places)
            yield row, where, cast("_Fields", found), done, total


def _names(cells: Sequence[str], path: Path, columns: Columns) -> tuple[list[str], bool]:
    """Return the names of a TSV file's columns, and whether its first line tells them."""
    is_header = columns.caption in cells
    names = list(cells) if is_header else list(_CC3M)
    _check_columns(names, path, columns, what="a header with" if not is_header else "a column of the header:")
    return names, is_header


def _check_columns(names: Sequence[str], path: Path, columns: Columns, *, what: str) -> None:
    for name, needed in columns.in_file():
        if needed and name not in names:
            raise InputError(f"got columns {', '.join(names)}, allowed is {what} {name!r}", path=path)


def _from_json(path: Path, columns: Columns) -> _Read:
    total = path.stat().st_size
    in_file = columns.in_file()
    for record in json_records(path):
        where = str(record.number)
        fields: Any = tuple(record.fields.get(name) for name, _ in in_file)
        absent = [name for name, needed in in_file if needed and name not in record.fields]
        if absent:
            fields = InputError("got nothing, allowed is a value", path=path, record=where, field=absent[0])
        yield record.number - 1, where, fields, record.end, total


def _from_parquet(path: Path, columns: Columns, size: int) -> _Read:
    import pyarrow.parquet as pq

    with reading_parquet(path), pq.ParquetFile(path) as file:
        names = file.schema_arrow.names
        _check_columns(names, path, columns, what="a file with column")
        wanted = [name if name in names else None for name, _ in columns.in_file()]
        total, row = file.metadata.num_rows, 0
        for batch in file.iter_batches(batch_size=size, columns=sorted({n for n in wanted if n})):
            values = [repeat(None) if n is None else batch.column(n).to_pylist() for n in wanted]
            for fields in zip(*values, strict=False):  # absent columns have no end
                row += 1
                yield row - 1, f"row {row}", fields, row, total
