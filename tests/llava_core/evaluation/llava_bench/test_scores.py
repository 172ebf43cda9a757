import random

import pytest

from llava_core.evaluation.llava_bench.reviews import Review
from llava_core.evaluation.llava_bench.scores import (
    Judged,
    as_published,
    both_orders,
    difference,
    mean_of_runs,
    relative_scores,
)


def review(question_id: int, category: str, scores: tuple[float, float] | None, **more: bool) -> Review:
    return Review(
        id=question_id + 1, question_id=question_id, answer1_id=None, answer2_id=None, category=category,
        content="", scores=scores, **more,
    )  # fmt: skip


REVIEWS = [
    review(0, "llava_bench_conv", (8, 6)),
    review(1, "llava_bench_conv", (10, 4)),
    review(2, "llava_bench_detail", (9, 9)),
    review(3, "llava_bench_complex", None),
    review(4, "llava_bench_complex", (5, 8)),
]


def published_procedure(tuples: list[tuple[float, float]]) -> float:
    """What the published script prints first: means of both columns, -1 included, and their ratio."""
    means = [sum(column) / len(tuples) for column in zip(*tuples, strict=True)]
    return means[1] / means[0] * 100


def test_ratio_of_means_with_failures_left_out_and_counted() -> None:
    scores = relative_scores(as_published(REVIEWS))
    assert list(scores) == ["conv", "detail", "complex", "all"]
    told = {name: (score.relative and score.relative.value) for name, score in scores.items()}
    assert told == pytest.approx({"conv": 100 * 10 / 18, "detail": 100, "complex": 160, "all": 100 * 27 / 32})
    assert [(score.n, score.n_failed) for score in scores.values()] == [(2, 0), (1, 0), (1, 1), (4, 1)]
    assert (scores["conv"].reference_mean, scores["conv"].candidate_mean) == (9, 5)


def test_the_published_means_keep_failures_as_minus_one() -> None:
    scores = relative_scores(as_published(REVIEWS), failures_as_minus_one=True)
    tuples = [each.scores or (-1.0, -1.0) for each in REVIEWS]
    assert scores["all"].relative is not None
    assert scores["all"].relative.value == pytest.approx(published_procedure(tuples))
    assert scores["complex"].relative is not None
    assert scores["complex"].relative.value == pytest.approx(published_procedure(tuples[3:]))
    assert (scores["all"].n, scores["all"].n_failed) == (5, 1)


@pytest.mark.parametrize(
    ("n_failed", "published"),
    [(1, 100 * 23 / 71), (80, 100 * 56 / 8)],  # a few lower the worse one's score, many make it absurd
)
def test_what_keeping_failures_does_to_a_score(n_failed: int, published: float) -> None:
    weak = [review(i, "conv", (9, 3) if i < 8 else None) for i in range(8 + n_failed)]
    right = relative_scores(as_published(weak))["all"].relative
    bug = relative_scores(as_published(weak), failures_as_minus_one=True)["all"].relative
    assert right is not None
    assert bug is not None
    assert right.value == pytest.approx(100 / 3)
    assert bug.value == pytest.approx(published)


def test_the_order_of_reviews_is_nothing() -> None:
    rng = random.Random(0)
    run = [
        Judged(question_id=str(i), category="conv", scores=(rng.uniform(6, 9), rng.uniform(2, 9)))
        for i in range(40)
    ]
    clusters = {str(i): str(i // 3) for i in range(40)}
    turned = rng.sample(run, len(run))
    one, other = (
        relative_scores(run, clusters)["all"].relative,
        relative_scores(turned, clusters)["all"].relative,
    )
    assert one is not None
    assert other is not None
    assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high))


def test_a_category_without_scores_has_none() -> None:
    scores = relative_scores([Judged(question_id="0", category="mine", scores=None)])
    assert list(scores) == ["mine", "all"]
    assert scores["mine"].relative is scores["mine"].reference_mean is None
    assert scores["mine"].n_failed == 1


def test_runs_are_averaged_and_their_spread_told() -> None:
    runs = [
        [
            Judged(question_id="0", category="conv", scores=(10, top)),
            Judged(question_id="1", category="conv", scores=None),
        ]
        for top in (5, 6, 8)
    ]
    mean = mean_of_runs([runs[0], runs[1][::-1], runs[2]])["all"]
    assert mean.relative is not None
    assert mean.relative.value == pytest.approx(190 / 3)
    assert mean.spread == pytest.approx(
        (((50 - 190 / 3) ** 2 + (60 - 190 / 3) ** 2 + (80 - 190 / 3) ** 2) / 2) ** 0.5
    )
    assert (mean.lowest, mean.highest, mean.n_runs) == (50, 80, 3)
    single = mean_of_runs(runs[:1])["all"]
    assert single.spread is None
    with pytest.raises(ValueError, match="different questions"):
        mean_of_runs([runs[0], runs[1][:1]])


def test_the_difference_of_two_candidates_is_that_of_their_means() -> None:
    rng = random.Random(1)

    def run(top: float) -> list[Judged]:
        return [
            Judged(question_id=str(i), category="conv", scores=(rng.uniform(7, 9), top + rng.uniform(0, 2)))
            for i in range(20)
        ]

    one, other = [run(5), run(5), run(5)], [run(3)]
    found = difference(one, other)["all"]
    means = [mean_of_runs(runs)["all"].relative for runs in (one, other)]
    assert found is not None
    assert means[0] is not None
    assert means[1] is not None
    assert found.value == pytest.approx(means[0].value - means[1].value)
    back = difference(other, one)["all"]
    assert back is not None
    assert (back.value, back.low, back.high) == pytest.approx((-found.value, -found.high, -found.low))
    with pytest.raises(ValueError, match="different questions"):
        difference(one, [other[0][1:]])


def test_a_run_without_any_score_leaves_no_mean() -> None:
    good = [Judged(question_id="0", category="conv", scores=(10, 5))]
    bad = [Judged(question_id="0", category="conv", scores=None)]
    mean = mean_of_runs([good, bad])["all"]
    assert mean.relative is mean.spread is None
    assert (mean.lowest, mean.highest, mean.n_runs) == (50, 50, 2)


def test_both_orders_need_scores_in_both() -> None:
    reviews = [
        *REVIEWS,
        review(0, "llava_bench_conv", (7, 9), swapped=True),
        review(1, "llava_bench_conv", None, swapped=True),
        review(3, "llava_bench_complex", (7, 7), swapped=True),
    ]
    joined = {each.question_id: each.scores for each in both_orders(reviews)}
    # Of question 0 the candidate has 6 and 7, the reference 8 and 9.
    assert joined == {"0": (8.5, 6.5), "1": None, "3": None}
