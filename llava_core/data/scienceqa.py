"""Reader of the official ScienceQA layout (Lu et al., NeurIPS 2022), which the bundled data keeps to [edge].

A folder holds ``problems.json`` (question id to record) and, each optional, ``pid_splits.json``,
``captions.json``, ``ocrs.json`` and ``images/{split}/{id}/image.png``. Two further fields of a record are
read where they stand: ``family`` wins over the computed family, ``slice`` names a slice of the test part.
Other images of a question folder (``choice_0.png``) are left out, as in LLaVA. Image files are found and
hashed here, not decoded: see `llava_core.data.image_files.check_images` for that.
"""

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llava_core.data.example import Dataset
from llava_core.data.image_files import find_image
from llava_core.data.json_file import json_type, read_json_object
from llava_core.data.scienceqa_dataset import make_dataset
from llava_core.errors import InputError

OCR_MIN_CONFIDENCE = 0.2
"""Readings below it are mostly noise of textures; EasyOCR's confidence is between 0 and 1."""


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

    return make_dataset(
        path,
        problems,
        name=root.resolve().name,
        splits=splits,
        find_image=lambda pid, record: _image_file(root, pid, record, splits.get(pid)),
        captions=captions,
        ocr={pid: _ocr_text(root / "ocrs.json", pid, literal) for pid, literal in ocrs.items()},
        fingerprint_parts=(problems, splits, captions, ocrs),
    )


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
    """Return the image file of a question if it is on disk.

    Raises
    ------
    InputError
        If the id or the part of the question would lead out of the folder of images.
    """
    if not record.get("image") or split is None:
        return None
    for field, name in (("split", split), ("id", pid)):
        if name in ("", ".", "..") or set(name) & set("/\\\0"):
            raise InputError(
                f"got {name!r}, allowed is the name of a folder of images",
                path=root / "problems.json",
                record=pid,
                field=field,
            )
    return find_image(root / "images" / split / pid, record["image"])


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
