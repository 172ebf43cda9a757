"""Erasure: the theorem, the formula, and what it leaves alone."""

import numpy as np
import pytest
from scipy.linalg import pinv, sqrtm

from studies.probing import fit_leace, random_eraser, read_out
from tests.studies.probing.planted import classes, example, linear_classes, split


def correlated(n: int, dim: int, n_classes: int, *, rank: int | None = None, seed: int = 0):
    rng = np.random.default_rng(seed)
    y = rng.integers(n_classes, size=n)
    mixing = rng.normal(size=(dim, rank or dim)) @ rng.normal(size=(rank or dim, dim))
    X = (rng.normal(size=(n, dim)) + rng.normal(size=(n_classes, dim))[y]) @ mixing + 5.0
    return X, y


def direct(X, y):
    """Theorem 4.3 as it is written, with matrix roots and pseudo-inverses."""
    Z = np.eye(y.max() + 1)[y]
    centred = X - X.mean(axis=0)
    covariance = centred.T @ centred / len(X)
    crossed = centred.T @ (Z - Z.mean(axis=0)) / len(X)
    root = np.real(sqrtm(covariance))
    whiten = pinv(root, rtol=1e-6)
    whitened = whiten @ crossed
    onto = whitened @ pinv(whitened, rtol=1e-6)
    return X - centred @ (pinv(whiten, rtol=1e-6) @ onto @ whiten).T


@pytest.mark.parametrize(("dim", "n_classes"), [(6, 2), (10, 5), (3, 8)])
def test_the_formula(dim: int, n_classes: int) -> None:
    X, y = correlated(400, dim, n_classes)
    eraser = fit_leace(X, y)
    assert eraser.rank == min(n_classes - 1, dim)
    np.testing.assert_allclose(eraser.apply(X), direct(X, y), atol=1e-6)


def test_all_classes_have_the_same_mean_afterwards() -> None:
    for rank in (None, 4):
        X, y = correlated(500, 12, 4, rank=rank)
        erased = fit_leace(X, y.astype(str)).apply(X)
        means = np.array([erased[y == k].mean(axis=0) for k in range(4)])
        assert np.abs(X[y == 0].mean(axis=0) - X.mean(axis=0)).max() > 0.3
        np.testing.assert_allclose(means, np.tile(X.mean(axis=0), (4, 1)), atol=1e-8)


def test_no_line_beats_the_commonest_class_and_a_tree_may() -> None:
    rng = np.random.default_rng(3)
    y = (rng.random(1200) < 0.4).astype(int)
    # One class is a ring around the other, and shifted.
    angle = rng.random(1200) * 2 * np.pi
    radius = np.where(y == 1, 3.0, 1.0) + 0.2 * rng.normal(size=1200)
    X = np.column_stack([radius * np.cos(angle) + 2 * y, radius * np.sin(angle), rng.normal(size=1200)])
    train, test = split(1200, 800)
    eraser = fit_leace(X[train], y[train])
    credit = {
        (name, told): read_out(
            name, example(vectors), classes(y), groups=np.arange(1200), train=train, test=test, seed=0
        )
        for told, vectors in (("before", X), ("after", eraser.apply(X)))
        for name in ("linear", "boosting")
    }
    majority = (y[test] == 0).mean()
    assert credit["linear", "before"].credit.mean() > majority + 0.1
    assert credit["linear", "after"].credit.mean() == pytest.approx(majority, abs=0.01)
    assert credit["boosting", "after"].credit.mean() > majority + 0.2


def test_on_its_own_vectors_the_best_line_is_the_prior() -> None:
    from ensembles.members.linear import BlockLogistic

    X, y = correlated(300, 6, 3)
    erased = fit_leace(X, y).apply(X)
    prob = BlockLogistic(C=100.0).fit(erased, y).predict_proba(erased)
    np.testing.assert_allclose(prob, np.tile(np.bincount(y) / 300, (300, 1)), atol=1e-5)


def test_erasing_twice_is_erasing_once() -> None:
    X, y = correlated(300, 8, 4)
    eraser = fit_leace(X, y)
    once = eraser.apply(X)
    np.testing.assert_allclose(eraser.apply(once), once, atol=1e-8)
    assert fit_leace(once, y).rank == 0


def test_directions_that_have_nothing_to_do_with_the_concept_stay() -> None:
    rng = np.random.default_rng(4)
    y = np.repeat([0, 1], 200)
    concept = np.column_stack([y + 0.3 * rng.normal(size=400), rng.normal(size=400)])
    # Orthogonal to both the concept's columns and the labels, on this sample.
    basis = np.linalg.qr(np.column_stack([np.ones(400), y, concept, rng.normal(size=(400, 3))]))[0]
    free = basis[:, 4:7] * 20
    X = np.hstack([concept, free])
    erased = fit_leace(X, y).apply(X)
    np.testing.assert_allclose(erased[:, 2:], free, atol=1e-8)
    # And no map that equals the class means moves the vectors less: compared with dropping the column.
    dropped = X.copy()
    dropped[:, 0] = X[:, 0].mean()
    dropped[:, 1] = X[:, 1].mean()
    assert ((erased - X) ** 2).sum() < ((dropped - X) ** 2).sum()


def test_it_turns_with_the_vectors() -> None:
    X, y = correlated(300, 6, 3)
    turn = np.linalg.qr(np.random.default_rng(5).normal(size=(6, 6)))[0]
    there, back = fit_leace(X, y).apply(X), fit_leace(X @ turn, y).apply(X @ turn)
    np.testing.assert_allclose(there @ turn, back, atol=1e-7)


def test_one_class_or_one_vector_leaves_all_as_it_is() -> None:
    X, _ = correlated(30, 4, 2)
    for vectors, labels in ((X, np.zeros(30)), (np.ones((30, 4)), np.arange(30) % 2)):
        eraser = fit_leace(vectors, labels)
        assert eraser.rank == 0
        np.testing.assert_array_equal(eraser.apply(vectors), vectors)
    with pytest.raises(ValueError, match="29 labels of"):
        fit_leace(X, np.zeros(29))


def test_random_directions_of_the_same_rank() -> None:
    X, y, _ = linear_classes(500, dim=30)
    eraser = random_eraser(X, rank=2, seed=0)
    erased = eraser.apply(X)
    assert eraser.rank == 2
    np.testing.assert_allclose(eraser.apply(erased), erased, atol=1e-8)
    assert np.linalg.matrix_rank(erased - X.mean(axis=0), tol=1e-6) == 28
    assert random_eraser(X, rank=99, seed=0).rank == 30
    assert fit_leace(erased, y).rank == 2
