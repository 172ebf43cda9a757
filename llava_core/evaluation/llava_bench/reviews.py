"""Reviews of a judge as JSON lines: the published schema, and four keys more where we asked [edge].

Published: ``id`` from 1, ``question_id``, ``answer1_id``, ``answer2_id``, ``category`` (``llava_bench_*``
in the wild), ``content`` (all the judge wrote) and ``tuple``, the two scores in the order of the answers,
both -1 where they could not be read. Ours: ``swapped`` (the candidate was shown first), ``judge``
(model), ``settings`` (a key of everything that makes the judge) and ``prompt`` (a key of what it was
shown).
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llava_core.data.json_file import json_type, parse_json, read_file
from llava_core.data.records import Record, read_records
from llava_core.errors import InputError, shown
from llava_core.inference.answer_file import end_last_line, split_lines

FAILED = -1.0
"""Published score of an answer where the judge's scores could not be read."""
_BEGINNING = b'{"id": '
WILD_PREFIX = "llava_bench_"
"""Before the category of an In-the-Wild question, in reviews."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Review:
    """What a judge said to one question."""

    id: int
    question_id: int | str
    answer1_id: str | None
    """Answer that was shown first: the reference unless `swapped`."""
    answer2_id: str | None
    category: str
    """As in the file."""
    content: str
    scores: tuple[float, float] | None
    """In the order the answers were shown; None where they could not be read."""
    swapped: bool = False
    judge: str | None = None
    settings: str | None = None
    """None in published files."""
    prompt: str | None = None

    @property
    def key(self) -> tuple[str, bool]:
        """What a review is known by within its file."""
        return str(self.question_id), self.swapped

    @property
    def candidate_id(self) -> str | None:
        """Id of the answer that is not the reference."""
        return self.answer1_id if self.swapped else self.answer2_id

    @property
    def reference_and_candidate(self) -> tuple[float, float] | None:
        """The two scores by whose they are."""
        return self.scores[::-1] if self.scores is not None and self.swapped else self.scores


def read_reviews(path: Path) -> list[Review]:
    """Read a file of reviews, published or ours, in its order.

    Raises
    ------
    InputError
        If the file cannot be read, a field is missing or of another type, or a question is reviewed twice
        in the same order of answers.
    """
    reviews = [_review(path, record) for record in read_records(path)]
    check_unique(path, reviews)
    return reviews


def kept_reviews(path: Path, *, settings: str, prompts: Mapping[tuple[str, bool], str]) -> list[Review]:
    """Return the reviews that a run can go on from; a last line that was torn off is removed from the file.

    Parameters
    ----------
    path : Path
        File of `review_line`; it need not exist.
    settings : str
        Key of the judge that is about to be asked.
    prompts : mapping of (str, bool) to str
        Key of what it is about to be shown, by question and order of answers. Reviews of other questions are
        left alone.

    Raises
    ------
    InputError
        If the file holds anything else, another judge's reviews, or reviews of other answers.
    """
    if not path.exists():
        return []
    content = read_file(path)
    lines, rest = split_lines(content)
    reviews = []
    for number, line in enumerate(lines, start=1):
        where = f"line {number}"
        try:
            fields = parse_json(line, path=path, record=where)
            fields["settings"], fields["prompt"]
            review = _review(path, Record(where=where, fields=fields))
        except (KeyError, TypeError, InputError):
            raise InputError(
                "got a line that is no review of ours; name another --out", path=path, record=where
            ) from None
        if review.settings != settings:
            raise InputError(
                f"got a review by another judge or with other settings ({review.judge}); name another --out",
                path=path,
                record=where,
                field="settings",
            )
        if review.prompt != prompts.get(review.key, review.prompt):
            raise InputError(
                f"got a review of another question, context or answer under id {review.question_id!r}; "
                "name another --out",
                path=path,
                record=where,
                field="prompt",
            )
        reviews.append(review)
    check_unique(path, reviews)
    if not rest.startswith(_BEGINNING[: len(rest)]):
        raise InputError("ends in something that is no review of ours; name another --out", path=path)
    end_last_line(path, content, rest)
    return reviews


def check_unique(path: Path, reviews: Sequence[Review]) -> None:
    """Raise if a question is reviewed twice in the same order of answers."""
    seen: set[tuple[str, bool]] = set()
    for review in reviews:
        if review.key in seen:
            raise InputError(
                "occurs a second time, allowed is one review per question and order of answers",
                path=path,
                record=str(review.question_id),
            )
        seen.add(review.key)


def review_line(review: Review) -> str:
    """Return a review as the line of JSON that `read_reviews` reads."""
    fields = {
        "id": review.id,
        "question_id": review.question_id,
        "answer1_id": review.answer1_id,
        "answer2_id": review.answer2_id,
        "category": review.category,
        "content": review.content,
        "tuple": list(review.scores or (FAILED, FAILED)),
        "swapped": review.swapped,
        "judge": review.judge,
        "settings": review.settings,
        "prompt": review.prompt,
    }
    return json.dumps(fields, ensure_ascii=False)


def _review(path: Path, record: Record) -> Review:
    fields = record.fields

    def text(name: str) -> str | None:
        return _typed(path, record, name, str, "a text") if name in fields else None

    question_id = _typed(path, record, "question_id", int | str, "a whole number or a text")
    category = _typed(path, record, "category", str, "a text")
    return Review(
        id=_typed(path, record, "id", int, "a whole number") if "id" in fields else 0,
        question_id=question_id,
        answer1_id=text("answer1_id"),
        answer2_id=text("answer2_id"),
        category=category,
        content=text("content") or "",
        scores=_scores(path, record),
        swapped=_typed(path, record, "swapped", bool, "true or false") if "swapped" in fields else False,
        judge=text("judge"),
        settings=text("settings"),
        prompt=text("prompt"),
    )


def _typed(path: Path, record: Record, name: str, kind: Any, allowed: str) -> Any:
    value = record.fields.get(name)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        got = "none" if name not in record.fields else json_type(value)
        raise InputError(f"got {got}, allowed is {allowed}", path=path, record=record.where, field=name)
    return value


def _scores(path: Path, record: Record) -> tuple[float, float] | None:
    value = record.fields.get("tuple")
    pair = list(value) if value is not None and not isinstance(value, str | bool | int | float) else []
    # A comparison, since a whole number may be too long for a float.
    numbers = [each for each in pair if isinstance(each, int | float) and abs(each) < math.inf]
    if len(pair) != 2 or len(numbers) != 2:
        raise InputError(
            f"got {shown(value)}, allowed are two numbers, both -1 where the judge's could not be read",
            path=path,
            record=record.where,
            field="tuple",
        )
    first, second = float(numbers[0]), float(numbers[1])
    return None if first < 0 or second < 0 else (first, second)
