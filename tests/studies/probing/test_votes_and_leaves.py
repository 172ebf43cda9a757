"""Probabilities of neighbours and trees against counting by hand."""

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.tree import DecisionTreeClassifier

from studies.probing import neighbours, trees
from tests.studies.probing.planted import linear_classes


def test_neighbours_vote_with_the_prior_as_one_more() -> None:
    X, y, _ = linear_classes(90, dim=5)
    known, new = X[:60], X[60:]
    spread = known.std(axis=0)
    order = np.argsort(cdist(new / spread, known / spread), axis=1, kind="stable")
    prior = np.bincount(y[:60]) / 60
    for number in (1, 7, 60, 500):
        prob = neighbours.fit(known, y[:60], {"n_neighbours": number}, seed=0, n_jobs=1).prob(new)
        k = min(number, 60)
        for row, nearest in enumerate(order):
            votes = np.array([(y[nearest[:k]] == c).sum() for c in range(3)])
            np.testing.assert_allclose(prob[row], (votes + prior) / (k + 1))


def test_blocks_of_distances_change_nothing(monkeypatch) -> None:
    X, y, _ = linear_classes(90, dim=5)
    probe = neighbours.fit(X[:60], y[:60], {"n_neighbours": 5}, seed=0, n_jobs=1)
    whole = probe.prob(X)
    monkeypatch.setattr(neighbours, "CELLS", 200)
    np.testing.assert_array_equal(probe.prob(X), whole)


def test_a_leaf_counts_its_rows_and_the_prior_as_one_more() -> None:
    X, y, _ = linear_classes(150)
    X = X.astype(np.float32).astype(np.float64)
    probe = trees.fit_tree(X[:100], y[:100], {"min_samples_leaf": 8}, seed=3, n_jobs=1)
    model = DecisionTreeClassifier(min_samples_leaf=8, random_state=3).fit(X[:100], y[:100])
    of_known, of_new = model.apply(X[:100]), model.apply(X[100:])
    prior = np.bincount(y[:100]) / 100
    for row, leaf in enumerate(of_new):
        inside = np.bincount(y[:100][of_known == leaf], minlength=3)
        assert inside.sum() >= 8
        np.testing.assert_allclose(probe.prob(X[100:])[row], (inside + prior) / (inside.sum() + 1))


def test_a_forest_is_the_mean_of_its_trees() -> None:
    X, y, _ = linear_classes(150)
    probe = trees.fit_forest(X[:100], y[:100], {"min_samples_leaf": 1}, seed=3, n_jobs=1)
    assert len(probe.trees) == 100
    each = [trees._Trees(trees=[tree], prior=probe.prior).prob(X[100:]) for tree in probe.trees]
    np.testing.assert_allclose(probe.prob(X[100:]), np.mean(each, axis=0))
    assert probe.n_bytes == sum(trees._Trees(trees=[tree], prior=probe.prior).n_bytes for tree in probe.trees)
