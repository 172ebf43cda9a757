from collections.abc import Sequence
from pathlib import Path

import pytest

from llava_core.backends.budget import Budget
from llava_core.backends.chat import BackendError, Message, Reply, Request
from llava_core.data.example import Example
from llava_core.errors import InputError
from llava_core.evaluation.text_llm import answer_requests, ask_texts, judge_requests

EXAMPLES = [
    Example(
        id=pid, question=f"Which is {pid}?", options=("iron", "wood"), answer=0, split="test", group=pid,
        hint="Metals shine.", has_image=pid == "b",
    )
    for pid in "abc"
]  # fmt: skip


class Fixed:
    name = "fixed"
    batch_size = 1

    def __init__(self, said: dict[str, str | BackendError]) -> None:
        self.said = said
        self.asked: list[str] = []

    def n_tokens(self, messages: Sequence[Message]) -> int:
        return 1

    def reply(self, requests: Sequence[Request]) -> list[Reply | BackendError]:
        self.asked += [request.id for request in requests]
        said = [self.said[request.id] for request in requests]
        return [
            text
            if isinstance(text, BackendError)
            else Reply(text=text, finish="stop", n_prompt_tokens=1, n_completion_tokens=1)
            for text in said
        ]


def test_the_question_is_told_in_words_and_that_there_is_an_image() -> None:
    words = [request.messages[1].text for request in answer_requests(EXAMPLES)]
    assert words[0] == "Which is a?\nContext: Metals shine.\nOptions: (A) iron (B) wood"
    assert words[1].endswith("\n(The question comes with an image.)")


def test_the_judge_sees_both_answers_and_where_there_is_none() -> None:
    [request] = judge_requests(EXAMPLES[:1], {"a": " "}, {"a": "The answer is B."})
    assert "First student: (no answer)\n\nSecond student: The answer is B." in request.messages[1].text


def test_only_a_question_that_was_refused_itself_may_stay_without_words(tmp_path: Path) -> None:
    requests = answer_requests(EXAMPLES)
    refused = BackendError("status 400: policy", is_lasting=True)
    down = Fixed({"a": "The answer is A.", "b": refused, "c": BackendError("no connection")})
    with pytest.raises(InputError, match=r"record c: no reply to 1 of 3 requests"):
        ask_texts(down, requests, cache=tmp_path / "r.sqlite", budget=Budget(), concurrency=1)
    up = Fixed({"a": "never asked", "b": refused, "c": "The answer is B."})
    texts = ask_texts(up, requests, cache=tmp_path / "r.sqlite", budget=Budget(), concurrency=1)
    assert texts == {"a": "The answer is A.", "b": "", "c": "The answer is B."}
    assert up.asked == ["b", "c"]


def test_a_budget_that_ends_is_no_abstention(tmp_path: Path) -> None:
    backend = Fixed(dict.fromkeys("abc", "The answer is A."))
    with pytest.raises(InputError, match="the budget is used up"):
        ask_texts(
            backend, answer_requests(EXAMPLES), cache=tmp_path / "r.sqlite", budget=Budget(max_tokens=1026),
            concurrency=1,
        )  # fmt: skip
