"""Captioned images from TSV, JSONL and parquet files, in chunks [edge].

A TSV file has a header that names the caption's column, or, like the files of CC3M, none: then a line is a
caption, a tab and a URL. There are no quotes in TSV; a caption with a tab is a bad line. A file of any size
is read in chunks. Left out: CSV, whose quoting differs from writer to writer.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llava_core.data.json_stream import json_records
from llava_core.errors import InputError

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

    def usual(self) -> dict[str, tuple[str, bool]]:
        """Return for each of ours: the name in the file, and whether it has to be there."""
        named = {"id": self.id, "image": self.image, "url": self.url}
        return {"caption": (self.caption, True)} | {
            ours: (ours if name is None else name, name is not None) for ours, name in named.items()
        }


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
    if not path.is_file():
        raise InputError("no such file", path=path)
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


_Read = Iterator[tuple[int, str, Mapping[str, Any] | InputError, int, int]]
"""Row, where a user finds it, its fields by our names (or why there are none), done, total."""


def _chunks(
    read: _Read, columns: Columns, path: Path, size: int, on_bad: BadRecord | None
) -> Iterator[CaptionChunk]:
    rows: list[int] = []
    kept: list[tuple[str, str | None, str | None, str | None]] = []
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


def _told(
    fields: Mapping[str, Any], columns: Columns, path: Path, where: str
) -> tuple[str, str | None, str | None, str | None]:
    caption = fields.get("caption")
    if not isinstance(caption, str) or not caption.strip():
        got = "nothing" if caption is None else repr(caption)
        raise InputError(f"got {got}, allowed is a text with words", path=path, record=where, field="caption")
    others: list[str | None] = []
    for name in ("id", "image", "url"):
        value = fields.get(name)
        if isinstance(value, bool) or not (value is None or isinstance(value, str | int)):
            raise InputError(
                f"got {value!r}, allowed is a text or a whole number", path=path, record=where, field=name
            )
        others.append(None if value is None else str(value))
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
                if is_header:
                    continue
            if not text.strip():
                continue
            row += 1
            if len(cells) != len(names):
                problem = f"got {len(cells)} cells, allowed are {len(names)}: {', '.join(names)}"
                yield row, where, InputError(problem, path=path, record=where), done, total
                continue
            by_name = dict(zip(names, cells, strict=True))
            found = {ours: by_name.get(name) or None for ours, (name, _) in columns.usual().items()}
            yield row, where, found, done, total


def _names(cells: Sequence[str], path: Path, columns: Columns) -> tuple[list[str], bool]:
    """Return the names of a TSV file's columns, and whether its first line tells them."""
    is_header = columns.caption in cells
    names = list(cells) if is_header else list(_CC3M)
    _check_columns(names, path, columns, what="a header with" if not is_header else "a column of the header:")
    return names, is_header


def _check_columns(names: Sequence[str], path: Path, columns: Columns, *, what: str) -> None:
    for ours, (name, needed) in columns.usual().items():
        if needed and name not in names:
            raise InputError(
                f"got columns {', '.join(names)}, allowed is {what} {name!r}", path=path, field=ours
            )


def _from_json(path: Path, columns: Columns) -> _Read:
    total = path.stat().st_size
    usual = columns.usual()
    for record in json_records(path):
        where = str(record.number)
        fields: Mapping[str, Any] | InputError = {
            ours: record.fields.get(name) for ours, (name, _) in usual.items()
        }
        absent = [name for name, needed in usual.values() if needed and name not in record.fields]
        if absent:
            fields = InputError("got nothing, allowed is a value", path=path, record=where, field=absent[0])
        yield record.number - 1, where, fields, record.end, total


def _from_parquet(path: Path, columns: Columns, size: int) -> _Read:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            _check_columns(names, path, columns, what="a file with column")
            wanted = {ours: name for ours, (name, _) in columns.usual().items() if name in names}
            total, row = file.metadata.num_rows, 0
            for batch in file.iter_batches(batch_size=size, columns=sorted(set(wanted.values()))):
                values = {ours: batch.column(name).to_pylist() for ours, name in wanted.items()}
                for at in range(batch.num_rows):
                    row += 1
                    yield row - 1, f"row {row}", {ours: v[at] for ours, v in values.items()}, row, total
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"cannot be read as parquet: {str(error).splitlines()[0]}", path=path) from None
