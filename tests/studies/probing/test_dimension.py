"""Intrinsic dimension of surfaces that are known."""

import numpy as np
import pytest

from studies.probing import two_nn


def sheet(n: int, dim: int, ambient: int = 20, seed: int = 0):
    """Points spread evenly on a torus, which has no border, of a known dimension among more of them."""
    rng = np.random.default_rng(seed)
    angle = rng.random((n, dim)) * 2 * np.pi
    flat = np.hstack([np.cos(angle), np.sin(angle)])
    return flat @ np.linalg.qr(rng.normal(size=(ambient, ambient)))[0][: 2 * dim]


@pytest.mark.parametrize("dim", [1, 2, 3, 5])
def test_known_dimensions_lie_in_their_intervals(dim: int) -> None:
    inside = [
        estimate.low < dim < estimate.high
        for estimate in (two_nn(sheet(1000, dim, seed=seed)) for seed in range(12))
    ]
    assert np.mean(inside) > 0.7
    assert two_nn(sheet(2000, dim)).value == pytest.approx(dim, rel=0.1)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_cubes_have_their_dimension(dim: int) -> None:
    rng = np.random.default_rng(1)
    X = rng.random((2000, dim)) @ np.linalg.qr(rng.normal(size=(30, 30)))[0][:dim]
    estimate = two_nn(X)
    assert estimate.low < dim < estimate.high
    assert (estimate.n, estimate.n_repeated, estimate.level) == (2000, 0, 0.95)


def test_ratios_of_distances_by_hand() -> None:
    X = np.random.default_rng(2).normal(size=(60, 3))
    distance = np.sort(np.linalg.norm(X[:, None] - X[None], axis=2), axis=1)
    ratio = np.sort(np.log(distance[:, 2] / distance[:, 1]))
    total = ratio[:54].sum() + 6 * ratio[53]
    assert two_nn(X).value == pytest.approx(53 / total)


def test_the_interval_covers_an_exponential_sample() -> None:
    """The interval is that of a rate, of a sample whose largest tenth is censored."""
    estimate = two_nn(sheet(1000, 2))
    half = two_nn(sheet(1000, 2), level=0.5)
    assert estimate.low < half.low < estimate.value < half.high < estimate.high
    assert (estimate.high - estimate.low) / estimate.value == pytest.approx(2 * 1.96 / np.sqrt(900), rel=0.02)


def test_scale_shift_and_order_change_nothing() -> None:
    X = sheet(300, 2)
    plain = two_nn(X)
    moved = two_nn(1e4 * X[np.random.default_rng(3).permutation(300)] + 3.0)
    assert moved.value == pytest.approx(plain.value, rel=1e-6)


def test_repeated_vectors_count_once() -> None:
    X = sheet(300, 2)
    plain, doubled = two_nn(X), two_nn(np.vstack([X, X[:120], X[:40]]))
    assert doubled.value == plain.value
    assert (doubled.n, doubled.n_repeated) == (300, 160)


def test_what_has_no_dimension_is_refused() -> None:
    with pytest.raises(ValueError, match="1 different vectors"):
        two_nn(np.ones((50, 3)))
    grid = np.stack(np.meshgrid(np.arange(8.0), np.arange(8.0)), axis=-1).reshape(-1, 2)
    with pytest.raises(ValueError, match="grid"):
        two_nn(grid)
