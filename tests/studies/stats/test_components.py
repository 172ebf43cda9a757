import numpy as np
import pytest

from studies.stats import half_width, variance_components


def test_the_parts_add_up_to_the_sums_of_squares() -> None:
    """Against the table of a two-way analysis of variance, worked out cell by cell."""
    table = np.random.default_rng(0).normal(size=(7, 3)) + np.arange(7)[:, None] + np.array([0, 5, 9])
    n, s = table.shape
    grand = table.mean()
    of_question = sum(s * (table[q].mean() - grand) ** 2 for q in range(n)) / (n - 1)
    of_seed = sum(n * (table[:, k].mean() - grand) ** 2 for k in range(s)) / (s - 1)
    rest = 0.0
    for q in range(n):
        for k in range(s):
            rest += (table[q, k] - table[q].mean() - table[:, k].mean() + grand) ** 2
    rest /= (n - 1) * (s - 1)
    parts = variance_components(table)
    assert parts.rest == pytest.approx(rest)
    assert parts.question == pytest.approx((of_question - rest) / s)
    assert parts.seed == pytest.approx((of_seed - rest) / n)


def test_planted_variances_are_recovered() -> None:
    rng = np.random.default_rng(1)
    found = []
    for _ in range(400):
        question, seed = rng.normal(0, 0.5, (200, 1)), rng.normal(0, 0.1, (1, 3))
        parts = variance_components(0.3 + question + seed + rng.normal(0, 0.4, (200, 3)))
        found.append((parts.question, parts.seed, parts.rest, parts.of_mean_by_seed))
    question_var, seed_var, rest_var, of_mean = np.mean(found, axis=0)
    assert question_var == pytest.approx(0.25, rel=0.03)
    assert seed_var == pytest.approx(0.01, rel=0.15)
    assert rest_var == pytest.approx(0.16, rel=0.03)
    assert of_mean == pytest.approx(0.01 / 3 + 0.16 / 600, rel=0.15)


def test_seeds_that_differ_in_nothing_have_no_variance() -> None:
    column = np.random.default_rng(2).random((50, 1))
    parts = variance_components(np.repeat(column, 3, axis=1))
    assert parts.seed == 0
    assert parts.rest == pytest.approx(0, abs=1e-20)
    assert parts.question == pytest.approx(float(column.var(ddof=1)))


def test_the_order_of_questions_and_seeds_does_not_matter() -> None:
    table = np.random.default_rng(3).random((20, 4))
    moved = variance_components(table[::-1][:, [2, 0, 3, 1]])
    first = variance_components(table)
    assert (moved.question, moved.seed, moved.rest) == pytest.approx((first.question, first.seed, first.rest))


@pytest.mark.parametrize("table", [np.ones((5, 1)), np.ones((1, 3)), np.ones(4), np.full((3, 3), np.nan)])
def test_too_little_to_tell_is_refused(table: np.ndarray) -> None:
    with pytest.raises(ValueError, match="2 or more questions and seeds"):
        variance_components(table)


@pytest.mark.parametrize("n_seeds", [3, 8])
def test_the_interval_of_both_sources_covers_what_it_says(n_seeds: int) -> None:
    rng = np.random.default_rng(n_seeds)
    seed_sd, question_sd, n_draws = 1.0, 0.5, 4000
    means = np.empty(n_draws)
    half = np.empty(n_draws)
    for draw in range(n_draws):
        seeds = rng.normal(0, seed_sd, n_seeds)
        means[draw] = seeds.mean() + rng.normal(0, question_sd)
        half[draw] = half_width(
            by_seed=seeds.var(ddof=1) / n_seeds, by_question=question_sd**2, n_seeds=n_seeds, level=0.9
        )
    assert (np.abs(means) <= half).mean() == pytest.approx(0.9, abs=0.04)
