"""Reader of a user's own questions: one JSONL or parquet file, in one of two shapes [edge].

A question file has one record per question: ``id question options answer``, optionally ``image group split``
and the text fields of `Example` (``hint caption ocr subject topic category skill grade task lecture
solution``). ``answer`` counts from 0; null or absent means unlabelled. ``image`` is a path relative to the
file. Further columns go to ``Example.extra``: a list of numbers is a vector of the question, a list with one
list of numbers per option holds a vector of each option.

An option table (it has ``option`` instead of ``options``) has one row per option: ``id option correct``,
where ``option`` is a text, or a number where there are no texts. Fields of a question file may stand in it
too, equal in all rows of a question. Every further column is the user's own, a number or a list of numbers
per row, and becomes ``Example.extra[column]``: float32, shape (n_options, width), NaN where null.

Without ``group``, families come from question text and image (`llava_core.data.families`); a question
without a text and an image is a family of its own. Left out: CSV, whose cells do not say what is a list.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from llava_core.data.example import Dataset, Example, Gap
from llava_core.data.families import assign_families
from llava_core.data.image_files import find_image, hash_file, hash_images
from llava_core.data.option_rows import questions_of
from llava_core.data.records import Record, read_records
from llava_core.errors import InputError, shown

TEXT_FIELDS = (
    *("hint", "caption", "ocr", "subject", "topic", "category"),
    *("skill", "grade", "task", "lecture", "solution"),
)
"""Optional texts of a question, named as in `Example`."""
_QUESTION_FIELDS = ("question", "image", "group", "split", *TEXT_FIELDS)
_NEEDED = ("id", "question", "options")


def load_table(path: Path) -> Dataset:
    """Read a question file or an option table.

    Parameters
    ----------
    path : Path
        File with the suffix ``.jsonl`` or ``.parquet``.

    Returns
    -------
    Dataset
        In file order. Its fingerprint covers the bytes of the file and of the images.

    Raises
    ------
    InputError
        If the file is missing or broken, or a record breaks the shape; the message names line or row,
        field, what was got and what is allowed.
    """
    path = Path(path)
    records = read_records(path)
    if any("option" in record.fields and "options" not in record.fields for record in records):
        records = questions_of(path, records, question_fields=_QUESTION_FIELDS)
    records = [_whole_answer(record) for record in records]
    for record in records:
        _check(path, record)
    _check_ids(path, records)
    for field in ("group", "split"):
        _check_all_or_none(path, records, field)
    _check_widths(path, records)

    images = [_image(path, record) for record in records]
    image_hashes = hash_images(images)
    ids = [str(record.fields["id"]) for record in records]
    computed = assign_families(
        ids,
        # A text of its own keeps questions without a text apart.
        [record.fields["question"] or f"id {key}" for key, record in zip(ids, records, strict=True)],
        image_hashes,
    )
    examples = tuple(
        _example(record, example_id=key, image=image, family=family)
        for key, record, image, family in zip(ids, records, images, computed, strict=True)
    )
    content = "\n".join([hash_file(path), *(digest or "" for digest in image_hashes)])
    return Dataset(
        name=path.stem,
        examples=examples,
        fingerprint=hashlib.sha256(content.encode()).hexdigest(),
        gaps=_gaps(examples),
    )


def _example(record: Record, *, example_id: str, image: Path | None, family: str) -> Example:
    fields = record.fields
    named = {"id", "answer", "options", *_QUESTION_FIELDS}
    return Example(
        id=example_id,
        question=fields["question"],
        options=tuple(fields["options"]),
        answer=fields.get("answer"),
        split=fields.get("split"),
        group=str(fields.get("group", family)),
        image=image,
        has_image=image is not None,
        extra={name: value for name, value in fields.items() if name not in named},
        **{name: fields.get(name) or None for name in TEXT_FIELDS},
    )


def _whole_answer(record: Record) -> Record:
    """Return the record with 1.0 as 1: pandas writes whole numbers so where some are missing."""
    answer = record.fields.get("answer")
    if isinstance(answer, float) and answer.is_integer():
        return replace(record, fields={**record.fields, "answer": int(answer)})
    return record


def _check(path: Path, record: Record) -> None:
    """Raise unless a record has the fields of a question, each of its type."""
    fields = record.fields

    def fail(field: str, problem: str) -> InputError:
        return InputError(problem, path=path, record=record.where, field=field)

    for field in _NEEDED:
        if field not in fields:
            raise fail(field, f"is missing, needed are {', '.join(_NEEDED)}")
    if isinstance(fields["id"], bool) or not isinstance(fields["id"], str | int):
        raise fail("id", f"got {shown(fields['id'])}, allowed is a text or a whole number")
    options = fields["options"]
    if not isinstance(options, list) or len(options) < 2 or not all(isinstance(o, str) for o in options):
        raise fail("options", f"got {shown(options)}, allowed is a list of two or more texts")
    answer = fields.get("answer")
    if answer is not None and (
        isinstance(answer, bool) or not isinstance(answer, int) or not 0 <= answer < len(options)
    ):
        raise fail("answer", f"got {shown(answer)}, allowed is 0 to {len(options) - 1}, or null")
    for field in ("question", "image", "split", *TEXT_FIELDS):
        if field in fields and not isinstance(fields[field], str):
            raise fail(field, f"got {shown(fields[field])}, allowed is text")
    if "group" in fields and (
        isinstance(fields["group"], bool) or not isinstance(fields["group"], str | int)
    ):
        raise fail("group", f"got {shown(fields['group'])}, allowed is a text or a whole number")


def _check_ids(path: Path, records: Sequence[Record]) -> None:
    first: dict[str, str] = {}
    for record in records:
        key = str(record.fields["id"])
        if first.setdefault(key, record.where) != record.where:
            raise InputError(
                f"got {key!r} again, first in {first[key]}; allowed is one record per question",
                path=path,
                record=record.where,
                field="id",
            )


def _check_all_or_none(path: Path, records: Sequence[Record], field: str) -> None:
    """Raise where some records have a field and some do not: a guess would part what belongs together."""
    without = [record for record in records if field not in record.fields]
    if without and len(without) < len(records):
        raise InputError(
            f"is missing here and in {len(without) - 1} more of {len(records)} questions, "
            f"allowed is a {field} for all questions or for none",
            path=path,
            record=without[0].where,
            field=field,
        )


def _check_widths(path: Path, records: Sequence[Record]) -> None:
    """Raise where a column of vectors changes its width between questions."""
    first: dict[str, tuple[int, str]] = {}
    for record in records:
        named = {"id", "answer", "options", *_QUESTION_FIELDS}
        for column in record.fields.keys() - named:
            value = record.fields[column]
            if not isinstance(value, list | np.ndarray) or len(value) == 0:
                continue
            width = _width(value, n_options=len(record.fields["options"]))
            if width is None:
                raise InputError(
                    "got a list of something else, allowed is a list of numbers, "
                    "or one list of numbers per option, all of one length",
                    path=path,
                    record=record.where,
                    field=column,
                )
            before = first.setdefault(column, (width, record.where))
            if before[0] != width:
                raise InputError(
                    f"got vectors of {width} numbers, but {before[0]} in {before[1]}; "
                    "numbers of single options stand in lists of one, [[0.1], [0.7]]",
                    path=path,
                    record=record.where,
                    field=column,
                )


def _width(value: Any, *, n_options: int) -> int | None:
    try:
        array = np.asarray(list(value), dtype=np.float32)
    except (TypeError, ValueError, OverflowError):
        return None
    if array.ndim == 1:
        return len(array)
    return int(array.shape[1]) if array.ndim == 2 and len(array) == n_options else None


def _image(path: Path, record: Record) -> Path | None:
    named: str = record.fields.get("image", "")
    if not named:
        return None
    image = find_image(path.parent, named)
    if image is None:
        raise InputError(
            f"got {named!r}, allowed is a file, its path relative to {path.parent}",
            path=path,
            record=record.where,
            field="image",
        )
    return image


def _gaps(examples: Sequence[Example]) -> tuple[Gap, ...]:
    """Count what is there for some questions of the file only."""
    gaps = []
    splits = list(dict.fromkeys(example.split for example in examples))
    extra = dict.fromkeys(name for example in examples for name in example.extra)
    for name in ("answer", "image", *TEXT_FIELDS, *extra):
        there = [name in e.extra or getattr(e, name, None) is not None for e in examples]
        if not any(there):
            continue
        for split in splits:
            inside = [has for e, has in zip(examples, there, strict=True) if e.split == split]
            if not all(inside):
                gaps.append(Gap(what=name, split=split or "all", missing=inside.count(False), of=len(inside)))
    return tuple(gaps)
