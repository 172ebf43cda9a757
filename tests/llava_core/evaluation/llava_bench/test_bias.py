import random

import pytest

from llava_core.evaluation.llava_bench.bias import position_bias
from llava_core.evaluation.llava_bench.reviews import Review


def pair(
    question_id: int, one: tuple[float, float] | None, other: tuple[float, float] | None
) -> list[Review]:
    """Reviews with the reference first, and with the candidate first, as they were shown."""
    return [
        Review(
            id=1, question_id=question_id, answer1_id=None, answer2_id=None, category="conv", content="",
            scores=scores, swapped=swapped,
        )
        for scores, swapped in ((one, False), (other, True))
    ]  # fmt: skip


def test_a_judge_that_adds_a_point_to_whatever_comes_first() -> None:
    rng = random.Random(0)
    reviews = []
    for number in range(60):
        reference, candidate = rng.uniform(5, 9), rng.uniform(2, 9)
        reviews += pair(number, (reference + 1, candidate), (candidate + 1, reference))
    bias = position_bias(reviews)
    assert bias is not None
    found = bias.first_minus_second
    assert (found.value, found.low, found.high) == pytest.approx((1, 1, 1))
    assert 0 < bias.flipped.value < 1  # those less than a point apart


def test_a_judge_without_bias() -> None:
    reviews = [each for number in range(30) for each in pair(number, (8, number % 9), (number % 9, 8))]
    bias = position_bias(reviews)
    assert bias is not None
    assert bias.first_minus_second.value == 0
    assert bias.flipped.value == bias.to_or_from_tie.value == 0
    assert bias.flipped.high == pytest.approx(1 - 0.025 ** (1 / 30))


def test_verdicts_are_counted_by_whose_answer_is_preferred() -> None:
    reviews = [
        *pair(0, (8, 6), (6, 8)),  # the reference both times
        *pair(1, (8, 6), (8, 6)),  # whoever is first: turned round
        *pair(2, (6, 8), (6, 8)),  # whoever is second: turned round
        *pair(3, (7, 7), (8, 7)),  # a tie, then the candidate
        *pair(4, (7, 7), (7, 7)),
        *pair(5, None, (7, 7)),
        pair(6, (9, 1), None)[0],  # in one order only
    ]
    bias = position_bias(reviews)
    assert bias is not None
    assert (bias.n, bias.n_failed) == (5, 1)
    assert bias.flipped.value == pytest.approx(2 / 5)
    assert bias.to_or_from_tie.value == pytest.approx(1 / 5)
    # Leads of the first by question: 0, 2, -2, 0.5, 0.
    assert bias.first_minus_second.value == pytest.approx(0.1)


def test_nothing_to_say_without_both_orders() -> None:
    assert position_bias([pair(0, (8, 6), None)[0]]) is None
    assert position_bias(pair(0, (8, 6), None)) is None
