"""Debiased CKA against sums over items, and where the plain one misleads."""

import numpy as np
import pytest

from studies.probing import cka_matrix, debiased_cka


def by_sums(X, Y) -> float:
    """The unbiased criterion as a sum over tuples of four different items (Song et al., equation 4)."""

    def hsic(K, L):
        n = len(K)
        K, L = K - np.diag(np.diag(K)), L - np.diag(np.diag(L))
        pairs = sum(K[i, j] * L[i, j] for i in range(n) for j in range(n) if i != j)
        triples = sum(
            K[i, j] * L[i, k] for i in range(n) for j in range(n) for k in range(n) if len({i, j, k}) == 3
        )
        fours = sum(
            K[i, j] * L[k, m]
            for i in range(n)
            for j in range(n)
            for k in range(n)
            for m in range(n)
            if len({i, j, k, m}) == 4
        )
        return (
            pairs / (n * (n - 1))
            - 2 * triples / (n * (n - 1) * (n - 2))
            + fours / (n * (n - 1) * (n - 2) * (n - 3))
        )

    K, L = X @ X.T, Y @ Y.T
    return hsic(K, L) / np.sqrt(hsic(K, K) * hsic(L, L))


def plain_cka(X, Y) -> float:
    X, Y = X - X.mean(axis=0), Y - Y.mean(axis=0)
    crossed = np.linalg.norm(X.T @ Y) ** 2
    return crossed / (np.linalg.norm(X.T @ X) * np.linalg.norm(Y.T @ Y))


@pytest.mark.parametrize("dims", [(3, 2), (30, 4), (30, 40)])
def test_the_sum_over_items_in_both_forms(dims: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(9, dims[0])) + 2.0
    Y = X[:, :1] @ rng.normal(size=(1, dims[1])) + rng.normal(size=(9, dims[1]))
    assert debiased_cka(X, Y) == pytest.approx(by_sums(X, Y), rel=1e-9)


def test_unrelated_vectors_are_at_zero_where_the_plain_one_is_near_one() -> None:
    rng = np.random.default_rng(1)
    found = []
    for _ in range(10):
        X, Y = rng.normal(size=(100, 1000)), rng.normal(size=(100, 1000))
        found.append(debiased_cka(X, Y))
        assert plain_cka(X, Y) > 0.85
    assert np.mean(found) == pytest.approx(0.0, abs=0.03)
    assert max(np.abs(found)) < 0.15


def test_rotation_scale_and_shift_change_nothing() -> None:
    rng = np.random.default_rng(2)
    X, Y = rng.normal(size=(60, 5)), rng.normal(size=(60, 7))
    Y[:, 0] += 2 * X[:, 0]
    turn = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    moved = 1e-3 * X @ turn + 4.0
    assert debiased_cka(X, moved) == pytest.approx(1.0, abs=1e-9)
    assert debiased_cka(X, Y) == pytest.approx(debiased_cka(moved, Y), abs=1e-9)
    around = rng.permutation(60)
    assert debiased_cka(X[around], Y[around]) == pytest.approx(debiased_cka(X, Y), abs=1e-9)
    assert 0.1 < debiased_cka(X, Y) < 0.9


def test_the_matrix_holds_every_pair() -> None:
    rng = np.random.default_rng(3)
    stages = [rng.normal(size=(40, dim)) for dim in (3, 6, 50)]
    matrix = cka_matrix(stages)
    np.testing.assert_allclose(np.diag(matrix), 1.0)
    for first in range(3):
        for second in range(3):
            expected = debiased_cka(stages[first], stages[second])
            assert matrix[first, second] == pytest.approx(expected, abs=1e-12)


def test_vectors_that_are_all_alike_are_comparable_with_nothing() -> None:
    X = np.random.default_rng(4).normal(size=(20, 3))
    matrix = cka_matrix([X, np.full((20, 2), 0.1), X])
    assert np.isnan(matrix[1]).all()
    assert np.isnan(matrix[:, 1]).all()
    assert matrix[0, 2] == pytest.approx(1.0)


def test_too_few_or_other_items_are_refused() -> None:
    with pytest.raises(ValueError, match="4 or more"):
        debiased_cka(np.eye(3), np.eye(3))
    with pytest.raises(ValueError, match=r"\[5, 6\] items"):
        debiased_cka(np.eye(5), np.eye(6))
