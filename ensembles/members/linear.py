"""Logistic regression on standardised features, a block of rows at a time.

The optimum is that of scikit-learn's ``LogisticRegression`` (a ridge penalty on all but the intercepts; of
three and more classes multinomial), which copies the matrix several times on its way there. Here L-BFGS
sees the rows in blocks, in coordinates in which the curvature at the start is the identity (estimated on a
sample of rows), so that it needs some ten passes whatever the correlations of the features are.
"""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import minimize
from scipy.special import logsumexp
from sklearn.base import BaseEstimator
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from ensembles.members.rows import RowClassifier
from ensembles.members.standardised import Standardised
from ensembles.space import Trial

DEFAULTS: Mapping[str, Any] = {"C": 0.01}
_CURVATURE_ROWS = 50_000
_TOLERANCE = 1e-7
"""Largest component of the gradient at the end, in coordinates of unit curvature: the loss per row is then
within 1e-14 per feature of its minimum."""


class BlockLogistic(BaseEstimator):
    """Ridge-penalised logistic regression that holds one block of rows as float64.

    A part of the member that `make` returns, which checks what comes in.

    Parameters
    ----------
    C : float
        Weight of the summed log-loss beside half the squared norm of the coefficients; above 0.
    seed : int
        Draws the rows that the curvature is estimated on, where there are more than 50,000. The optimum does
        not depend on it.

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)
    coef_ : ndarray, shape (n_features, n_classes)
        Of standardised features; of two classes the first column is 0.
    intercept_ : ndarray, shape (n_classes,)
    standardised_ : Standardised
    """

    def __init__(self, C: float = 1.0, *, seed: int = 0) -> None:
        self.C = C
        self.seed = seed

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit; see `ensembles.members.rows.RowClassifier.fit` for the checks that come before."""
        matrix = np.asarray(X)
        self.classes_, labels = np.unique(np.asarray(y), return_inverse=True)
        weight = np.ones(len(labels)) if sample_weight is None else np.asarray(sample_weight, dtype=float)
        self.standardised_ = Standardised().fit(matrix, sample_weight=weight)
        n_features, n_classes = matrix.shape[1], len(self.classes_)
        # Two classes need one utility, that of the second against the first.
        n_utilities = 1 if n_classes == 2 else n_classes
        total = weight.sum()
        penalty = np.append(np.full(n_features, 1.0 / (self.C * total)), 0.0)[:, None]
        back = self._whitening(matrix, weight, penalty[:, 0], n_classes)
        one_hot, rows_held = np.eye(n_classes), [matrix]

        def loss(at: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            coef = solve_triangular(back, at.reshape(-1, n_utilities), lower=True, trans="T")
            value, gradient = 0.5 * float((penalty * coef**2).sum()), penalty * coef
            for rows, block in self.standardised_.blocks(rows_held[0]):
                log_prob = _log_prob(block @ coef[:-1] + coef[-1])
                value -= weight[rows] @ log_prob[np.arange(len(block)), labels[rows]] / total
                wrong = (np.exp(log_prob) - one_hot[labels[rows]]) * (weight[rows] / total)[:, None]
                wrong = wrong[:, -n_utilities:]
                gradient[:-1] += block.T @ wrong
                gradient[-1] += wrong.sum(axis=0)
            return float(value), solve_triangular(back, gradient, lower=True).ravel()

        found = minimize(
            loss,
            np.zeros((n_features + 1) * n_utilities),
            jac=True,
            method="L-BFGS-B",
            options={"gtol": _TOLERANCE, "ftol": 1e-15, "maxiter": 1000},
        )
        # The optimiser leaves a reference cycle behind that holds this function, and would hold the rows.
        rows_held.clear()
        coef = solve_triangular(back, found.x.reshape(-1, n_utilities), lower=True, trans="T")
        if n_classes == 2:
            coef = np.hstack([np.zeros_like(coef), coef])
        self.coef_, self.intercept_ = coef[:-1], coef[-1]
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the probability of each class, (n_rows, n_classes)."""
        check_is_fitted(self, "coef_")
        matrix = np.asarray(X)
        prob = np.empty((len(matrix), len(self.classes_)))
        for rows, block in self.standardised_.blocks(matrix):
            utility = block @ self.coef_ + self.intercept_
            prob[rows] = np.exp(utility - logsumexp(utility, axis=1, keepdims=True))
        return prob

    def _whitening(
        self, matrix: NDArray[Any], weight: NDArray[Any], penalty: NDArray[Any], n_classes: int
    ) -> NDArray[np.float64]:
        """Return the Cholesky factor of the curvature at coefficients of 0, (n_features + 1,) squared."""
        rows = np.flatnonzero(weight)
        if len(rows) > _CURVATURE_ROWS:
            rng = np.random.default_rng(self.seed)
            rows = np.sort(rng.choice(rows, _CURVATURE_ROWS, replace=False))
        curvature, total = np.zeros((len(penalty), len(penalty))), weight[rows].sum()
        for place, block in self.standardised_.blocks(matrix[rows]):
            ones = np.column_stack([block, np.ones(len(block))])
            curvature += ones.T @ (ones * (weight[rows[place]] / total)[:, None])
        curvature *= 1.0 / n_classes * (1.0 - 1.0 / n_classes)
        # A little on the diagonal keeps copies of a feature apart.
        lift = 1e-8 + (1e-6 if n_classes > 2 else 0.0)
        return np.asarray(cholesky(curvature + np.diag(penalty + lift), lower=True))

    def __sklearn_tags__(self) -> Tags:
        tags: Tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def make(params: Mapping[str, Any], *, seed: int, n_jobs: int) -> RowClassifier:
    """Return an unfitted logistic regression; it runs in one thread beside those of BLAS."""
    return RowClassifier(BlockLogistic(**{**DEFAULTS, **params}, seed=seed))


def suggest(trial: Trial) -> dict[str, Any]:
    """Draw from the search space."""
    return {"C": trial.suggest_float("C", 1e-4, 10.0, log=True)}


def complexity(params: Mapping[str, Any]) -> float:
    """Return the inverse of the penalty."""
    return float(params["C"])


def _log_prob(utility: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the log-probability of each class; one utility is that of the second of two."""
    if utility.shape[1] == 1:
        utility = np.hstack([np.zeros_like(utility), utility])
    return np.asarray(utility - logsumexp(utility, axis=1, keepdims=True))
