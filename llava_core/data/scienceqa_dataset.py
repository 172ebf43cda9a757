"""From ScienceQA's records, read from any of its layouts, to a data set: checks, families, gaps, fingerprint.

A record has the official fields ``question choices answer hint image task grade subject topic category skill
lecture solution``, and may have ``family`` and ``slice``. The layouts differ in where records, ids, parts and
images come from; see `llava_core.data.scienceqa`, `llava_core.data.scienceqa_parquet` and
`llava_core.data.scienceqa_records`.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from llava_core.data.example import Dataset, Example, Gap
from llava_core.data.families import assign_families
from llava_core.data.image_files import hash_images
from llava_core.data.json_file import json_type
from llava_core.errors import InputError, shown

TEXT_FIELDS = ("hint", "subject", "topic", "category", "skill", "grade", "task", "lecture", "solution")
_COUNTED_FIELDS = ("subject", "grade", "topic", "lecture", "solution")
_HINT = "hint of image questions"


def make_dataset(
    path: Path,
    problems: Mapping[str, Any],
    *,
    name: str,
    splits: Mapping[str, str],
    find_image: Callable[[str, Mapping[str, Any]], Path | None],
    captions: Mapping[str, str] | None = None,
    ocr: Mapping[str, str | None] | None = None,
    fingerprint_parts: Sequence[object],
) -> Dataset:
    """Return the data set of some records.

    Parameters
    ----------
    path : Path
        Named in errors.
    problems : mapping
        Question id to record.
    name : str
    splits : mapping of str to str
        Question id to part, where it has one.
    find_image : callable
        Gives the image file of (id, record), None where there is none on disk.
    captions, ocr : mapping, optional
        Question id to text.
    fingerprint_parts : sequence
        What the fingerprint covers beside the images' bytes; plain data.

    Returns
    -------
    Dataset
        In the order of ``problems``.

    Raises
    ------
    InputError
        If a record breaks the schema; the message names record and field.
    """
    for pid, record in problems.items():
        _check_record(path, pid, record)
    _check_families(path, problems)
    files = {pid: find_image(pid, record) for pid, record in problems.items()}
    hashes = dict(zip(files, hash_images(files.values()), strict=True))
    computed = assign_families(
        list(problems), [record["question"] for record in problems.values()], list(hashes.values())
    )
    examples = tuple(
        Example(
            id=pid,
            question=record["question"],
            options=tuple(record["choices"]),
            answer=record.get("answer"),
            split=splits.get(pid),
            group=record.get("family") or family,
            image=files[pid],
            has_image=bool(record.get("image")),
            caption=(captions or {}).get(pid) or None,
            ocr=(ocr or {}).get(pid) or None,
            slice=record.get("slice"),
            **_texts(record),
        )
        for (pid, record), family in zip(problems.items(), computed, strict=True)
    )
    return Dataset(
        name=name,
        examples=examples,
        fingerprint=_fingerprint(*fingerprint_parts, hashes),
        gaps=_gaps(examples),
    )


def _check_record(path: Path, pid: str, record: Any) -> None:
    """Raise unless the record has the official fields, each of its type."""

    def fail(field: str, problem: str) -> InputError:
        return InputError(problem, path=path, record=pid, field=field)

    if not isinstance(record, dict):
        raise InputError(f"got {json_type(record)}, allowed is an object", path=path, record=pid)
    if not isinstance(record.get("question"), str):
        raise fail("question", f"got {shown(record.get('question'))}, allowed is text")
    choices = record.get("choices")
    if not isinstance(choices, list) or len(choices) < 2:
        raise fail("choices", f"got {shown(choices)}, allowed is a list of two or more texts")
    for choice in choices:
        if not isinstance(choice, str):
            raise fail("choices", f"got {shown(choice)} among the choices, allowed are texts")
    answer = record.get("answer")
    if answer is not None:
        if not isinstance(answer, int) or isinstance(answer, bool):
            raise fail("answer", f"got {shown(answer)}, allowed is an integer, 0 to {len(choices) - 1}")
        if not 0 <= answer < len(choices):
            raise fail("answer", f"got {answer}, allowed is 0 to {len(choices) - 1}")
    image = record.get("image")
    if image is not None and (not isinstance(image, str) or Path(image).name != image):
        raise fail("image", f"got {shown(image)}, allowed is null or a file name without a folder")
    for field in (*TEXT_FIELDS, "family", "slice"):
        value = record.get(field)
        if value is not None and not isinstance(value, str):
            raise fail(field, f"got {shown(value)}, allowed is text")


def _check_families(path: Path, problems: Mapping[str, Any]) -> None:
    """Raise where some records name their family and some do not: a computed family could part the two."""
    without = [pid for pid, record in problems.items() if not record.get("family")]
    if without and len(without) < len(problems):
        raise InputError(
            f"is missing here and in {len(without) - 1} more of {len(problems)} questions, "
            "allowed is a family for all questions or for none",
            path=path,
            record=without[0],
            field="family",
        )


def _texts(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the text fields; an empty text says as little as a missing one."""
    return {name: record.get(name) or None for name in TEXT_FIELDS}


def _fingerprint(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _gaps(examples: tuple[Example, ...]) -> tuple[Gap, ...]:
    """Count per split what could be there and is not; only what is missing somewhere is listed."""
    of: Counter[tuple[str, str]] = Counter()
    missing: Counter[tuple[str, str]] = Counter()
    for example in examples:
        split = example.split or "all"
        lacks = {name: getattr(example, name) is None for name in _COUNTED_FIELDS}
        if example.has_image:
            lacks[_HINT] = example.hint is None
            lacks["caption"] = example.caption is None
            lacks["image file"] = example.image is None
        for what, is_missing in lacks.items():
            of[what, split] += 1
            missing[what, split] += is_missing
    hinted = {split: 1 - missing[what, split] / n for (what, split), n in of.items() if what == _HINT}
    return tuple(
        Gap(
            what=what,
            split=split,
            missing=missing[what, split],
            of=n,
            note=_hint_note(hinted[split], max(hinted.values())) if what == _HINT else "",
        )
        for (what, split), n in of.items()
        if missing[what, split]
    )


def _hint_note(share: float, highest: float) -> str:
    """Return what an empty hint means: unknown where far fewer questions carry one than in another split."""
    if 2 * share < highest:
        return (
            f"{share:.0%} carry a hint here, {highest:.0%} in another split: empty means unknown, not absent"
        )
    return "empty means that there is none"
