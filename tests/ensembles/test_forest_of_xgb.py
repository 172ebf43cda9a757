import numpy as np

from ensembles.choice import credit, question_probabilities
from ensembles.registry import MEMBERS


def rows(signal: float):
    rng = np.random.default_rng(0)
    questions = np.repeat(np.arange(500), 4)
    y = np.tile([1, 0, 0, 0], 500)
    X = rng.normal(size=(2000, 8)).astype(np.float32)
    X[:, 0] += signal * y
    return X, y, questions


def oob_accuracy(groups: np.ndarray, signal: float) -> float:
    X, y, questions = rows(signal)
    forest = MEMBERS["forest_of_xgboost"].make({"n_estimators": 30, "n_members": 10}, seed=0, n_jobs=1)
    prob = forest.fit(X, y, groups=groups).oob_prob_[:, 1]
    whole = np.bincount(questions, weights=np.isnan(prob)) == 0
    keep = whole[questions]
    assert whole.mean() > 0.9
    shares = question_probabilities(prob[keep], questions[keep])
    return float(credit(shares, questions[keep], y[keep]).mean())


def test_out_of_bag_by_family_is_chance_on_noise() -> None:
    questions = rows(0.0)[2]
    assert abs(oob_accuracy(questions, 0.0) - 0.25) < 0.06


def test_out_of_bag_sees_a_signal() -> None:
    questions = rows(0.0)[2]
    assert oob_accuracy(questions, 2.0) > 0.6


def test_members_differ_and_their_mean_is_the_answer() -> None:
    X, y, questions = rows(1.0)
    forest = MEMBERS["forest_of_xgboost"].make({"n_estimators": 10, "n_members": 3}, seed=0, n_jobs=1)
    forest.fit(X, y, groups=questions)
    each = [member.predict_proba(X) for member in forest.estimators_]
    assert not np.allclose(each[0], each[1])
    np.testing.assert_allclose(forest.predict_proba(X), np.mean(each, axis=0), atol=1e-6)
