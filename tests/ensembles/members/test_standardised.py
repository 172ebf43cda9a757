"""Standardised features, and the two members on them, against scikit-learn's own."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ensembles.members import standardised
from ensembles.members.linear import BlockLogistic
from ensembles.members.neighbours import WeightedNeighbours
from ensembles.members.standardised import Standardised


def rows(*, n_classes: int, n_rows: int = 400, seed: int = 0) -> tuple[NDArray, NDArray, NDArray]:
    """Return correlated features with gaps, a constant and an empty column; labels; weights."""
    rng = np.random.default_rng(seed)
    X = (rng.normal(size=(n_rows, 9)) @ rng.normal(size=(9, 9)) * 3 + 5).astype(np.float32)
    utility = X @ rng.normal(size=(9, n_classes)) * 0.3 + rng.gumbel(size=(n_rows, n_classes))
    X[rng.random(X.shape) < 0.1] = np.nan
    X = np.column_stack([X, np.full(n_rows, 7.0), np.full(n_rows, np.nan)]).astype(np.float32)
    return X, utility.argmax(axis=1), rng.random(n_rows)


def reference(X: NDArray, weight: NDArray | None = None):
    steps = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())
    with np.errstate(
        invalid="ignore"
    ):  # on some processors a constant column's weighted variance is just below 0
        return steps.fit(X.astype(np.float64), standardscaler__sample_weight=weight)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_numbers_are_those_of_imputer_and_scaler_whatever_the_blocks(
    weighted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, _, weight = rows(n_classes=2)
    given = weight if weighted else None
    monkeypatch.setattr(standardised, "BLOCK_CELLS", 1000)
    ours = Standardised().fit(X, sample_weight=given)
    expected = reference(X, given).transform(X.astype(np.float64))
    np.testing.assert_allclose(ours.transform(X), expected, atol=1e-9)
    found = np.full(X.shape, np.nan)
    for place, block in ours.blocks(X):
        found[place] = block
    np.testing.assert_array_equal(found, ours.transform(X))


def test_rows_without_weight_are_not_there() -> None:
    X, y, weight = rows(n_classes=3)
    weight[::3] = 0
    kept = weight > 0
    whole = BlockLogistic(C=0.5).fit(X, y, sample_weight=weight).predict_proba(X)
    part = BlockLogistic(C=0.5).fit(X[kept], y[kept], sample_weight=weight[kept]).predict_proba(X)
    np.testing.assert_allclose(whole, part, atol=1e-6)


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("C", [0.01, 1.0, 30.0])
def test_the_optimum_is_that_of_scikit_learn(
    n_classes: int, C: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y, weight = rows(n_classes=n_classes)
    monkeypatch.setattr(standardised, "BLOCK_CELLS", 500)
    scaled = reference(X, weight).transform(X.astype(np.float64))
    expected = LogisticRegression(C=C, solver="newton-cholesky", tol=1e-10).fit(scaled, y, weight)
    ours = BlockLogistic(C=C).fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(ours.predict_proba(X), expected.predict_proba(scaled), atol=1e-5)


def test_neighbours_are_those_of_scikit_learn_below_the_size_of_the_sample() -> None:
    X, y, _ = rows(n_classes=3)
    steps = reference(X[:300])
    scaled = steps.transform(X.astype(np.float64)).astype(np.float32)
    expected = KNeighborsClassifier(15, weights="distance", algorithm="brute").fit(scaled[:300], y[:300])
    ours = WeightedNeighbours(15).fit(X[:300], y[:300])
    np.testing.assert_allclose(ours.predict_proba(X[300:]), expected.predict_proba(scaled[300:]), atol=1e-5)


def test_a_sample_of_reference_rows_is_drawn_by_seed_and_holds_every_class() -> None:
    X, y, _ = rows(n_classes=2, n_rows=3000)
    y[:] = 0
    y[17] = 1
    first, again, other = (WeightedNeighbours(5, n_reference=100, seed=seed).fit(X, y) for seed in (0, 0, 1))
    assert first.n_samples_fit_ in (100, 101)
    assert first.classes_.tolist() == [0, 1]
    np.testing.assert_array_equal(first.predict_proba(X), again.predict_proba(X))
    assert not np.array_equal(first.predict_proba(X), other.predict_proba(X))
