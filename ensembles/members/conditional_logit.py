"""Conditional logit (McFadden 1974): one linear utility per option, a softmax over the options of a question.

The likelihood is that of the choice, so what is the same for all options of a question cancels, and the
order of the options does not matter. A logistic regression of rows has neither property. Fitted by L-BFGS on
the log-likelihood with a ridge penalty; features are divided by their spread within questions.
"""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ensembles.choice import question_index, question_softmax
from ensembles.members.utility import UtilityClassifier
from ensembles.space import Trial

DEFAULTS: Mapping[str, Any] = {"penalty": 30.0}


class ConditionalLogit(BaseEstimator):
    """Softmax of a linear utility over the options of each question.

    Parameters
    ----------
    penalty : float
        Weight of half the squared norm of the coefficients, beside the summed log-likelihood of the
        questions; 0 or more.

    Attributes
    ----------
    coef_ : ndarray, shape (n_features,)
        Of the features divided by their spread.
    scale_ : ndarray, shape (n_features,)
        Spread of each feature within questions; 1 for a feature without any.
    mean_ : ndarray, shape (n_features,)
        What a missing value counts as.

    References
    ----------
    McFadden, D. (1974). Conditional logit analysis of qualitative choice behavior.
    """

    def __init__(self, *, penalty: float = 1.0) -> None:
        self.penalty = penalty

    def fit(self, X: ArrayLike, y: ArrayLike, *, questions: ArrayLike) -> Self:
        """Fit the utility.

        Parameters
        ----------
        X : array of float, shape (n_rows, n_features)
            NaN is a missing value.
        y : array of int, shape (n_rows,)
            1 for the right option of each question.
        questions : array of int, shape (n_rows,)
        """
        labels = np.asarray(y)
        self.classes_ = np.array([0, 1])
        return self.fit_utility(
            np.asarray(X),
            labels,
            questions=np.asarray(questions),
            sample_weight=np.ones(len(labels)),
        )

    def fit_utility(
        self,
        X: NDArray[Any],
        y: NDArray[Any],
        *,
        questions: NDArray[Any],
        sample_weight: NDArray[np.float64],
    ) -> Self:
        """Fit; several right rows of one question each count as a choice, with the weight of the row."""
        index, chosen = question_index(questions), (y == 1) * sample_weight
        values = np.asarray(X, dtype=np.float64)
        known = np.isfinite(values)
        n_known = np.maximum(known.sum(axis=0), 1)
        self.mean_ = np.where(known, values, 0.0).sum(axis=0) / n_known
        filled = np.where(known, values, self.mean_)
        sizes = np.bincount(index)
        means = np.stack([np.bincount(index, weights=column) / sizes for column in filled.T], axis=1)
        relative = filled - means[index]
        spread = np.sqrt(np.mean(relative**2, axis=0))
        self.scale_ = np.where(spread > 1e-12, spread, 1.0)
        features = relative / self.scale_
        choices = np.bincount(index, weights=chosen)[index]

        def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            prob = question_softmax(features @ weights, index)
            value = (
                -(chosen * np.log(np.maximum(prob, 1e-300))).sum() + 0.5 * self.penalty * weights @ weights
            )
            return float(value), features.T @ (choices * prob - chosen) + self.penalty * weights

        found = minimize(loss, np.zeros(features.shape[1]), jac=True, method="L-BFGS-B")
        self.coef_ = np.asarray(found.x, dtype=np.float64)
        return self

    def utility(self, X: NDArray[Any]) -> NDArray[np.float64]:
        """Return the utility of each row up to what its question shares, (n_rows,)."""
        check_is_fitted(self, "coef_")
        values = (np.asarray(X, dtype=np.float64) - self.mean_) / self.scale_
        return np.asarray(np.where(np.isfinite(values), values, 0.0) @ self.coef_, dtype=np.float64)

    def predict_proba(self, X: ArrayLike, *, questions: ArrayLike) -> NDArray[np.float64]:
        """Return the probability that each option is not the right one, and that it is: (n_rows, 2)."""
        prob = question_softmax(self.utility(np.asarray(X)), questions)
        return np.column_stack([1 - prob, prob])


def make(params: Mapping[str, Any], *, seed: int, n_jobs: int) -> UtilityClassifier:
    """Return an unfitted conditional logit; nothing in it is drawn, and it runs in one thread."""
    return UtilityClassifier(ConditionalLogit(**{**DEFAULTS, **params}))


def suggest(trial: Trial) -> dict[str, Any]:
    """Draw from the search space."""
    return {"penalty": trial.suggest_float("penalty", 0.1, 1000.0, log=True)}


def complexity(params: Mapping[str, Any]) -> float:
    """Return the inverse of the penalty."""
    return 1.0 / float(params["penalty"])
