"""Published answers on real ScienceQA, the partial copy: the counts of its README, exactly."""

from pathlib import Path

import pytest

from llava_core.data.example import Dataset
from llava_core.data.load import load_dataset
from llava_core.evaluation.scienceqa import PublishedAnswers, columns, read_answers

pytestmark = pytest.mark.scienceqa

IMAGES_ONLY = ("gemma3", "llama", "llava", "minicpm-v")


@pytest.fixture(scope="module")
def data(scienceqa_dir: Path) -> Dataset:
    return load_dataset(scienceqa_dir)


def read(folder: Path, name: str, data: Dataset) -> PublishedAnswers:
    return read_answers(folder / "llm_answers" / f"{name}.json", data)


@pytest.mark.parametrize(
    ("name", "n_right", "n_strict", "n_unparsed", "n_minus", "n_guessed", "txt", "img", "no"),
    [
        ("llava_13b", 2878, 2877, 0, 0, 1, 1379, 1328, 964),
        ("llava_13b_lcs558k", 2894, 2894, 4, 4, 0, 1386, 1336, 976),
        ("llava_1.5_13b_zero_shot", 2350, 2350, 4, 26, 0, 1147, 1069, 786),
        ("gpt3_2shot_cot", 2379, 2286, 187, 0, 187, 1149, 1022, 850),
    ],
)
def test_result_files(
    scienceqa_dir: Path,
    data: Dataset,
    name: str,
    n_right: int,
    n_strict: int,
    n_unparsed: int,
    n_minus: int,
    n_guessed: int,
    txt: int,
    img: int,
    no: int,
) -> None:
    answers = read(scienceqa_dir, name, data)
    test = data.split("test")
    table = columns([answers.chosen[e.id] == e.answer for e in test], test)
    assert [(table[c].credit, table[c].n) for c in ("TXT", "IMG", "NO", "Avg")] == [
        (txt, 1554),
        (img, 1518),
        (no, 1063),
        (n_right, 3175),
    ]
    assert sum(table[c].n for c in ("NAT", "SOC", "LAN")) == table["G1-6"].n + table["G7-12"].n == 279
    assert sum(answers.strict[e.id] == e.answer for e in test) == n_strict
    assert answers.n_unparsed == n_unparsed
    assert sum(index == -1 for index in answers.chosen.values()) == n_minus
    assert answers.n_guessed == n_guessed


@pytest.mark.parametrize(
    ("name", "by_subject", "by_grade"),
    [
        ("llava_13b", (135, 46, 63), (149, 95)),
        ("llava_13b_lcs558k", (139, 47, 64), (155, 95)),
        ("llava_1.5_13b_zero_shot", (117, 40, 47), (134, 70)),
        ("gpt3_2shot_cot", (118, 35, 53), (135, 71)),
    ],
)
def test_subjects_and_grades_on_the_rows_that_have_them(
    scienceqa_dir: Path,
    data: Dataset,
    name: str,
    by_subject: tuple[int, int, int],
    by_grade: tuple[int, int],
) -> None:
    answers = read(scienceqa_dir, name, data)
    test = data.split("test")
    table = columns([answers.chosen[e.id] == e.answer for e in test], test)
    assert tuple(table[c].credit for c in ("NAT", "SOC", "LAN")) == by_subject
    assert tuple(table[c].n for c in ("NAT", "SOC", "LAN")) == (154, 49, 76)
    assert tuple(table[c].credit for c in ("G1-6", "G7-12")) == by_grade
    assert table["NAT"].n_unknown == 2896


def test_some_model_is_right_on_nearly_every_question(scienceqa_dir: Path, data: Dataset) -> None:
    names = ("llava_13b", "llava_13b_lcs558k", "llava_1.5_13b_zero_shot", "gpt3_2shot_cot")
    files = [read(scienceqa_dir, name, data) for name in names]
    right = sum(any(f.chosen[e.id] == e.answer for f in files) for e in data.split("test"))
    assert round(100 * right / 3175, 1) == 97.5


@pytest.mark.parametrize("name", IMAGES_ONLY)
def test_free_form_files_cover_the_image_questions_and_mostly_parse(
    scienceqa_dir: Path, data: Dataset, name: str
) -> None:
    answers = read(scienceqa_dir, f"images_only_{name}", data)
    asked = [e for e in data.split("test") if e.id in answers.chosen]
    assert [e.has_image for e in asked] == [True] * 1518
    parsed = [e for e in asked if answers.parsed[e.id]]
    assert len(parsed) >= 0.75 * len(asked)
    assert answers.n_unparsed == len(asked) - len(parsed)
    for shift in (1, 2):
        shifted = [(answers.chosen[e.id] + shift) % len(e.options) == e.answer for e in parsed]
        right = [answers.chosen[e.id] == e.answer for e in parsed]
        assert sum(right) > sum(shifted), "indices count from 0"
