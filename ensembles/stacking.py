"""Stacking of option rows (Wolpert 1992): members of several kinds, joined on out-of-fold predictions.

scikit-learn's ``StackingClassifier`` takes no groups and throws its out-of-fold predictions away; here
families are explicit, the predictions are kept, and what learns before the members is fitted inside each
fold. Level 1 is `ensembles.level_one.LevelOne`.
"""

from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.validation import check_is_fitted

from ensembles.level_one import LevelOne
from ensembles.oof import check_rows, encode_folds, out_of_fold
from ensembles.splits import family_folds


class OptionStacking(ClassifierMixin, BaseEstimator):
    """Members joined by a conditional logit on their out-of-fold predictions.

    Parameters
    ----------
    members : list of (str, RowClassifier)
        Level 0; cloned.
    n_folds : int
    seed : int
        Of the folds.
    encoder : transformer, optional
        Fitted inside each fold, and once more on all rows.
    context : str, optional
        Column of 0 and 1 of the raw table that level 1's weights may depend on.

    Attributes
    ----------
    oof_ : ndarray, shape (n_rows, n_members)
        Out-of-fold probabilities of level 0.
    members_ : list of RowClassifier
        Refitted on all rows; they predict.
    level_one_ : LevelOne
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
        context: str | None = None,
    ) -> None:
        self.members = members
        self.n_folds = n_folds
        self.seed = seed
        self.encoder = encoder
        self.context = context

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
            If the rows are no multiple-choice problem, or there is no member.
        """
        check_rows(y, questions=questions, groups=groups)
        if not self.members:
            raise ValueError("got no members, expected one or more")
        labels, families = np.asarray(y), np.asarray(groups)
        self.classes_ = np.array([0, 1])
        self.encoder_ = None if self.encoder is None else clone(self.encoder)
        matrix = np.asarray(
            X if self.encoder_ is None else self.encoder_.fit_transform(X, labels, groups=families),
            dtype=np.float32,
        )
        self.n_features_in_ = matrix.shape[1]
        splits = family_folds(families, n_folds=self.n_folds, seed=self.seed)
        folds = encode_folds(X, labels, groups=families, folds=splits, encoder=self.encoder)
        self.oof_ = np.column_stack(
            [
                out_of_fold(member, labels, questions=questions, groups=families, folds=folds).prob
                for _, member in self.members
            ]
        )
        self.level_one_ = LevelOne(
            probs=[name for name, _ in self.members],
            context=self.context,
            n_folds=self.n_folds,
            seed=self.seed,
        ).fit(self._level1(self.oof_, X), labels, questions=questions, groups=families)
        self.members_ = [
            clone(member).fit(matrix, labels, groups=families, questions=questions)
            for _, member in self.members
        ]
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
        check_is_fitted(self, "level_one_")
        matrix = np.asarray(X if self.encoder_ is None else self.encoder_.transform(X), dtype=np.float32)
        level0 = np.column_stack(
            [member.predict_proba(matrix, questions=questions)[:, 1] for member in self.members_]
        )
        return self.level_one_.predict_proba(self._level1(level0, X), questions=questions)

    def _level1(self, level0: NDArray[np.float64], X: Any) -> pd.DataFrame:
        frame = pd.DataFrame(level0, columns=[name for name, _ in self.members])
        return frame if self.context is None else frame.assign(**{self.context: X[self.context].to_numpy()})
