import json
from dataclasses import replace
from pathlib import Path

import pytest

from llava_core.errors import InputError
from llava_core.evaluation.llava_bench.reviews import Review, kept_reviews, read_reviews, review_line

PUBLISHED = {
    "id": 1, "question_id": 0, "answer1_id": "a", "answer2_id": "b", "category": "llava_bench_conv",
    "content": "8 10\nBoth.", "tuple": [8.0, 10.0],
}  # fmt: skip
OURS = Review(
    id=1, question_id=0, answer1_id="a", answer2_id="b", category="conv", content="8 7\u2028Both\nare right.",
    scores=(8, 7), judge="m at here", settings="s", prompt="p",
)  # fmt: skip
PROMPTS = {("0", False): "p", ("0", True): "q", ("1", False): "r"}


def written(path: Path, *lines: object) -> Path:
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return path


def test_published_reviews(tmp_path: Path) -> None:
    failed = PUBLISHED | {"id": 2, "question_id": 1, "tuple": [-1, -1]}
    one, other = read_reviews(written(tmp_path / "r.jsonl", PUBLISHED, failed))
    assert one.scores == one.reference_and_candidate == (8, 10)
    assert (one.candidate_id, one.settings, one.swapped) == ("b", None, False)
    assert other.scores is None


def test_a_swapped_review_tells_whose_scores_they_are(tmp_path: Path) -> None:
    swapped = replace(OURS, swapped=True)
    [read] = read_reviews(written(tmp_path / "r.jsonl", review_line(swapped)))
    assert read == swapped
    assert read.reference_and_candidate == (7, 8)
    assert read.candidate_id == "a"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"tuple": [8]}, r"line 1, field tuple: got \[8\], allowed are two numbers"),
        ({"tuple": "8 9"}, "field tuple: got '8 9'"),
        ({"tuple": None}, "field tuple: got None"),
        ({"tuple": ["8", 9]}, "field tuple"),
        ({"tuple": [float("nan"), 9]}, "field tuple"),
        ({"question_id": True}, "field question_id: got true, allowed is a whole number or a text"),
        ({"category": None}, "field category: got none, allowed is a text"),
        ({"answer2_id": 3}, "field answer2_id: got a number"),
    ],
)
def test_broken_reviews_are_named(tmp_path: Path, change: dict[str, object], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        read_reviews(written(tmp_path / "r.jsonl", PUBLISHED | change))


def test_a_question_may_be_reviewed_once_in_each_order(tmp_path: Path) -> None:
    read_reviews(written(tmp_path / "r.jsonl", PUBLISHED, PUBLISHED | {"swapped": True}))
    with pytest.raises(InputError, match="record 0: occurs a second time"):
        read_reviews(written(tmp_path / "r.jsonl", PUBLISHED, PUBLISHED | {"id": 2}))


def test_a_run_goes_on_from_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    assert kept_reviews(path, settings="s", prompts=PROMPTS) == []
    whole = review_line(OURS) + "\n"
    path.write_bytes((whole + review_line(replace(OURS, swapped=True, prompt="q"))[:-5]).encode())
    assert kept_reviews(path, settings="s", prompts=PROMPTS) == [OURS]
    assert path.read_bytes() == whole.encode()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (json.dumps(PUBLISHED), "line 1: got a line that is no review of ours"),
        ("[]", "line 1: got a line that is no review of ours"),
        ("8 9", "line 1: got a line that is no review of ours"),
        (review_line(replace(OURS, settings="t")), r"another judge or with other settings \(m at here\)"),
        (review_line(replace(OURS, prompt="x")), "another question, context or answer under id 0"),
    ],
)
def test_a_run_does_not_go_on_from_anything_else(tmp_path: Path, line: str, problem: str) -> None:
    path = written(tmp_path / "r.jsonl", line, "{torn")
    before = path.read_bytes() + b"torn"
    path.write_bytes(before)
    with pytest.raises(InputError, match=problem):
        kept_reviews(path, settings="s", prompts=PROMPTS)
    assert path.read_bytes() == before


def test_a_last_line_that_lacks_its_end_alone_is_judged_as_the_others(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text('{"id": 7, "all my work": [1]}')
    with pytest.raises(InputError, match="line 1: got a line that is no review of ours"):
        kept_reviews(path, settings="s", prompts=PROMPTS)
    assert path.read_text() == '{"id": 7, "all my work": [1]}'
    path.write_text(review_line(OURS))
    assert kept_reviews(path, settings="s", prompts=PROMPTS) == [OURS]
    assert path.read_text() == review_line(OURS) + "\n"


def test_reviews_of_other_questions_are_left_alone(tmp_path: Path) -> None:
    other = replace(OURS, question_id=9, prompt="z")
    assert kept_reviews(written(tmp_path / "r.jsonl", review_line(other)), settings="s", prompts=PROMPTS) == [
        other
    ]
