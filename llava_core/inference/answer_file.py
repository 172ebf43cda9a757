"""Answers as JSON lines, on standard output or in a file that a later run goes on with [edge]."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llava_core.data.json_file import parse_json, read_file
from llava_core.drafts import naming
from llava_core.errors import InputError
from llava_core.inference.questions import Question

if TYPE_CHECKING:
    from llava_core.inference.assistant import Llava
    from llava_core.inference.decoding import Decoding
    from llava_core.inference.image_source import ImageSource

Tick = Callable[[int, int], None]

_BEGINNING = b'{"id": "'
BATCHES_PER_WRITE = 8
"""Batches whose questions are sorted by length together and written at once."""


def settings_key(settings: Mapping[str, object]) -> str:
    """Return twelve signs that stand for the settings that answers were made with."""
    told = json.dumps(settings, sort_keys=True, default=str)
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def answered(path: Path, questions: Sequence[Question], settings: str) -> set[str]:
    """Return the ids that a file has answers to; a last line that was torn off is removed from it.

    Parameters
    ----------
    path : Path
        File of `answer_lines`; it need not exist.
    questions : sequence of Question
        What is about to be asked.
    settings : str
        From `settings_key`.

    Raises
    ------
    InputError
        If the file holds anything else, an answer to another question of the same id, or answers made with
        other settings.
    """
    if not path.exists():
        return set()
    content = read_file(path)
    lines, rest = split_lines(content)
    asked = {question.id: question for question in questions}
    done: set[str] = set()
    for number, line in enumerate(lines, start=1):
        try:
            row = parse_json(line, path=path, record=f"line {number}")
            told, made_with = (row["id"], row["question"], row["images"]), row["settings"]
            if not isinstance(row["id"], str):
                raise TypeError
        except (KeyError, TypeError, InputError):
            raise InputError(
                "got a line that is no answer of ours; name another --out", path=path, record=f"line {number}"
            ) from None
        question = asked.get(row["id"])
        if question is not None and told != (question.id, question.text, list(question.images)):
            raise InputError(
                f"got an answer to another question of id {row['id']!r}; name another --out",
                path=path,
                record=f"line {number}",
            )
        if made_with != settings:
            raise InputError(
                "got an answer made with another checkpoint or other options; name another --out",
                path=path,
                record=f"line {number}",
                field="settings",
            )
        done.add(row["id"])
    if not rest.startswith(_BEGINNING[: len(rest)]):
        raise InputError("ends in something that is no answer of ours; name another --out", path=path)
    end_last_line(path, content, rest)
    return done


def split_lines(content: bytes) -> tuple[list[bytes], bytes]:
    """Return the whole lines of a file that grows at its end, and what a kill left of another.

    A last line that is JSON lacks its end alone, and is whole: no beginning of an object is JSON.
    """
    *lines, rest = content.split(b"\n")
    return (lines, rest) if not rest or _is_torn(rest) else ([*lines, rest], b"")


def end_last_line(path: Path, content: bytes, rest: bytes) -> None:
    """Cut off what a kill left of a line, or end a whole last line that lacks its end."""
    if rest:
        os.truncate(path, len(content) - len(rest))
    elif content and not content.endswith(b"\n"):
        append_lines(path, [""])


def answer_questions(
    llava: "Llava",
    questions: Sequence[Question],
    decoding: "Decoding",
    *,
    settings: str,
    batch_size: int,
    tell: Callable[[Sequence[str]], None],
    progress: Tick,
) -> None:
    """Answer questions in order and hand on their JSON lines, some batches at a time.

    Parameters
    ----------
    llava : Llava
    questions : sequence of Question
    decoding : Decoding
    settings : str
        From `settings_key`; goes into each line.
    batch_size : int
    tell : callable
        Called with a list of lines.
    progress : callable
        Called with (questions done, questions in all).

    Raises
    ------
    InputError
        If an image cannot be read or a question is too long; lines handed on before stay good.
    """
    chunk_size = BATCHES_PER_WRITE * batch_size
    for start in range(0, len(questions), chunk_size):
        chunk = questions[start : start + chunk_size]
        asked: list[tuple[str, *tuple[ImageSource, ...]]] = [
            (question.text, *question.sources) for question in chunk
        ]
        texts = llava.answer_all(
            asked,
            batch_size=batch_size,
            decoding=decoding,
            progress=_from(start, len(questions), progress),
        )
        tell(
            [
                json.dumps(answer_row(question, text, settings), ensure_ascii=False)
                for question, text in zip(chunk, texts, strict=True)
            ]
        )


def append_lines(path: Path, lines: Sequence[str]) -> None:
    """Add lines to a file in one write that has reached the disk on return."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with naming(path), path.open("ab") as file:
        file.write("".join(f"{line}\n" for line in lines).encode())
        file.flush()
        os.fsync(file.fileno())


def answer_row(question: Question, text: str, settings: str) -> dict[str, Any]:
    """Return what a line of an answer file holds."""
    return {
        "id": question.id,
        "question": question.text,
        "images": list(question.images),
        "text": text,
        "settings": settings,
    }


def _is_torn(line: bytes) -> bool:
    try:
        json.loads(line)
    except (json.JSONDecodeError, UnicodeDecodeError):
        return True
    except (ValueError, RecursionError):
        pass  # absurd numbers or nesting: foreign, however it ends
    return False


def _from(start: int, total: int, progress: Tick) -> Tick:
    return lambda done, _: progress(start + done, total)
