"""Moments gathered part by part, and the erasers made of them."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from studies.probing import Moments, fit_leace, fit_leace_moments, random_eraser, random_eraser_moments

N_CLASSES = 4


@pytest.fixture
def labelled():
    """Correlated vectors far from the origin, of which two columns are equal; classes of unequal size."""
    rng = np.random.default_rng(0)
    classes = rng.choice(N_CLASSES, size=600, p=[0.5, 0.3, 0.15, 0.05])
    vectors = (
        100 + rng.normal(size=(600, 6)) @ rng.normal(size=(6, 6)) + rng.normal(size=(N_CLASSES, 6))[classes]
    )
    return np.column_stack([vectors, vectors[:, 0]]), classes


def gathered(vectors, classes, *, n_parts):
    moments = Moments(dim=vectors.shape[1], n_classes=N_CLASSES)
    for rows in np.array_split(np.arange(len(vectors)), n_parts):
        moments.add(vectors[rows], classes[rows])
    return moments


@pytest.mark.parametrize("n_parts", [1, 7, 600, 1000])
def test_moments_are_those_of_all_vectors_however_they_come(labelled, n_parts):
    vectors, classes = labelled
    moments = gathered(vectors, classes, n_parts=n_parts)
    assert moments.n_rows == 600
    one_hot = np.eye(N_CLASSES)[classes]
    np.testing.assert_allclose(moments.mean, vectors.mean(0))
    np.testing.assert_allclose(moments.covariance, np.cov(vectors, rowvar=False, ddof=0), atol=1e-9)
    np.testing.assert_allclose(moments.shares, one_hot.mean(0))
    crossed = np.cov(vectors, one_hot, rowvar=False, ddof=0)[: vectors.shape[1], vectors.shape[1] :]
    np.testing.assert_allclose(moments.crossed, crossed, atol=1e-9)


def test_the_eraser_of_moments_is_the_one_of_the_theorem(labelled):
    """Against the formula with matrix roots; on what it was fitted on, all classes have one mean after it."""
    vectors, classes = labelled
    eraser = fit_leace_moments(gathered(vectors, classes, n_parts=9))
    assert eraser.rank == N_CLASSES - 1
    one_hot = np.eye(N_CLASSES)[classes]
    centred = vectors - vectors.mean(0)
    root = np.real(sqrtm(centred.T @ centred / len(centred)))
    whiten = np.linalg.pinv(root, rcond=1e-6)
    basis = np.linalg.svd(whiten @ centred.T @ (one_hot - one_hot.mean(0)))[0][:, : N_CLASSES - 1]
    expected = vectors - centred @ (root @ basis @ basis.T @ whiten).T
    erased = eraser.apply(vectors)
    np.testing.assert_allclose(erased, expected, atol=1e-6)
    np.testing.assert_allclose(erased, fit_leace(vectors, classes).apply(vectors), atol=1e-9)
    for number in range(N_CLASSES):
        np.testing.assert_allclose(erased[classes == number].mean(0), vectors.mean(0), atol=1e-8)


def test_a_random_eraser_takes_as_much_out_of_the_same_space(labelled):
    """A projection, orthogonal once whitened, of the rank asked for; the classes stay apart."""
    vectors, classes = labelled
    moments = gathered(vectors, classes, n_parts=1)
    concept, chance = fit_leace_moments(moments), random_eraser_moments(moments, rank=2, seed=0)
    assert chance.rank == 2
    for eraser in (concept, chance):
        removed = eraser.back @ eraser.onto
        np.testing.assert_allclose(removed @ removed, removed, atol=1e-9)
        assert np.linalg.matrix_rank(removed, tol=1e-6) == eraser.rank
        # Orthogonal in the whitened space: what is removed and what stays do not correlate.
        stays = np.eye(len(removed)) - removed
        np.testing.assert_allclose(removed @ moments.covariance @ stays.T, 0, atol=1e-8)
    means = [chance.apply(vectors)[classes == number].mean(0) for number in (0, 1)]
    assert np.abs(means[0] - means[1]).max() > 0.1
    whole = random_eraser(vectors, rank=2, seed=0).apply(vectors)
    np.testing.assert_allclose(chance.apply(vectors), whole, atol=1e-8)
    again, other = (random_eraser_moments(moments, rank=2, seed=seed) for seed in (0, 1))
    np.testing.assert_array_equal(again.back, chance.back)
    assert not np.allclose(other.back, chance.back)
    assert random_eraser_moments(moments, rank=9, seed=0).rank == 6
    np.testing.assert_array_equal(random_eraser_moments(moments, rank=0, seed=0).apply(vectors), vectors)


def test_what_moments_refuse(labelled):
    moments = gathered(*labelled, n_parts=1)
    with pytest.raises(
        ValueError, match=r"got 2 classes of vectors of shape \(2, 3\), expected .* 7 columns"
    ):
        moments.add(np.zeros((2, 3)), [0, 1])
    with pytest.raises(ValueError, match="got classes 0 to 4, expected 0 to 3"):
        moments.add(np.zeros((2, 7)), [0, 4])
