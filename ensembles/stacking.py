"""Stacking of option rows (Wolpert 1992): members of several kinds, joined on out-of-fold predictions.

scikit-learn's ``StackingClassifier`` takes no groups and throws its out-of-fold predictions away; here
families are explicit, the predictions are kept, and what learns before the members is fitted inside each
fold. Level 1 sees the log-probability that each member gives an option among its siblings, and whatever
blocks of the encoder are passed through.
"""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from ensembles.choice import question_log_loss, question_probabilities
from ensembles.oof import EncodedFold, check_rows, encode_folds, out_of_fold
from ensembles.splits import family_folds

PENALTIES = (0.001, 0.01, 0.1, 1.0)
"""Inverse strengths of level 1's ridge penalty; chosen by the log-loss of held-out families."""


class OptionStacking(ClassifierMixin, BaseEstimator):
    """Members joined by a logistic regression on their out-of-fold predictions.

    Parameters
    ----------
    members : list of (str, RowClassifier)
        Level 0; cloned.
    n_folds : int
    seed : int
        Of the folds.
    encoder : transformer, optional
        Fitted inside each fold, and once more on all rows.
    passthrough : sequence of str
        Blocks that level 1 sees beside the predictions; asked of the encoder's ``columns_of``.

    Attributes
    ----------
    oof_ : ndarray, shape (n_rows, n_members)
        Out-of-fold probabilities of level 0.
    members_ : list of RowClassifier
        Refitted on all rows; they predict.
    weights_ : dict of str to float
        Coefficient of each member's log-probability, on the standardised scale.
    penalty_ : float
    n_features_in_ : int
        Columns of the encoded matrix.
    """

    def __init__(
        self,
        members: list[tuple[str, Any]],
        *,
        n_folds: int = 5,
        seed: int = 0,
        encoder: Any = None,
        passthrough: Sequence[str] = (),
    ) -> None:
        self.members = members
        self.n_folds = n_folds
        self.seed = seed
        self.encoder = encoder
        self.passthrough = passthrough

    def fit(self, X: Any, y: ArrayLike, *, questions: ArrayLike, groups: ArrayLike) -> Self:
        """Fit level 0 in folds, level 1 on what they predict, then level 0 on all rows.

        Parameters
        ----------
        X : array or DataFrame, shape (n_rows, n_columns)
        y : array of int, shape (n_rows,)
            1 where the option is right.
        questions, groups : array of int, shape (n_rows,)

        Raises
        ------
        ValueError
            If the rows are no multiple-choice problem, or blocks are passed through without an encoder.
        """
        check_rows(y, questions=questions, groups=groups)
        if len(self.passthrough) and self.encoder is None:
            raise ValueError("got blocks to pass through but no encoder, which knows their columns")
        labels, families, ids = np.asarray(y), np.asarray(groups), np.asarray(questions)
        self.classes_ = np.array([0, 1])
        self.encoder_ = None if self.encoder is None else clone(self.encoder)
        # All rows first: the blocks that are passed through have the same columns in every fold.
        matrix = np.asarray(
            X if self.encoder_ is None else self.encoder_.fit_transform(X, labels, groups=families),
            dtype=np.float32,
        )
        self.n_features_in_ = matrix.shape[1]
        self.passed_ = (
            np.asarray(self.encoder_.columns_of(list(self.passthrough)), dtype=np.intp)
            if self.encoder_ is not None and len(self.passthrough)
            else np.empty(0, dtype=np.intp)
        )
        splits = family_folds(families, n_folds=self.n_folds, seed=self.seed)
        folds = encode_folds(X, labels, groups=families, folds=splits, encoder=self.encoder)
        self.oof_ = np.column_stack(
            [out_of_fold(member, labels, groups=families, folds=folds).prob for _, member in self.members]
        )
        level1 = self._level1(self.oof_, self._passed_out_of_fold(folds, len(labels)), ids)
        self.penalty_ = _choose_penalty(level1, labels, ids, splits)
        self.final_ = _final(self.penalty_).fit(level1, labels)
        coefficients = self.final_[-1].coef_[0]
        self.weights_ = {
            name: float(value) for (name, _), value in zip(self.members, coefficients, strict=False)
        }
        self.members_ = [clone(member).fit(matrix, labels, groups=families) for _, member in self.members]
        return self

    def predict_proba(self, X: Any, *, questions: ArrayLike) -> NDArray[np.float64]:
        """Return the probability that each option is not the right one, and that it is.

        Parameters
        ----------
        X : array or DataFrame, shape (n_rows, n_columns)
            All options of each question.
        questions : array of int, shape (n_rows,)

        Returns
        -------
        ndarray of float, shape (n_rows, 2)
            The second column sums to 1 within a question.
        """
        check_is_fitted(self, "final_")
        matrix = np.asarray(X if self.encoder_ is None else self.encoder_.transform(X), dtype=np.float32)
        level0 = np.column_stack([member.predict_proba(matrix)[:, 1] for member in self.members_])
        level1 = self._level1(level0, matrix[:, self.passed_], questions)
        prob = question_probabilities(self.final_.predict_proba(level1)[:, 1], questions)
        return np.column_stack([1 - prob, prob])

    def _level1(
        self, level0: NDArray[np.float64], passed: NDArray[np.float32], questions: ArrayLike
    ) -> NDArray[np.float64]:
        columns = [np.log(question_probabilities(column, questions)) for column in level0.T]
        return np.column_stack([*columns, passed])

    def _passed_out_of_fold(self, folds: Sequence[EncodedFold], n_rows: int) -> NDArray[np.float32]:
        passed = np.empty((n_rows, len(self.passed_)), dtype=np.float32)
        for fold in folds:
            passed[fold.held_out] = fold.X_held_out[:, self.passed_]
        return passed


def _final(penalty: float) -> Any:
    return make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(C=penalty, max_iter=2000),
    )


def _choose_penalty(
    level1: NDArray[np.float64],
    labels: NDArray[np.int64],
    questions: NDArray[np.int64],
    splits: Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]],
) -> float:
    """Return the penalty with the smallest log-loss per question on held-out families."""
    losses = []
    for penalty in PENALTIES:
        each: list[float] = []
        for train, held_out in splits:
            score = _final(penalty).fit(level1[train], labels[train]).predict_proba(level1[held_out])[:, 1]
            prob = question_probabilities(score, questions[held_out])
            each += question_log_loss(prob, questions[held_out], labels[held_out]).tolist()
        losses.append(float(np.mean(each)))
    return PENALTIES[int(np.argmin(losses))]
