import numpy as np
import pytest

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


def test_questions_are_the_families_where_none_are_given() -> None:
    rng = np.random.default_rng(0)
    questions = np.repeat(np.arange(120), 4)
    y = (np.arange(480) % 4 == rng.integers(4, size=120)[questions]).astype(int)
    X = rng.normal(size=(480, 4))
    by_question = MEMBERS["forest_of_xgboost"].make({"n_estimators": 5}, seed=0, n_jobs=1)
    by_group = MEMBERS["forest_of_xgboost"].make({"n_estimators": 5}, seed=0, n_jobs=1)
    by_question.fit(X, y, questions=questions)
    by_group.fit(X, y, groups=questions)
    np.testing.assert_array_equal(by_question.oob_prob_, by_group.oob_prob_)


def test_classes_that_no_bag_holds_are_told() -> None:
    forest = MEMBERS["forest_of_xgboost"].make({}, seed=0, n_jobs=1)
    classes = np.repeat(np.arange(30), 3)
    with pytest.raises(ValueError, match="got 30 classes in 30 families"):
        forest.fit(np.zeros((90, 2)), classes, groups=classes)
