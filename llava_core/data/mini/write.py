"""The bundled data on disk, in the official ScienceQA layout [edge]."""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

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
    unknown = [part for part in parts if part not in QUOTAS]
    if unknown:
        raise ValueError(f"got part {unknown[0]!r}, allowed are {', '.join(PARTS)}")
    check_replaceable(out, marks=(PROBLEMS_FILE,))
    n_all = sum(quota.n for part in parts for quota in QUOTAS[part])
    problems: dict[str, dict[str, object]] = {}
    captions: dict[str, str] = {}
    splits: dict[str, list[str]] = {part: [] for part in parts}
    with whole_folder(out) as draft:
        for part in parts:
            for k, item in enumerate(generate(part, seed=seed)):
                pid = f"{part}_{k:05d}"
                problems[pid] = record(item)
                splits[part].append(pid)
                if item.image is not None and item.caption is not None:
                    captions[pid] = item.caption
                    folder = draft / "images" / part / pid
                    folder.mkdir(parents=True, exist_ok=True)
                    item.image.save(folder / "image.png", compress_level=1)
                if progress is not None:
                    progress(len(problems), n_all)
        for name, content in (
            ("pid_splits.json", splits),
            ("captions.json", {"captions": captions}),
            (PROBLEMS_FILE, problems),
        ):
            (draft / name).write_text(json.dumps(content, indent=0), encoding="utf-8")


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
