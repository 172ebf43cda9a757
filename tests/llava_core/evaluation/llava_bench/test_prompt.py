from dataclasses import replace

import pytest

from llava_core.backends.asking import Malformed
from llava_core.evaluation.llava_bench.prompt import judge_request, prompt_key, read_scores, wording
from llava_core.evaluation.llava_bench.questions import Answer, BenchQuestion, Comparison, Context
from llava_core.evaluation.llava_bench.scores import CATEGORIES

COMPARISON = Comparison(
    number=1,
    question=BenchQuestion(id=0, text="What is it?", image="1.jpg", category="conv"),
    context=Context(text="A cat on a mat.", kind="coco"),
    reference=Answer(id="r", text="A cat.", where="line 1", asked=None),
    candidate=Answer(id="c", text="A dog.", where="line 1", asked=None),
)


def user(comparison: Comparison, *, swapped: bool = False) -> str:
    return judge_request(comparison, swapped=swapped).messages[1].text


@pytest.mark.parametrize(
    ("text", "scores"),
    [
        ("8 10\nBoth.", (8, 10)),
        ("9 6.5", (9, 6.5)),
        ("8,7\nBoth.", (8, 7)),
        ("8, 7", (8, 7)),
        ("  0\t10  \r\nBoth.", (0, 10)),
    ],
)
def test_scores_are_the_two_numbers_of_the_first_line(text: str, scores: tuple[float, float]) -> None:
    assert read_scores(text) == scores


@pytest.mark.parametrize(
    "text",
    ["", "\n8 7", "8", "8 7 6", "8/10 7/10", "Assistant 1: 8", "eight seven", "Scores: 8 7", "nan 7", "inf 7",
     "11 7", "-1 -1", "80 70", "8 7 Both are right."],
)  # fmt: skip
def test_anything_else_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        read_scores(text)


def test_the_request_is_the_published_protocol() -> None:
    request = judge_request(COMPARISON)
    assert (request.temperature, request.max_tokens) == (0.2, 1024)
    assert [message.role for message in request.messages] == ["system", "user"]
    heads = [line for line in request.messages[1].text.splitlines() if line.startswith("[")]
    assert heads == [
        "[Context]",
        "[Question]",
        "[Assistant 1]",
        "[End of Assistant 1]",
        "[Assistant 2]",
        "[End of Assistant 2]",
        "[System]",
    ]
    told = request.messages[1].text
    assert (
        told.index("A cat on a mat.")
        < told.index("What is it?")
        < told.index("A cat.\n")
        < told.index("A dog.")
    )


def test_swapping_changes_places_and_nothing_else() -> None:
    other = replace(COMPARISON, reference=COMPARISON.candidate, candidate=COMPARISON.reference)
    assert user(COMPARISON, swapped=True) == user(other)
    assert judge_request(COMPARISON, swapped=True).id != judge_request(COMPARISON).id
    assert prompt_key(judge_request(COMPARISON, swapped=True)) != prompt_key(judge_request(COMPARISON))


def test_the_rule_is_that_of_category_and_set() -> None:
    rules = set()
    for category in CATEGORIES:
        for kind in ("coco", "wild"):
            asked = replace(
                COMPARISON,
                question=replace(COMPARISON.question, category=category),
                context=replace(COMPARISON.context, kind=kind),
            )
            rule = user(asked).partition("[System]\n")[2]
            assert wording()["criteria"][category] in rule
            assert wording()["context"][kind] in rule
            assert rule.endswith(wording()["format"]["text"])
            rules.add(rule)
    assert len(rules) == 6
