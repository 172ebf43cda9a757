import json
from pathlib import Path

import pytest

from llava_core.errors import InputError
from llava_core.evaluation.llava_bench.questions import (
    comparisons,
    read_bench_answers,
    read_bench_questions,
    read_contexts,
)

QUESTION = {"question_id": 0, "image": "1.jpg", "text": "What is it?", "category": "conv"}
COCO = {
    "id": "1", "image": "1.jpg", "captions": ["A cat. ", "A cat on a mat."],
    "instances": [{"category": "cat", "bbox": [0.1, 0.25, 0.5666, 1.0]}],
}  # fmt: skip
WILD = {"id": 1, "image": "1.jpg", "caption": "A cat named Tom."}


def lines(path: Path, *records: object) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_a_coco_context_is_captions_and_boxes(tmp_path: Path) -> None:
    found = read_contexts(lines(tmp_path / "c.jsonl", COCO, {"image": "2.jpg", "captions": ["A mat."]}))
    assert found["1.jpg"].kind == "coco"
    assert found["1.jpg"].text == "A cat.\nA cat on a mat.\n\ncat: [0.1, 0.25, 0.567, 1.0]"
    assert found["2.jpg"].text == "A mat."


def test_a_wild_context_is_a_caption(tmp_path: Path) -> None:
    [found] = read_contexts(lines(tmp_path / "c.jsonl", WILD)).values()
    assert (found.text, found.kind) == ("A cat named Tom.", "wild")


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        ({"image": "1.jpg"}, "field captions: got no list of texts"),
        ({"image": "1.jpg", "captions": "A cat."}, "field captions: got a text, allowed is a list"),
        (COCO | {"instances": [{"category": "cat", "bbox": [1, 2, 30, 40]}]}, "field instances"),
        (COCO | {"instances": [{"bbox": [0, 0, 1, 1]}]}, "field instances"),
        (COCO | {"instances": ["cat"]}, "field instances: got 'cat'"),
        (WILD | {"image": ""}, "field image: got an empty text"),
    ],
)
def test_broken_contexts_are_named(tmp_path: Path, record: dict[str, object], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        read_contexts(lines(tmp_path / "c.jsonl", record))


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        (QUESTION | {"category": "ocr"}, "field category: got 'ocr', allowed are conv, detail, complex"),
        (
            QUESTION | {"question_id": None},
            "field question_id: got null, allowed is a whole number or a text",
        ),
        (QUESTION | {"text": 7}, "field text: got a number, allowed is a text"),
    ],
)
def test_broken_questions_are_named(tmp_path: Path, record: dict[str, object], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        read_bench_questions(lines(tmp_path / "q.jsonl", record))
    with pytest.raises(InputError, match="line 2: got '0' again"):
        read_bench_questions(lines(tmp_path / "q.jsonl", QUESTION, QUESTION | {"question_id": "0"}))


def test_answers_in_both_schemas(tmp_path: Path) -> None:
    published = {
        "question_id": 0,
        "prompt": "What is it?",
        "text": "A cat.",
        "answer_id": "xyz",
        "metadata": {},
    }
    ours = {"id": "1", "question": "Where?", "images": ["1.jpg"], "text": "", "settings": "0123"}
    bare = {"question_id": 2, "text": "A cat.", "category": "conv"}
    found = read_bench_answers(lines(tmp_path / "a.jsonl", published, ours, bare))
    assert [(name, each.text, each.asked) for name, each in found.items()] == [
        ("0", "A cat.", "What is it?"), ("1", "", "Where?"), ("2", "A cat.", None),
    ]  # fmt: skip
    assert found["0"].id == "xyz"
    assert found["1"].id != found["2"].id
    again = read_bench_answers(lines(tmp_path / "a.jsonl", bare))
    assert again["2"].id == found["2"].id


def test_answers_have_to_be_complete_and_to_the_same_questions(tmp_path: Path) -> None:
    questions = read_bench_questions(lines(tmp_path / "q.jsonl", QUESTION, QUESTION | {"question_id": 1}))
    contexts = lines(tmp_path / "c.jsonl", COCO)
    good = lines(tmp_path / "good.jsonl", *({"question_id": i, "text": "A cat."} for i in (0, 1)))

    def joined(candidates: Path, contexts: Path = contexts) -> object:
        return comparisons(questions, contexts=contexts, references=good, candidates=candidates)

    assert joined(good)
    few = lines(tmp_path / "few.jsonl", {"question_id": 0, "text": "A cat."})
    with pytest.raises(
        InputError, match=r"few.jsonl: lacks 1 of the 2 answers to the questions, the first is 1"
    ):
        joined(few)
    other = [{"question_id": i, "prompt": "Who is it?", "text": "Tom."} for i in (0, 1)]
    with pytest.raises(InputError, match=r"got an answer to 'Who is it\?', but question 0 is 'What is it\?'"):
        joined(lines(tmp_path / "other.jsonl", *other))
    elsewhere = lines(tmp_path / "c2.jsonl", WILD | {"image": "2.jpg"})
    with pytest.raises(InputError, match=r"lacks 2 of the 2 contexts of the images, the first is 1\.jpg"):
        joined(good, elsewhere)
    framed = [{"question_id": i, "prompt": "<image>\nWhat is it?", "text": "Tom."} for i in (0, 1)]
    assert joined(lines(tmp_path / "framed.jsonl", *framed))
