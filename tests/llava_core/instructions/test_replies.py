"""Good and bad replies of language models."""

import json
from pathlib import Path

import pytest

from llava_core.backends.asking import Malformed
from llava_core.instructions.replies import Pair, read_conversation, read_detail, read_reasoning, reason

ONE = "Question:\nWhy is the road empty?\n===\nAnswer:\nIt is early, since the sun stands low."
TWO = ONE + "\n===\nQuestion: What is parked there?\n===\nAnswer: A car.\nIt is red."
LONG = (
    "A man stands beside a bus. To his left there is a dog, and two bags lie in front of them, on the road."
)


def test_a_conversation_is_pairs() -> None:
    assert read_conversation(f"\n{TWO}\n ") == (
        Pair(question="Why is the road empty?", answer="It is early, since the sun stands low."),
        Pair(question="What is parked there?", answer="A car.\nIt is red."),
    )
    assert read_conversation(TWO.replace("===", " ===== ").replace("\n", "\r\n"))


def test_reasoning_is_one_pair() -> None:
    (pair,) = read_reasoning(ONE)
    assert pair.question == "Why is the road empty?"


def test_a_description_is_paragraphs() -> None:
    assert read_detail(f"{LONG}\nMore.\n\n \nThe end of it.") == (
        Pair(question=None, answer=f"{LONG} More.\n\nThe end of it."),
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("  \n", "empty"),
        (ONE, "too few questions"),
        (LONG, "not in its format"),
        ("Here is a conversation:\n" + TWO, "not in its format"),
        ("===\n" + TWO, "not in its format"),
        (TWO + "\n===", "not in its format"),
        (TWO.replace("Answer:\nIt", "A:\nIt"), "not in its format"),
        (TWO.replace("Answer: A car.", "Question: A car."), "not in its format"),
        (TWO + "\n===\nQuestion: And", "a question without an answer"),
        (TWO.replace("\n===\nAnswer: A", "\nAnswer: A"), "a line === is missing"),
        (TWO + "\n===\nQuestion:\n===\nAnswer: Yes.", "an empty question"),
        (TWO + "\n===\nQuestion: Who?\n===\nAnswer:", "an empty answer"),
        (
            TWO + "\n===\n" + ONE.upper().replace("QUESTION", "Question").replace("ANSWER", "Answer"),
            "a question twice",
        ),
        (TWO.replace("A car.", "A car at [0.1, 0.25, 0.3, 0.4]."), "coordinates"),
        (TWO.replace("A car.", "A car at (0.1, 0.25)."), "coordinates"),
        (TWO.replace("A car.", "A car whose left edge is 0.351."), "coordinates"),
        (TWO.replace("A car.", "As the second caption says, a car."), "names its source"),
        (TWO.replace("A car.", "According to the description, a car."), "names its source"),
        (TWO.replace("A car.", "<image> A car."), "the mark of an image"),
        (TWO.replace("A car.", "As an AI language model, I do not know."), "a refusal"),
    ],
)
def test_a_conversation_that_breaks_the_rules(text: str, why: str) -> None:
    with pytest.raises(Malformed) as caught:
        read_conversation(text)
    assert reason(str(caught.value)) == why


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (TWO, "several questions"),
        ("Question: Why?", "a question without an answer"),
        ("Why?\n===\nBecause.", "not in its format"),
        (ONE + " I cannot see more.", "a refusal"),
    ],
)
def test_reasoning_that_breaks_the_rules(text: str, why: str) -> None:
    with pytest.raises(Malformed) as caught:
        read_reasoning(text)
    assert reason(str(caught.value)) == why


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("A man beside a bus.", "too short"),
        (ONE, "questions in a description"),
        (f"{LONG}\n===\n{LONG}", "questions in a description"),
        (f"{LONG}\n- a dog\n- a bus", "a list or heading"),
        (f"{LONG}\n1. a dog\n2. a bus", "a list or heading"),
        (f"# The scene\n{LONG}", "a list or heading"),
        (f"{LONG} The bounding box of the dog is large.", "names its source"),
        (f"{LONG} Based on the provided captions it is early.", "names its source"),
        (f"{LONG} dog: [0.1, 0.2, 0.3, 0.4]", "coordinates"),
        (f"I'm sorry, but I need more. {LONG}", "a refusal"),
    ],
)
def test_a_description_that_breaks_the_rules(text: str, why: str) -> None:
    with pytest.raises(Malformed) as caught:
        read_detail(text)
    assert reason(str(caught.value)) == why


@pytest.mark.parametrize(
    "text",
    [
        "It costs 2.50 and weighs 0.5 kg.",
        "He holds a sign that gives a description of the way.",
        "There are 3 dogs, 2 cats and a clock that shows 10.15.",
        "The boy is sorry for his mother.",
        "The box on the left is given to the woman.",
    ],
)
def test_ordinary_words_are_no_fault(text: str) -> None:
    assert read_reasoning(f"Question: Why?\n===\nAnswer: {text}")[0].answer == text


def test_no_published_reply_of_gpt_4_is_refused(llava_bench_dir: Path) -> None:
    n_read = 0
    for name, field in (("coco2014_val_gpt4_qa_30x3", "output"), ("qa90_gpt4_answer", "text")):
        for line in (llava_bench_dir / f"{name}.jsonl").read_text().splitlines():
            row = json.loads(line)
            n_read += len(read_reasoning(f"Question: What?\n===\nAnswer: {row[field]}"))
            if row.get("type") == "detail":
                read_detail(row[field])
    assert n_read == 180
