"""Classifiers that learn a utility of options: rankers and the conditional logit behind one door.

Given the question of each row they learn to place the right option above its siblings, and their
probability is a softmax of the utility within the question. Without questions all rows are one: the utility
then orders rows by class, and a logistic regression on it, fitted on the training rows, gives the
probability.
"""

from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.utils import Tags
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data

from ensembles.choice import question_index, question_softmax
from ensembles.members.rows import RowClassifier


class UtilityModel(Protocol):
    """What learns the utility."""

    def fit_utility(
        self,
        X: NDArray[np.float32],
        y: NDArray[np.int64],
        *,
        questions: NDArray[np.int64],
        sample_weight: NDArray[np.float64],
    ) -> Self:
        """Fit on rows that are sorted by question."""
        ...

    def utility(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the utility of each row, (n_rows,)."""
        ...


class UtilityClassifier(RowClassifier):
    """A classifier of options, two classes, around a `UtilityModel`.

    Parameters
    ----------
    estimator : UtilityModel

    Attributes
    ----------
    classes_ : ndarray, shape (2,)
        The second one is the right option.
    estimator_ : UtilityModel
    logistic_ : LogisticRegression
        From utility to probability, where no questions are given.
    """

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        groups: ArrayLike | None = None,
        questions: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Fit the utility.

        Parameters
        ----------
        X : array of float, shape (n_rows, n_features)
            NaN is a missing value.
        y : array, shape (n_rows,)
            Two classes.
        groups : array of int, shape (n_rows,), optional
            Checked for its length.
        questions : array of int, shape (n_rows,), optional
            Rows that are compared with each other; all of them if not given.
        sample_weight : array of float, shape (n_rows,), optional
            Rows without weight are left out.

        Raises
        ------
        ValueError
            As `RowClassifier.fit`, and for more than two classes.
        """
        matrix, labels = self._checked(X, y, groups, questions)
        if len(self.classes_) > 2:
            raise ValueError(
                "Only binary classification is supported. The type of the target is multiclass: got "
                f"{len(self.classes_)} classes, expected right and wrong options"
            )
        weight = self._checked_weights(sample_weight, matrix, labels)
        index = np.zeros(len(labels), dtype=np.int64) if questions is None else question_index(questions)
        # Rankers break ties by place, which is the place of an answer: here places follow from the features.
        rows = np.lexsort((_place(matrix), index))
        rows = rows[weight[rows] > 0]
        self.estimator_ = clone(self.estimator).fit_utility(
            matrix[rows], labels[rows], questions=index[rows], sample_weight=weight[rows]
        )
        utility = self.estimator_.utility(matrix[rows])[:, None]
        self.logistic_ = LogisticRegression(C=100.0).fit(utility, labels[rows], sample_weight=weight[rows])
        return self

    def predict_proba(self, X: ArrayLike, *, questions: ArrayLike | None = None) -> NDArray[np.float64]:
        """Return the probability of each class, (n_rows, 2): of a choice, where questions are given."""
        check_is_fitted(self, "estimator_")
        matrix = validate_data(self, X, reset=False, dtype=np.float32, ensure_all_finite="allow-nan")
        if questions is not None:
            check_consistent_length(matrix, questions)
        utility = self.estimator_.utility(matrix)
        if questions is None:
            return np.asarray(self.logistic_.predict_proba(utility[:, None]), dtype=np.float64)
        prob = question_softmax(utility, questions)
        return np.column_stack([1 - prob, prob])

    def __sklearn_tags__(self) -> Tags:
        tags: Tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.input_tags.allow_nan = True
        return tags


def _place(matrix: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return a number per row that depends on its features only, (n_rows,): a sum with arbitrary weights."""
    weights = np.random.default_rng(0).standard_normal(matrix.shape[1], dtype=np.float32)
    return np.asarray(np.where(np.isfinite(matrix), matrix, np.float32(0.5)) @ weights, dtype=np.float64)


def question_weights(weight: NDArray[Any], questions: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean weight of each question's rows, (n_questions,)."""
    _, index = np.unique(questions, return_inverse=True)
    return np.asarray(np.bincount(index, weights=weight) / np.bincount(index), dtype=np.float64)
