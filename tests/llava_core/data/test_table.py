import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from llava_core.data.example import Dataset
from llava_core.data.load import load_dataset
from llava_core.errors import InputError

QUESTIONS: list[dict[str, Any]] = [
    {"id": "a", "question": "Which is red?", "options": ["sky", "blood"], "answer": 1, "speed": 2.5},
    {"id": 2, "question": "Which is blue?", "options": ["sky", "blood", "milk"], "answer": None},
]
OPTIONS: list[dict[str, Any]] = [
    {"id": "a", "option": "sky", "correct": 0, "vec": [0.0, 1.0], "score": 0.5, "question": "Red?"},
    {"id": "b", "option": "milk", "correct": 1, "vec": [3.0, 1.0], "score": 0.1, "question": "White?"},
    {"id": "a", "option": "blood", "correct": 1, "vec": None, "score": 0.7, "question": "Red?"},
    {"id": "b", "option": "coal", "correct": 0, "vec": [0.0, 2.0], "score": 0.2, "question": "White?"},
]


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Dataset]:
    """Write records to a file and read it as a data set."""

    def reader(records: Sequence[Any], kind: str = "jsonl") -> Dataset:
        path = tmp_path / f"own.{kind}"
        if kind == "parquet":
            pd.DataFrame(records).to_parquet(path)
        else:
            lines = [line if isinstance(line, str) else json.dumps(line) for line in records]
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return load_dataset(path)

    return reader


def test_question_file(read: Callable[..., Dataset]) -> None:
    data = read(QUESTIONS)
    assert data.name == "own"
    assert [e.id for e in data.examples] == ["a", "2"]
    assert [e.answer for e in data.examples] == [1, None]
    assert data.examples[1].options == ("sky", "blood", "milk")
    assert data.examples[0].extra == {"speed": 2.5}
    assert data.splits == ()
    assert {(gap.what, gap.missing, gap.of) for gap in data.gaps} == {("answer", 1, 2), ("speed", 1, 2)}


@pytest.mark.parametrize("records", [QUESTIONS, OPTIONS], ids=["questions", "options"])
def test_parquet_and_jsonl_say_the_same(read: Callable[..., Dataset], records: list[dict[str, Any]]) -> None:
    def plain(data: Dataset) -> list[Any]:
        return [
            (e.id, e.question, e.options, e.answer, {k: np.asarray(v).tolist() for k, v in e.extra.items()})
            for e in data.examples
        ]

    strings = [record | {"id": str(record["id"])} for record in records]
    np.testing.assert_equal(plain(read(strings, "parquet")), plain(read(strings)))


def test_named_fields_group_split_and_image(read: Callable[..., Dataset], tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "i.png")
    one, two = QUESTIONS
    data = read(
        [
            one | {"image": "i.png", "group": 7, "split": "train", "hint": "warm", "grade": "grade3"},
            two | {"group": "x", "split": "test"},
        ]
    )
    first, second = data.examples
    assert (first.image, first.has_image, first.group) == (tmp_path / "i.png", True, "7")
    assert (first.hint, first.grade, first.split) == ("warm", "grade3", "train")
    assert (second.image, second.has_image, second.group, second.split) == (None, False, "x", "test")


def test_families_come_from_the_text(read: Callable[..., Dataset]) -> None:
    data = read([QUESTIONS[0] | {"id": key} for key in "ab"] + [QUESTIONS[1]])
    assert [e.group for e in data.examples] == ["a", "a", "2"]


def test_option_table_gathers_rows_in_file_order(read: Callable[..., Dataset]) -> None:
    a, b = read(OPTIONS).examples
    assert (a.options, a.answer, a.question) == (("sky", "blood"), 1, "Red?")
    assert (b.options, b.answer) == (("milk", "coal"), 0)
    np.testing.assert_array_equal(a.extra["vec"], [[0, 1], [np.nan, np.nan]])
    np.testing.assert_allclose(a.extra["score"], [[0.5], [0.7]])
    assert np.asarray(b.extra["vec"]).dtype == np.float32


def test_numbered_options_carry_no_position(read: Callable[..., Dataset]) -> None:
    rows = [{"id": q, "option": o, "correct": o == 1, "x": 0.1 * o} for q in (1, 2) for o in range(3)]
    one, two = read(rows).examples
    assert one.options == ("", "", "")
    assert one.answer == 1
    assert one.group != two.group, "questions without a text are families of their own"


def test_unlabelled_option_table(read: Callable[..., Dataset]) -> None:
    rows = [{"id": "a", "option": text, "x": 1.0} for text in ("no", "yes")]
    assert read(rows).examples[0].answer is None


def test_vectors_of_options_in_a_question_file(read: Callable[..., Dataset]) -> None:
    data = read(
        [
            QUESTIONS[0] | {"logprob": [[-1.0], [-2.0]], "emb": [1, 2, 3, 4]},
            QUESTIONS[1] | {"logprob": [[-1.0], [-2.0], [-3.0]], "emb": [1, 2, 3, 5]},
        ]
    )
    assert data.examples[1].extra["logprob"] == [[-1.0], [-2.0], [-3.0]]


