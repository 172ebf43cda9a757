"""Conditional logit (McFadden 1974): one linear utility per option, a softmax over the options of a question.

The likelihood is that of the choice, so what is the same for all options of a question cancels, and the
order of the options does not matter. A logistic regression of rows has neither property. Fitted by L-BFGS on
the log-likelihood with a ridge penalty on standardised features.
"""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from ensembles.choice import question_index, question_softmax


class ConditionalLogit(ClassifierMixin, BaseEstimator):
    """Softmax of a linear utility over the options of each question.

    Parameters
    ----------
    penalty : float
        Weight of half the squared norm of the coefficients, beside the summed log-likelihood of the
        questions; 0 or more.

    Attributes
    ----------
    coef_ : ndarray, shape (n_features,)
        On the scale of the features, relative to their question's mean and divided by their spread.
    scale_ : ndarray, shape (n_features,)
        Spread of each feature within its question.

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
            NaN counts as the mean of the question's other options.
        y : array of int, shape (n_rows,)
            1 for the one right option of each question.
        questions : array of int, shape (n_rows,)
        """
        right, index = np.asarray(y) == 1, question_index(questions)
        self.classes_ = np.array([0, 1])
        relative = _relative(np.asarray(X, dtype=np.float64), index)
        spread = np.sqrt(np.mean(relative**2, axis=0))
        self.scale_ = np.where(spread > 0, spread, 1.0)
        features = relative / self.scale_

        def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            prob = question_softmax(features @ weights, index)
            value = -np.log(np.maximum(prob[right], 1e-300)).sum() + 0.5 * self.penalty * weights @ weights
            return float(value), features.T @ (prob - right) + self.penalty * weights

        found = minimize(loss, np.zeros(features.shape[1]), jac=True, method="L-BFGS-B")
        self.coef_ = np.asarray(found.x, dtype=np.float64)
        return self

    def predict_proba(self, X: ArrayLike, *, questions: ArrayLike) -> NDArray[np.float64]:
        """Return the probability that each option is not the right one, and that it is: (n_rows, 2)."""
        check_is_fitted(self, "coef_")
        index = question_index(questions)
        relative = _relative(np.asarray(X, dtype=np.float64), index)
        prob = question_softmax(relative / self.scale_ @ self.coef_, index)
        return np.column_stack([1 - prob, prob])


def _relative(values: NDArray[np.float64], index: NDArray[np.int64]) -> NDArray[Any]:
    """Return the values less their question's mean; 0 where a value is missing."""
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0)
    columns = []
    for column, is_known in zip(filled.T, known.T, strict=True):
        total = np.bincount(index, weights=column)
        n_known = np.maximum(np.bincount(index, weights=is_known), 1)
        columns.append(np.where(is_known, column - (total / n_known)[index], 0.0))
    return np.stack(columns, axis=1)
