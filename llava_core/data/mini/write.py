"""The bundled data on disk, in the official ScienceQA layout [edge]."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from llava_core.data.image_files import opened_image
from llava_core.data.json_file import read_json_object
from llava_core.data.mini.parts import PARTS, QUOTAS, STUDY_PARTS, MiniItem, generate
from llava_core.data.mini.skills import SKILLS
from llava_core.folders import check_replaceable, whole_folder

PROBLEMS_FILE = "problems.json"


def write_mini(
    out: Path,
    *,
    seed: int = 0,
    parts: Sequence[str] = STUDY_PARTS,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write parts of the bundled data: ``problems.json``, ``pid_splits.json``, ``captions.json``, images.

    The folder appears under its name only when it is whole.

    Parameters
    ----------
    out : Path
        Folder; an earlier one of such data is replaced.
    seed : int
    parts : sequence of str
        Of `PARTS`.
    progress : callable, optional
        Called with (questions written, questions in all).

    Raises
    ------
    ValueError
        If a part is unknown.
    InputError
        If something else stands at ``out``, or another process writes there.
    """
    _check_parts(parts)
    check_replaceable(out, marks=(PROBLEMS_FILE,))
    tables = _Tables(parts)
    with whole_folder(out) as draft:
        for pid, item in _numbered(parts, seed, progress):
            tables.add(pid, item)
            if item.image is not None:
                file = draft / _picture_name(pid, item)
                file.parent.mkdir(parents=True, exist_ok=True)
                item.image.save(file, compress_level=1)
        for name, text in tables.texts().items():
            (draft / name).write_text(text, encoding="utf-8")


def holds_mini(
    folder: Path,
    *,
    seed: int = 0,
    parts: Sequence[str] = STUDY_PARTS,
    progress: Callable[[int, int], None] | None = None,
) -> bool:
    """Whether a folder holds what `write_mini` would write, which is drawn again up to the first difference.

    Other files in it are not looked at.

    Raises
    ------
    ValueError
        If a part is unknown.
    InputError
        If its ``problems.json`` or one of its images cannot be read.
    """
    _check_parts(parts)
    if not (folder / PROBLEMS_FILE).is_file():
        return False
    problems, tables = read_json_object(folder / PROBLEMS_FILE), _Tables(parts)
    for pid, item in _numbered(parts, seed, progress):
        if problems.get(pid) != record(item) or not _has_picture(folder, pid, item):
            return False
        tables.add(pid, item)
    return all(
        (folder / name).is_file() and (folder / name).read_bytes() == text.encode()
        for name, text in tables.texts().items()
    )


def record(item: MiniItem) -> dict[str, object]:
    """Return the official record of a question, with its family and slice."""
    skill = SKILLS[item.skill]
    return {
        "question": item.question,
        "choices": list(item.options),
        "answer": item.answer,
        "hint": item.hint,
        "image": None if item.image is None else "image.png",
        "task": "closed choice",
        "grade": f"grade{skill.grade}",
        "subject": skill.subject,
        "topic": skill.topic,
        "category": skill.category,
        "skill": skill.title,
        "lecture": skill.lecture,
        "solution": item.solution,
        "split": item.part,
        "family": item.family,
        "slice": item.slice,
    }


def mini_fingerprint(part: str, *, seed: int = 0) -> str:
    """Return a SHA-256 over all records, captions and pixels of a part."""
    return items_fingerprint(generate(part, seed=seed))


def items_fingerprint(items: Iterable[MiniItem]) -> str:
    """Return a SHA-256 over the records, captions and pixels of questions."""
    digest = hashlib.sha256()
    for item in items:
        digest.update(json.dumps([record(item), item.caption], sort_keys=True).encode())
        if item.image is not None:
            digest.update(item.image.tobytes())
    return digest.hexdigest()


class _Tables:
    """What the three files say of the questions so far."""

    def __init__(self, parts: Sequence[str]) -> None:
        self._problems: dict[str, dict[str, object]] = {}
        self._captions: dict[str, str] = {}
        self._splits: dict[str, list[str]] = {part: [] for part in parts}

    def add(self, pid: str, item: MiniItem) -> None:
        self._problems[pid] = record(item)
        self._splits[item.part].append(pid)
        if item.image is not None and item.caption is not None:
            self._captions[pid] = item.caption

    def texts(self) -> dict[str, str]:
        """Return the text of each file, the one that tells such a folder last."""
        contents = {
            "pid_splits.json": self._splits,
            "captions.json": {"captions": self._captions},
            PROBLEMS_FILE: self._problems,
        }
        return {name: json.dumps(content, indent=0) for name, content in contents.items()}


def _check_parts(parts: Sequence[str]) -> None:
    unknown = [part for part in parts if part not in QUOTAS]
    if unknown:
        raise ValueError(f"got part {unknown[0]!r}, allowed are {', '.join(PARTS)}")


def _numbered(
    parts: Sequence[str], seed: int, progress: Callable[[int, int], None] | None
) -> Iterator[tuple[str, MiniItem]]:
    """Yield the questions of some parts with their ids, and tell each once it is done with."""
    n_all, n_done = sum(quota.n for part in parts for quota in QUOTAS[part]), 0
    for part in parts:
        for k, item in enumerate(generate(part, seed=seed)):
            yield f"{part}_{k:05d}", item
            n_done += 1
            if progress is not None:
                progress(n_done, n_all)


def _picture_name(pid: str, item: MiniItem) -> str:
    return f"images/{item.part}/{pid}/image.png"


def _has_picture(folder: Path, pid: str, item: MiniItem) -> bool:
    file = folder / _picture_name(pid, item)
    if item.image is None:
        return not file.exists()
    if not file.is_file():
        return False
    with opened_image(file) as image:
        return image.size == item.image.size and image.tobytes() == item.image.tobytes()