def test_fingerprint_follows_the_file_and_its_images(read: Callable[..., Dataset], tmp_path: Path) -> None:
    Image.new("RGB", (4, 4), "red").save(tmp_path / "i.png")
    records = [QUESTIONS[0] | {"image": "i.png"}]
    first = read(records).fingerprint
    assert read(records).fingerprint == first
    Image.new("RGB", (4, 4), "blue").save(tmp_path / "i.png")
    assert read(records).fingerprint != first


A, B = QUESTIONS
SKY, MILK, BLOOD, COAL = OPTIONS


def changed(row: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {key: value for key, value in (row | fields).items() if value is not ...}


@pytest.mark.parametrize(
    ("records", "told"),
    [
        (["{"], "own.jsonl, record line 1: broken JSON at column 2"),
        ([A, "[1]"], "record line 2: got a list, allowed is an object"),
        ([], "own.jsonl: holds no records"),
        ([changed(A, options=...)], "record line 1, field options: is missing, needed are id, question"),
        ([changed(A, id=...)], "record line 1, field id: is missing"),
        ([changed(A, id=1.5)], "field id: got 1.5, allowed is a text or a whole number"),
        ([A, changed(B, options=["x"])], "record line 2, field options: got ['x'], allowed is a list of two"),
        ([changed(A, options=["x", 1])], "field options: got ['x', 1], allowed is a list of two or more"),
        ([changed(A, answer=2)], "record line 1, field answer: got 2, allowed is 0 to 1, or null"),
        ([changed(A, answer=-1)], "field answer: got -1, allowed is 0 to 1, or null"),
        ([changed(A, answer="B")], "field answer: got 'B', allowed is 0 to 1, or null"),
        ([changed(A, question=5)], "field question: got 5, allowed is text"),
        ([changed(A, group=[1])], "field group: got [1], allowed is a text or a whole number"),
        ([changed(A, image="no.png")], "record line 1, field image: got 'no.png', allowed is a file"),
        ([changed(A, group="x"), B], "record line 2, field group: is missing here and in 0 more of 2"),
        ([A, A], "record line 2, field id: got 'a' again, first in line 1"),
        ([changed(A, split="train"), B], "record line 2, field split: is missing here and in 0 more of 2"),
        (
            [changed(A, p=[0.1, 0.9]), changed(B, p=[0.1, 0.2, 0.7])],
            "record line 2, field p: got vectors of 3 numbers, but 2 in line 1; numbers of single options",
        ),
        ([changed(A, p=["x"])], "record line 1, field p: got a list of something else"),
        ([changed(A, p=[[1], [2], [3]])], "record line 1, field p: got a list of something else"),
        ([SKY], "record a (line 1): got one option row, allowed are two or more"),
        ([SKY, changed(BLOOD, option=...)], "record line 2, field option: is missing"),
        ([SKY, changed(BLOOD, id=[1])], "record line 2, field id: got [1], allowed is a text"),
        (
            [SKY, changed(BLOOD, option=1)],
            "record line 2, field option: got 1, allowed are texts in all rows",
        ),
        ([SKY, changed(BLOOD, correct=2)], "record line 2, field correct: got 2, allowed are true, false"),
        (
            [SKY, changed(BLOOD, correct=0)],
            "record a (line 1), field correct: got 0 right options and 0 nulls",
        ),
        ([changed(SKY, correct=1), BLOOD], "field correct: got 2 right options and 0 nulls"),
        ([SKY, changed(BLOOD, correct=...)], "field correct: got 0 right options and 1 nulls"),
        ([SKY, changed(BLOOD, question="?")], "record line 2, field question: got '?', but 'Red?' in line 1"),
        ([SKY, changed(BLOOD, model="gpt")], "record line 2, field model: got 'gpt', allowed are a number"),
        ([SKY, changed(BLOOD, vec=[1.0])], "record line 2, field vec: got 1 numbers, but 2 in the rows"),
    ],
)
def test_faulty_records_are_named(read: Callable[..., Dataset], records: Sequence[Any], told: str) -> None:
    with pytest.raises(InputError, match=re.escape(told)):
        read(records)


def test_other_types_and_missing_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("id,question\n")
    with pytest.raises(InputError, match=r"got a file of type '\.csv', allowed are \.jsonl, \.parquet"):
        load_dataset(tmp_path / "own.csv")
    with pytest.raises(InputError, match="no such file or folder"):
        load_dataset(tmp_path / "own.jsonl")
    (tmp_path / "own.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(InputError, match=r"own\.parquet: cannot be read as parquet"):
        load_dataset(tmp_path / "own.parquet")
    (tmp_path / "own.jsonl").write_bytes(b"\xff\xfe{}")
    with pytest.raises(InputError, match=r"own\.jsonl, record line 1: not UTF-8 text"):
        load_dataset(tmp_path / "own.jsonl")
