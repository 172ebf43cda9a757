"""The choice made anew, against loops over resampled questions and what theory says of pure noise."""

import numpy as np
import pytest

from studies.stats import mean_estimate
from studies.stats.rechosen import rechosen_estimate


@pytest.fixture
def families():
    return np.repeat(np.arange(40), [1 + i % 4 for i in range(40)])


def by_loops(losses, families, rivals, *, n_boot, seed):
    """Each resample of families in full: choose by its questions, score on those it lacks."""
    names = np.unique(families)
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(n_boot):
        drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)))
        inside = np.concatenate(
            [np.flatnonzero(families == f) for f, n in zip(names, drawn, strict=True) for _ in range(n)]
        )
        outside = np.flatnonzero(np.isin(families, names[drawn == 0]))
        best = min(range(len(losses)), key=lambda i: losses[i][inside].mean())
        value = losses[best][outside].mean()
        if rivals is not None:
            rival = min(range(len(rivals)), key=lambda i: rivals[i][inside].mean())
            value -= rivals[rival][outside].mean()
        found.append(value)
    return np.array(found)


@pytest.mark.parametrize("with_rivals", [False, True])
def test_it_is_what_loops_over_questions_find(families, with_rivals):
    rng = np.random.default_rng(1)
    losses = rng.gamma(2.0, size=(6, len(families)))
    rivals = rng.gamma(2.1, size=(3, len(families))) if with_rivals else None
    found = rechosen_estimate(losses, families, rivals=rivals, n_boot=150, seed=5)
    slow = by_loops(losses, families, rivals, n_boot=150, seed=5)
    assert found.value == pytest.approx(slow.mean(), rel=1e-12)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(slow, [0.025, 0.975])), rel=1e-12)
    assert found.n == len(families)


def test_the_best_of_equals_flatters_itself_and_the_new_choice_does_not():
    rng = np.random.default_rng(0)
    apparent, anew = [], []
    for repeat in range(30):
        losses = rng.normal(1.0, 1.0, size=(20, 100))
        apparent.append(losses.mean(axis=1).min())
        anew.append(rechosen_estimate(losses, np.arange(100), n_boot=100, seed=repeat).value)
    # The least of 20 means of 100 standard normals lies 1.87 / 10 below their expectation.
    assert np.mean(apparent) == pytest.approx(1.0 - 0.187, abs=0.03)
    assert np.mean(anew) == pytest.approx(1.0, abs=0.06)


def test_one_candidate_leaves_nothing_to_choose(families):
    losses = np.random.default_rng(2).gamma(2.0, size=(1, len(families)))
    found = rechosen_estimate(losses, families, n_boot=2000)
    plain = mean_estimate(losses[0], families)
    assert found.value == pytest.approx(plain.value, abs=0.02)
    assert found.high - found.low > plain.high - plain.low


def test_a_rival_that_is_the_only_candidate_differs_by_nothing(families):
    losses = np.random.default_rng(3).gamma(2.0, size=(1, len(families)))
    found = rechosen_estimate(losses, families, rivals=losses)
    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)


def test_names_of_families_and_order_of_questions_do_not_matter(families):
    losses = np.random.default_rng(4).gamma(2.0, size=(5, len(families)))
    order = np.random.default_rng(0).permutation(len(families))
    found = rechosen_estimate(losses, families)
    told = rechosen_estimate(losses[:, order], np.array([f"f{i:02d}" for i in families])[order])
    assert (told.value, told.low, told.high) == pytest.approx((found.value, found.low, found.high))


@pytest.mark.parametrize(
    ("losses", "families", "settings", "told"),
    [
        ([[1.0, 2.0]], ["a", "a"], {}, "1 family"),
        ([[1.0, 2.0, 3.0]], ["a", "b"], {}, "shape"),
        ([1.0, 2.0], ["a", "b"], {}, "shape"),
        ([[1.0, np.nan]], ["a", "b"], {}, "finite"),
        ([[1.0, 2.0]], ["a", "b"], {"level": 1.0}, "level"),
        ([[1.0, 2.0]], ["a", "b"], {"n_boot": 0}, "n_boot"),
    ],
)
def test_what_cannot_be_resampled_is_refused(losses, families, settings, told):
    with pytest.raises(ValueError, match=told):
        rechosen_estimate(losses, families, **settings)
