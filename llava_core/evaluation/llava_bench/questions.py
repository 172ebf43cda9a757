"""Questions, contexts and answers of LLaVA-Bench, joined to what a judge is to compare [edge].

Files are JSON lines in LLaVA's schemas. Questions: ``question_id image text category``. Contexts, by
image: ``captions`` and ``instances`` (COCO: category and box as fractions, left top right bottom), or one
``caption`` (In-the-Wild). Answers: ``question_id text``, if wanted ``answer_id`` and ``prompt``; or the
``id question text`` that ``llava answer`` writes. Question ids of the two sets overlap, so the question
inside an answer is compared.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from llava_core.data.json_file import json_type
from llava_core.data.records import Record, read_records
from llava_core.errors import InputError, shown
from llava_core.evaluation.llava_bench.reviews import WILD_PREFIX
from llava_core.evaluation.llava_bench.scores import CATEGORIES


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchQuestion:
    """One question about one image."""

    id: int | str
    text: str
    image: str
    """Name that its context is found by; questions of one image are resampled together."""
    category: str
    """One of `CATEGORIES`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """What the judge is told in place of the image."""

    text: str
    kind: Literal["coco", "wild"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """An answer to one question."""

    id: str
    """The file's ``answer_id``, or a key of the text."""
    text: str
    where: str
    asked: str | None
    """The question as the file repeats it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """One question with all that a judge compares."""

    number: int
    """Place in the file of questions, from 1."""
    question: BenchQuestion
    context: Context
    reference: Answer
    candidate: Answer


def read_bench_questions(path: Path) -> list[BenchQuestion]:
    """Read a file of questions, in its order.

    Raises
    ------
    InputError
        If the file cannot be read, a field is missing, a category is unknown, or an id comes twice.
    """
    found: dict[str, BenchQuestion] = {}
    for record in read_records(path):
        question_id = _id(path, record, ("question_id",))
        category = _text(path, record, "category").removeprefix(WILD_PREFIX)
        if category not in CATEGORIES:
            raise InputError(
                f"got {category!r}, allowed are {', '.join(CATEGORIES)}",
                path=path, record=record.where, field="category",
            )  # fmt: skip
        _check_new(path, record, str(question_id), found)
        found[str(question_id)] = BenchQuestion(
            id=question_id,
            text=_text(path, record, "text"),
            image=_text(path, record, "image"),
            category=category,
        )
    return list(found.values())


def read_contexts(path: Path) -> dict[str, Context]:
    """Read a file of contexts by image.

    Raises
    ------
    InputError
        If the file cannot be read, a record has neither captions nor a caption, a box is broken, or an image
        comes twice.
    """
    found: dict[str, Context] = {}
    for record in read_records(path):
        image = _text(path, record, "image")
        _check_new(path, record, image, found)
        if "caption" in record.fields:
            found[image] = Context(text=_text(path, record, "caption"), kind="wild")
        else:
            boxes = [_box_line(path, record, each) for each in _list(path, record, "instances")]
            captions = _list(path, record, "captions")
            if not captions or not all(isinstance(caption, str) for caption in captions):
                raise InputError(
                    "got no list of texts, allowed are captions, or one caption under `caption`",
                    path=path, record=record.where, field="captions",
                )  # fmt: skip
            blocks = ["\n".join(caption.strip() for caption in captions), "\n".join(boxes)]
            found[image] = Context(text="\n\n".join(block for block in blocks if block), kind="coco")
    return found


def read_bench_answers(path: Path) -> dict[str, Answer]:
    """Read a file of answers by question id.

    Raises
    ------
    InputError
        If the file cannot be read, a field is missing, or a question is answered twice.
    """
    found: dict[str, Answer] = {}
    for record in read_records(path):
        question_id = str(_id(path, record, ("question_id", "id")))
        _check_new(path, record, question_id, found)
        text = record.fields.get("text")
        if not isinstance(text, str):  # an empty answer is an answer
            raise InputError(
                f"got {json_type(text)}, allowed is a text", path=path, record=record.where, field="text"
            )
        asked = record.fields.get("prompt", record.fields.get("question"))
        found[question_id] = Answer(
            id=str(record.fields.get("answer_id", hashlib.sha256(text.encode()).hexdigest()[:22])),
            text=text,
            where=record.where,
            asked=asked if isinstance(asked, str) else None,
        )
    return found


def comparisons(
    questions: Sequence[BenchQuestion], *, contexts: Path, references: Path, candidates: Path
) -> list[Comparison]:
    """Return what is to be judged, in the order of the questions.

    Raises
    ------
    InputError
        If a question has no context, no reference or no candidate, or an answer repeats another question.
    """
    described = read_contexts(contexts)
    good, tried = read_bench_answers(references), read_bench_answers(candidates)
    _check_all(contexts, "contexts of the images", [question.image for question in questions], described)
    joined = []
    for number, question in enumerate(questions, start=1):
        pair = []
        for path, answers in ((references, good), (candidates, tried)):
            _check_all(path, "answers to the questions", [str(each.id) for each in questions], answers)
            answer = answers[str(question.id)]
            if answer.asked is not None and question.text.strip() not in answer.asked:
                raise InputError(
                    f"got an answer to {answer.asked!r}, but question {question.id} is {question.text!r}",
                    path=path, record=answer.where,
                )  # fmt: skip
            pair.append(answer)
        joined.append(
            Comparison(
                number=number, question=question, context=described[question.image],
                reference=pair[0], candidate=pair[1],
            )
        )  # fmt: skip
    return joined


def _check_all(path: Path, what: str, names: Sequence[str], known: Mapping[str, object]) -> None:
    missing = [name for name in names if name not in known]
    if missing:
        raise InputError(
            f"lacks {len(missing)} of the {len(names)} {what}, the first is {missing[0]}", path=path
        )


def _check_new(path: Path, record: Record, name: str, found: Mapping[str, object]) -> None:
    if name in found:
        raise InputError(f"got {name!r} again, allowed is once", path=path, record=record.where)


def _box_line(path: Path, record: Record, instance: Any) -> str:
    box = instance.get("bbox") if isinstance(instance, dict) else None
    numbers = [side for side in box if isinstance(side, int | float)] if isinstance(box, list) else []
    category = instance.get("category") if isinstance(instance, dict) else None
    if len(numbers) != 4 or not isinstance(category, str) or not all(0 <= side <= 1 for side in numbers):
        raise InputError(
            f"got {shown(instance)}, allowed are a category and a bbox of four fractions of the image",
            path=path, record=record.where, field="instances",
        )  # fmt: skip
    return f"{category}: [{', '.join(str(round(float(side), 3)) for side in numbers)}]"


def _list(path: Path, record: Record, name: str) -> list[Any]:
    value = record.fields.get(name, [])
    if not isinstance(value, list):
        raise InputError(
            f"got {json_type(value)}, allowed is a list", path=path, record=record.where, field=name
        )
    return value


def _text(path: Path, record: Record, name: str) -> str:
    value = record.fields.get(name)
    if isinstance(value, str) and value.strip():
        return value
    got = "none" if value is None else "an empty text" if isinstance(value, str) else json_type(value)
    raise InputError(f"got {got}, allowed is a text", path=path, record=record.where, field=name)


def _id(path: Path, record: Record, names: tuple[str, ...]) -> int | str:
    value = next((record.fields[name] for name in names if name in record.fields), None)
    if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
        raise InputError(
            f"got {json_type(value)}, allowed is a whole number or a text",
            path=path, record=record.where, field=names[0],
        )  # fmt: skip
    return value
