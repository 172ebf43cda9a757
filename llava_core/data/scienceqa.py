"""Reader of the official ScienceQA layout (Lu et al., NeurIPS 2022), which the bundled data keeps to [edge].

A folder holds ``problems.json`` (question id to record) and, each optional, ``pid_splits.json``,
``captions.json``, ``ocrs.json`` and ``images/{split}/{id}/image.png``. Two further fields of a record are
read where they stand: ``family`` wins over the computed family, ``slice`` names a slice of the test part.
Other images of a question folder (``choice_0.png``) are left out, as in LLaVA. Image files are found and
hashed here, not decoded: see `llava_core.data.image_files.check_images` for that.
"""

import ast
import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llava_core.data.example import Dataset, Example, Gap
from llava_core.data.families import assign_families
from llava_core.data.image_files import hash_images
from llava_core.data.json_file import json_type, read_json_object
from llava_core.errors import InputError

OCR_MIN_CONFIDENCE = 0.2
"""Readings below it are mostly noise of textures; EasyOCR's confidence is between 0 and 1."""

_TEXT_FIELDS = ("hint", "subject", "topic", "category", "skill", "grade", "task", "lecture", "solution")
_COUNTED_FIELDS = ("subject", "grade", "topic", "lecture", "solution")
_HINT = "hint of image questions"


def load_scienceqa(root: Path) -> Dataset:
    """Read a folder in the official layout.

    Parameters
    ----------
    root : Path
        Folder with ``problems.json``.

    Returns
    -------
    Dataset
        Examples in the order of ``problems.json``; ``gaps`` counts what is missing from them.

    Raises
    ------
    InputError
        If a file is missing or broken, or a record breaks the schema; the message
        names file, record and field.
    """
    root = Path(root)
    path = root / "problems.json"
    problems = read_json_object(path)
    splits = _split_of(root, problems)
    captions = _side_file(root / "captions.json", "captions")
    for pid, caption in captions.items():
        if not isinstance(caption, str):
            raise InputError(
                f"got {caption!r}, allowed is text", path=root / "captions.json", record=pid, field="captions"
            )
    ocrs = _side_file(root / "ocrs.json", "texts")

    for pid, record in problems.items():
        _check_record(path, pid, record)
    _check_families(path, problems)
    files = {pid: _image_file(root, pid, record, splits.get(pid)) for pid, record in problems.items()}
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
            caption=captions.get(pid) or None,
            ocr=_ocr_text(root / "ocrs.json", pid, ocrs.get(pid)),
            slice=record.get("slice"),
            **_texts(record),
        )
        for (pid, record), family in zip(problems.items(), computed, strict=True)
    )
    return Dataset(
        name=root.resolve().name,
        examples=examples,
        fingerprint=_fingerprint(problems, splits, captions, ocrs, hashes),
        gaps=_gaps(examples),
    )


def _check_record(path: Path, pid: str, record: Any) -> None:
    """Raise unless the record has the official fields, each of its type."""

    def fail(field: str, problem: str) -> InputError:
        return InputError(problem, path=path, record=pid, field=field)

    if not isinstance(record, dict):
        raise InputError(f"got {json_type(record)}, allowed is an object", path=path, record=pid)
    if not isinstance(record.get("question"), str):
        raise fail("question", f"got {record.get('question')!r}, allowed is text")
    choices = record.get("choices")
    if not isinstance(choices, list) or len(choices) < 2:
        raise fail("choices", f"got {choices!r}, allowed is a list of two or more texts")
    for choice in choices:
        if not isinstance(choice, str):
            raise fail("choices", f"got {choice!r} among the choices, allowed are texts")
    answer = record.get("answer")
    if answer is not None:
        if not isinstance(answer, int) or isinstance(answer, bool):
            raise fail("answer", f"got {answer!r}, allowed is an integer, 0 to {len(choices) - 1}")
        if not 0 <= answer < len(choices):
            raise fail("answer", f"got {answer}, allowed is 0 to {len(choices) - 1}")
    image = record.get("image")
    if image is not None and (not isinstance(image, str) or Path(image).name != image):
        raise fail("image", f"got {image!r}, allowed is null or a file name without a folder")
    for field in (*_TEXT_FIELDS, "family", "slice"):
        value = record.get(field)
        if value is not None and not isinstance(value, str):
            raise fail(field, f"got {value!r}, allowed is text")


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
    return {name: record.get(name) or None for name in _TEXT_FIELDS}


def _split_of(root: Path, problems: Mapping[str, Any]) -> dict[str, str]:
    """Return the part of each question: its own field, else where ``pid_splits.json`` lists it."""
    splits = {
        pid: record["split"]
        for pid, record in problems.items()
        if isinstance(record, dict) and isinstance(record.get("split"), str) and record["split"]
    }
    path = root / "pid_splits.json"
    if not path.exists():
        return splits
    own = set(splits.values())
    for name, pids in read_json_object(path).items():
        if not isinstance(pids, list):
            raise InputError(f"got {json_type(pids)}, allowed is a list of ids", path=path, field=name)
        for pid in pids:
            if not isinstance(pid, str) or pid not in problems:
                raise InputError(f"got id {pid!r}, which problems.json does not have", path=path, field=name)
            if splits.setdefault(pid, name) != name and name in own:
                raise InputError(
                    f"got id {pid!r}, whose own field split is {splits[pid]!r}", path=path, field=name
                )
    return splits


def _side_file(path: Path, key: str) -> dict[str, Any]:
    """Return the map of an optional file, empty if the file is not there."""
    if not path.exists():
        return {}
    content = read_json_object(path).get(key)
    if not isinstance(content, dict):
        raise InputError(f"got {json_type(content)}, allowed is an object", path=path, field=key)
    return content


def _image_file(root: Path, pid: str, record: Mapping[str, Any], split: str | None) -> Path | None:
    """Return the image file of a question if it is on disk."""
    if not record.get("image") or split is None:
        return None
    path = root / "images" / split / pid / record["image"]
    return path if path.is_file() else None


def _ocr_text(path: Path, pid: str, literal: object) -> str | None:
    """Return the texts of an EasyOCR result (a literal list of (box, text, confidence))."""
    if not literal:
        return None
    try:
        readings: Any = ast.literal_eval(literal) if isinstance(literal, str) else literal
        texts = [str(text) for _, text, confidence in readings if confidence >= OCR_MIN_CONFIDENCE]
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise InputError(
            "got text that is no list of (box, text, confidence)", path=path, record=pid, field="texts"
        ) from None
    return " ".join(texts) or None


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
