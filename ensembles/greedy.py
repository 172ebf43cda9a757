"""Greedy selection of members with replacement (Caruana et al. 2004), on out-of-fold probabilities.

Starting from nothing, the member whose addition lowers the log-loss per question of the mean most is added,
again and again; how often each was taken is its weight, and the best length is kept. Bagged: the selection is
repeated on bootstrap samples of question families and the weights are averaged. The paper's bags draw
members; with ten members in place of two thousand, what is uncertain is the data.
"""

from collections.abc import Sequence
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ensembles.choice import question_index, question_probabilities


class GreedySelection(BaseEstimator):
    """Weighted mean of columns of probabilities, the weights chosen greedily.

    It reads columns by name, and questions; the estimator around it is `ensembles.stacking.OptionStacking`.

    Parameters
    ----------
    probs : sequence of str
        Columns of probabilities.
    n_steps : int
        Members taken at most, counted with repetition.
    n_bags : int
        Bootstrap samples of families.
    seed : int

    Attributes
    ----------
    weights_ : dict of str to float
        0 or more; they sum to 1.

    References
    ----------
    Caruana, R., Niculescu-Mizil, A., Crew, G., Ksikes, A. (2004). Ensemble selection from libraries of
    models. ICML.
    """

    def __init__(self, *, probs: Sequence[str], n_steps: int = 40, n_bags: int = 20, seed: int = 0) -> None:
        self.probs = probs
        self.n_steps = n_steps
        self.n_bags = n_bags
        self.seed = seed

    def fit(
        self,
        X: pd.DataFrame,
        y: ArrayLike,
        *,
        questions: ArrayLike,
        groups: ArrayLike,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Choose the weights.

        Parameters
        ----------
        X : DataFrame, shape (n_rows, n_columns)
            Out-of-fold probabilities, never those of members fitted on these rows.
        y : array of int, shape (n_rows,)
            1 for the one right option of each question.
        questions, groups : array of int, shape (n_rows,)
        sample_weight : array of float, shape (n_rows,), optional
            That of its right option is a question's.
        """
        index, right = question_index(questions), np.flatnonzero(np.asarray(y) == 1)
        self.classes_ = np.array([0, 1])
        right = right[np.argsort(index[right])]
        of_right = self._shares(X, questions)[right]
        weight = (
            np.ones(len(right)) if sample_weight is None else np.asarray(sample_weight, dtype=float)[right]
        )
        _, families = np.unique(np.asarray(groups)[right], return_inverse=True)
        rng, n_families = np.random.default_rng(self.seed), int(families.max()) + 1
        total = np.zeros(len(self.probs))
        for _ in range(self.n_bags):
            drawn = np.bincount(rng.integers(n_families, size=n_families), minlength=n_families)
            total += select(of_right, np.asarray(drawn[families] * weight), n_steps=self.n_steps)
        self.weights_ = dict(zip(self.probs, (total / total.sum()).tolist(), strict=True))
        return self

    def predict_proba(self, X: pd.DataFrame, *, questions: ArrayLike) -> NDArray[np.float64]:
        """Return the probability that each option is not the right one, and that it is: (n_rows, 2)."""
        check_is_fitted(self, "weights_")
        prob = self._shares(X, questions) @ np.array([self.weights_[name] for name in self.probs])
        return np.column_stack([1 - prob, prob])

    def _shares(self, X: pd.DataFrame, questions: ArrayLike) -> NDArray[np.float64]:
        return np.stack(
            [question_probabilities(X[name].to_numpy(), questions) for name in self.probs], axis=1
        )


def select(
    prob_of_right: NDArray[np.float64], weight: NDArray[np.float64], *, n_steps: int
) -> NDArray[np.float64]:
    """Return how large a share of the best selection each member has, (n_members,).

    Parameters
    ----------
    prob_of_right : array of float, shape (n_questions, n_members)
        Probability that each member gives the right option; the log-loss needs no more.
    weight : array of float, shape (n_questions,)
    n_steps : int
    """
    counts, taken = np.zeros(prob_of_right.shape[1]), np.zeros(len(prob_of_right))
    best, best_loss = counts, np.inf
    for step in range(1, n_steps + 1):
        losses = -(weight @ np.log((taken[:, None] + prob_of_right) / step))
        member = int(np.argmin(losses))
        counts = counts + np.eye(len(counts))[member]
        taken = taken + prob_of_right[:, member]
        if losses[member] < best_loss:
            best, best_loss = counts, float(losses[member])
    return np.asarray(best / best.sum())
