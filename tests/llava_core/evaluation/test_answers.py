import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llava_core.data.example import Dataset, Example
from llava_core.errors import InputError
from llava_core.evaluation.answers import PublishedAnswers, read_answers

DATA = Dataset(
    name="d",
    fingerprint="0",
    examples=tuple(
        Example(id=key, question="?", options=options, answer=0, split=split, group=key)
        for key, options, split in [
            ("1", ("no", "yes"), "train"),
            ("2", ("sky", "blood", "milk"), "test"),
            ("3", ("repel", "attract"), "test"),
            ("4", ("no", "yes"), "test"),
        ]
    ),
)


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., PublishedAnswers]:
    def reader(content: Any, dataset: Dataset = DATA) -> PublishedAnswers:
        path = tmp_path / "some_llm.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return read_answers(path, dataset)

    return reader


def test_guesses_are_told_from_answers(read: Callable[..., PublishedAnswers]) -> None:
    answers = read(
        {
            "results": {"2": 2, "3": 1, "4": -1},
            "outputs": {"2": "It is white. The answer is C.", "3": "Who knows?", "4": "D"},
        }
    )
    assert answers.name == "some_llm"
    assert answers.chosen == {"2": 2, "3": 1, "4": -1}
    assert answers.parsed == {"2": True, "3": False, "4": False}
    assert answers.strict == {"2": 2, "3": -1, "4": -1}
    assert (answers.n_unparsed, answers.n_beyond, answers.n_guessed) == (1, 1, 1)
    assert answers.texts["3"] == "Who knows?"


def test_index_that_contradicts_its_text_is_not_parsed(read: Callable[..., PublishedAnswers]) -> None:
    answers = read({"results": {"2": 0}, "outputs": {"2": "B"}})
    assert (answers.chosen["2"], answers.parsed["2"], answers.n_guessed) == (0, False, 1)


def test_results_alone_are_believed(read: Callable[..., PublishedAnswers]) -> None:
    answers = read({"results": {"2": 1, "3": -1}})
    assert answers.parsed == {"2": True, "3": False}
    assert answers.texts == {}
    assert "4" not in answers.chosen, "a question that was not asked is absent"


def test_outputs_alone_are_parsed(read: Callable[..., PublishedAnswers]) -> None:
    answers = read({"outputs": {"2": "B. blood", "3": ""}})
    assert answers.chosen == {"2": 1, "3": -1}
    assert answers.parsed == {"2": True, "3": False}


def test_answers_to_unknown_questions_are_counted(read: Callable[..., PublishedAnswers]) -> None:
    answers = read({"results": {"99": 4, "2": 0}})
    assert (dict(answers.chosen), answers.n_unknown) == ({"2": 0}, 1)


def test_free_form_records(read: Callable[..., PublishedAnswers]) -> None:
    records = [
        {"problem_id": "2", "choices": ["sky", "blood", "milk"], "x_response": " 1 ", "correct_answer": 0},
        {"problem_id": "3", "x_response": "both", "correct_answer": 0},
    ]
    answers = read(records)
    assert answers.chosen == {"2": 1, "3": -1}
    assert answers.parsed == {"2": True, "3": False}
    assert (answers.n_unparsed, answers.n_beyond, answers.n_guessed) == (1, 0, 0)
    for entry in records:
        entry["correct_answer"] = 1
    assert read(records) == answers, "the key must not matter"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "some_llm.json: broken JSON at line 1"),
        ("3", "got a number, allowed are an object with results and outputs, or a list of records"),
        ({"acc": 3}, "got the keys 'acc', allowed are results and outputs"),
        ({"results": []}, "field results: got a list, allowed is an object"),
        ({"results": {}}, "some_llm.json: holds no answers"),
        ({"results": {"2": 3}}, "record 2, field results: got 3, allowed is 0 to 2, or -1 where nothing"),
        ({"results": {"3": -2}}, "record 3, field results: got -2, allowed is 0 to 1, or -1"),
        ({"results": {"3": "B"}}, "record 3, field results: got 'B', allowed is 0 to 1"),
        ({"results": {"3": None}}, "record 3, field results: got None, allowed is 0 to 1"),
        ({"outputs": {"3": 1}}, "record 3, field outputs: got 1, allowed is text"),
        ({"results": {"1": 0}}, "got answers to 1 of split train, allowed are answers to the 3 questions of"),
        ({"results": {"77": 0}}, "got answers to none of its questions, allowed are answers to the 3"),
        ([3], "record 1: got a number, allowed is an object"),
        ([{"x_response": "1"}], "record 1, field problem_id: got None, allowed is a question id as text"),
        ([{"problem_id": "2"}], "record 2: got 0 fields named *_response, allowed is one"),
        ([{"problem_id": "2", "a_response": 1}], "record 2, field a_response: got 1, allowed is text"),
        ([{"problem_id": "2", "a_response": "1"}] * 2, "record 2: occurs a second time"),
        (
            [{"problem_id": "2", "choices": ["a", "b"], "a_response": "1"}],
            "record 2, field choices: got ['a', 'b'], but the data set has ['sky', 'blood', 'milk']",
        ),
    ],
)
def test_faulty_files_are_named(read: Callable[..., PublishedAnswers], content: Any, told: str) -> None:
    with pytest.raises(InputError, match=re.escape(told)):
        read(content)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.json: no such file"):
        read_answers(tmp_path / "none.json", DATA)


def test_data_without_a_test_split_takes_answers_to_any_question(
    read: Callable[..., PublishedAnswers],
) -> None:
    plain = Dataset(
        name="p",
        fingerprint="0",
        examples=(Example(id="1", question="?", options=("a", "b"), answer=None, split=None, group="1"),),
    )
    assert read({"results": {"1": 1}}, plain).chosen == {"1": 1}
