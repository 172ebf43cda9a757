"""Reader of ScienceQA as LLaVA records, which LLaVA's ``convert_sqa_to_llava.py`` writes [edge].

A record's human words are a multiple-choice question, read back here from three layouts: QCM and CQM of
ScienceQA's grammar (`llava_core.data.grammar`) and CQM-A of LLaVA v1.5. The assistant's words give the
answer, and the reasons: lecture and solution apart where they are headed (LEPA), otherwise all of them as the
solution. Images are looked for beside the file, under the record's own path.

What the records do not hold is unknown: part, subject, grade, topic and the like. Double spaces were made
single when they were written. In CQM-A of v1.5 the question is the last line before the options where a
context stands before it. Left out: inputs with reasons (QCML and the like), and ``option_texts``, which has
no letters.
"""

import re
from collections.abc import Callable
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from llava_core.data.conversation import Conversation
from llava_core.data.example import Dataset
from llava_core.data.grammar import REASONS_END
from llava_core.data.image_files import find_image
from llava_core.data.llava_json import load_conversations
from llava_core.data.prompts import LETTER_ONLY
from llava_core.data.scienceqa_dataset import make_dataset
from llava_core.errors import InputError

_QCM = re.compile(r"(?P<question>.*?)\nContext: (?P<context>.*)\nOptions: (?P<options>\(A\).*)", re.DOTALL)
_CQM = re.compile(
    r"Context: (?P<context>.*)\nQuestion: (?P<question>.*)\nOptions: (?P<options>\(A\).*)", re.DOTALL
)
_LEPA = re.compile(
    r"(?:LECTURE: (?P<lecture>.*?)\n)?(?:SOLUTION: (?P<solution>.*)\n)?"
    rf"{REASONS_END}\nANSWER: (?P<letter>[A-Z])\.",
    re.DOTALL,
)
_FIRST = re.compile(r"The answer is (?P<letter>[A-Z])\.(?: BECAUSE: (?P<solution>.*))?", re.DOTALL)
_LAST = re.compile(r"(?P<solution>.*?) ?The answer is (?P<letter>[A-Z])\.", re.DOTALL)
_ALONE = re.compile(r"(?P<letter>[A-Z])")
_NO_CONTEXT = "N/A"


def load_scienceqa_records(path: Path, *, progress: Callable[[int, int], None] | None = None) -> Dataset:
    """Read a file of ScienceQA as LLaVA records.

    Parameters
    ----------
    path : Path
        A JSON list or JSONL of ``id image conversations``.
    progress : callable, optional
        Called with bytes read and bytes in all.

    Returns
    -------
    Dataset
        In file order.

    Raises
    ------
    InputError
        If the file is broken, or a record is no multiple-choice question of these layouts.
    """
    path = Path(path)
    read = load_conversations(path, path.parent, check_images=False, progress=progress)
    problems: dict[str, Any] = {}
    images: dict[str, Path] = {}
    for conversation in read.conversations:
        pid = conversation.id
        if pid in problems:
            raise InputError(
                "occurs a second time, allowed is one record per question", path=path, record=pid
            )
        problems[pid] = _problem(path, conversation)
        if conversation.images:
            images[pid] = conversation.images[0]
    return make_dataset(
        path,
        problems,
        name=path.stem,
        splits={},
        find_image=lambda pid, _: find_image(Path(), str(images[pid])) if pid in images else None,
        fingerprint_parts=(problems,),
    )


def _problem(path: Path, conversation: Conversation) -> dict[str, Any]:
    """Return a conversation in the fields of the official layout."""

    def fail(problem: str) -> InputError:
        return InputError(problem, path=path, record=conversation.id, field="conversations")

    if len(conversation.turns) != 2 or len(conversation.images) > 1:
        raise fail(
            f"got {len(conversation.turns)} turns and {len(conversation.images)} images, "
            "allowed are one question, its answer, and one image at most"
        )
    human, assistant = (turn.text for turn in conversation.turns)
    asked = _question(human)
    if asked is None:
        raise fail(
            f"got {_short(human)}, allowed is a question with context and lettered options, as the prompts "
            "QCM, CQM and CQM-A write it"
        )
    told = _answer(assistant.strip())
    if told is None or told["answer"] >= len(asked["choices"]):
        raise fail(
            f"got the answer {_short(assistant)}, allowed are the letter of an option, or reasons and "
            '"The answer is X." or "ANSWER: X."'
        )
    return asked | told | {"image": conversation.images[0].name if conversation.images else None}


def _question(words: str) -> dict[str, Any] | None:
    """Return question, choices and hint; None for words in another layout."""
    found = _CQM.fullmatch(words) or _QCM.fullmatch(words)
    if found is not None:
        options = _parted(found["options"], " ({}) ")
        if options is None or "\nBECAUSE: " in found["context"] + found["options"]:
            return None
        context = found["context"]
        return {
            "question": found["question"],
            "choices": options,
            "hint": "" if context == _NO_CONTEXT else context,
        }
    before, begins, behind = f"\n{words.removesuffix(LETTER_ONLY)}".rpartition("\nA. ")
    options = _parted(f"A. {behind}".removesuffix("\n"), "\n{}. ") if begins else None
    if options is None:
        return None
    before = before.removeprefix("\n")
    if not before.startswith("Context: "):
        return {"question": before, "choices": options, "hint": ""}
    context, _, question = before.removeprefix("Context: ").rpartition("\n")
    return {"question": question, "choices": options, "hint": context}


def _parted(text: str, mark: str) -> list[str] | None:
    """Return the options of a text that begins with A's mark; None if a letter's mark stands there twice."""
    options = []
    rest = text.removeprefix(mark.format("A").lstrip())
    for letter in ascii_uppercase[1:]:
        following = mark.format(letter)
        if rest.count(following) > 1:
            return None
        option, found, behind = rest.partition(following)
        options.append(option)
        if not found:
            break
        rest = behind
    return options if len(options) > 1 and all(options) else None


def _answer(words: str) -> dict[str, Any] | None:
    """Return answer, lecture and solution; None for words that state no answer."""
    for form in (_LEPA, _FIRST, _LAST, _ALONE):
        found = form.fullmatch(words)
        if found is not None:
            told = found.groupdict()
            return {
                "answer": ascii_uppercase.index(told["letter"]),
                "lecture": told.get("lecture") or "",
                "solution": told.get("solution") or "",
            }
    return None


def _short(text: str) -> str:
    shown = repr(text)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."
