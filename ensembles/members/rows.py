"""A classifier of option rows around any scikit-learn classifier: labels of any kind, families accepted.

XGBoost wants labels 0, 1, ... and refuses strings; scikit-learn's own classifiers refuse ``groups``. Behind
this wrapper all members look the same.
"""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import Tags, get_tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_sample_weight,
    assert_all_finite,
    check_consistent_length,
    check_is_fitted,
    has_fit_parameter,
    validate_data,
)


class RowClassifier(ClassifierMixin, BaseEstimator):
    """A classifier of rows that takes ``groups`` and any two or more classes.

    Parameters
    ----------
    estimator : classifier
        Cloned by ``fit``.

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)
    estimator_ : classifier
        Fitted on the labels 0, 1, ...
    n_features_in_ : int
    """

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        groups: ArrayLike | None = None,
        questions: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Fit the classifier.

        Parameters
        ----------
        X : array of float, shape (n_rows, n_features)
            NaN is a missing value.
        y : array, shape (n_rows,)
        groups : array of int, shape (n_rows,), optional
            Checked for its length; this estimator does not need families.
        questions : array of int, shape (n_rows,), optional
            Checked for its length; this estimator judges every row by itself.
        sample_weight : array of float, shape (n_rows,), optional

        Raises
        ------
        ValueError
            If there is one class only, a label is missing, lengths differ, or no row of some class weighs
            anything.
        """
        matrix, labels = self._checked(X, y, groups, questions)
        self.estimator_ = clone(self.estimator)
        weights = {}
        if sample_weight is not None:
            weight = self._checked_weights(sample_weight, matrix, labels)
            weights = {f"{prefix}sample_weight": weight for prefix in _weighted_steps(self.estimator_)}
        # Weights were routed to this wrapper; inside, the steps are named one by one.
        with config_context(enable_metadata_routing=False):
            self.estimator_.fit(matrix, labels, **weights)
        if "n_jobs" in self.estimator_.get_params():
            # Threads of a forest add up its trees in any order, which changes the last bit.
            self.estimator_.set_params(n_jobs=1)
        return self

    def predict_proba(self, X: ArrayLike, *, questions: ArrayLike | None = None) -> NDArray[np.float64]:
        """Return the probability of each class, (n_rows, n_classes); questions do not change it."""
        check_is_fitted(self, "estimator_")
        matrix = validate_data(self, X, reset=False, dtype=np.float32, ensure_all_finite="allow-nan")
        if questions is not None:
            check_consistent_length(matrix, questions)
        return np.asarray(self.estimator_.predict_proba(matrix), dtype=np.float64)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the likeliest class of each row, (n_rows,)."""
        check_is_fitted(self, "classes_")
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])

    def _checked(
        self,
        X: ArrayLike,
        y: ArrayLike,
        groups: ArrayLike | None,
        questions: ArrayLike | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return features and labels 0, 1, ...; sets ``classes_`` and ``n_features_in_``."""
        matrix, target = validate_data(self, X, y, dtype=np.float32, ensure_all_finite="allow-nan")
        check_classification_targets(target)
        for of_rows in (groups, questions):
            if of_rows is not None:
                check_consistent_length(target, of_rows)
                assert_all_finite(np.asarray(of_rows), input_name="groups or questions")
        encoder = LabelEncoder().fit(target)
        self.classes_ = encoder.classes_
        if len(self.classes_) < 2:
            raise ValueError(f"got 1 class, {self.classes_[0]!r}, expected two or more")
        return matrix, encoder.transform(target)

    def _checked_weights(
        self, sample_weight: ArrayLike | None, matrix: NDArray[np.float32], labels: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return the weight of each row, 1 where none are given."""
        weight = _check_sample_weight(sample_weight, matrix, dtype=np.float64, ensure_non_negative=True)
        weighed = np.bincount(labels, weights=weight, minlength=len(self.classes_))
        if not weighed.any():
            raise ValueError("got sample weights that are all zero, expected some above it")
        if not weighed.all():
            lost = self.classes_[int(np.argmin(weighed))]
            raise ValueError(f"got no sample weight above zero for class {lost!r}, expected some per class")
        return np.asarray(weight)

    def __sklearn_tags__(self) -> Tags:
        tags: Tags = super().__sklearn_tags__()
        first = self.estimator[0] if isinstance(self.estimator, Pipeline) else self.estimator
        tags.input_tags.allow_nan = get_tags(first).input_tags.allow_nan
        return tags


def _weighted_steps(estimator: Any) -> list[str]:
    """Return the prefixes of the parameters that take weights: of a pipeline, each step that has one."""
    if not isinstance(estimator, Pipeline):
        return [""]
    return [f"{name}__" for name, step in estimator.steps if has_fit_parameter(step, "sample_weight")]
