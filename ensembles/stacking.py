"""Stacking of option rows (Wolpert 1992): members of several kinds, joined on out-of-fold predictions.

scikit-learn's ``StackingClassifier`` takes no groups and throws its out-of-fold predictions away; here
families are explicit, the predictions are kept (for several stacks, if an `OofStore` is given), and what
learns before the members is fitted inside each fold. Folds are encoded one at a time, so that one copy of
the rows is held beside them.
"""

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.validation import check_is_fitted

from ensembles.greedy import GreedySelection
from ensembles.level_one import LevelOne
from ensembles.oof import check_rows, encode_fold, predict_fold
from ensembles.oof_store import OofStore
from ensembles.splits import family_folds

JOINED_BY = ("logit", "greedy")
SERVED = ("refit", "folds")


class OptionStacking(ClassifierMixin, BaseEstimator):
    """Members joined by what is learned from their out-of-fold predictions.

    Parameters
    ----------
    members : list of (str, RowClassifier)
        Level 0; cloned.
    joined_by : {"logit", "greedy"}
        A conditional logit (`ensembles.level_one.LevelOne`), which with one member is its calibration, or
        Caruana's selection (`ensembles.greedy.GreedySelection`).
    served : {"refit", "folds"}
        Which models of the members predict: one per member, fitted once more on all rows, or the mean of
        those that made the out-of-fold predictions, each with the encoder of its fold. The first cost a fit
        more to learn and ``n_folds`` times less to predict.
    n_folds : int
    blend : bool
        Learn the joining on the first fold's held-out rows only, from models of the rest: blending, at one
        fit per member instead of ``n_folds``.
    seed : int
        Of the folds.
    encoder : transformer, optional
        Fitted inside each fold, and, where members are refitted, once more on all rows.
    context : str, optional
        Column of 0 and 1 of the raw table that the logit's weights may depend on.
    store : OofStore, optional
        Where predictions of folds are kept and looked for, so that stacks of the same members on the same
        rows fit none of them again. Fold models are not kept: with ``served="folds"`` all are fitted.

    Attributes
    ----------
    oof_ : ndarray, shape (n_rows, n_members)
        Out-of-fold probabilities of level 0; NaN for rows that a blend does not judge.
    members_ : list of list of RowClassifier
        Per encoder, the fitted members.
    encoders_ : list of transformer or None
        One, fitted on all rows, or one per fold.
    level_one_ : LevelOne or GreedySelection
    n_features_in_ : int
        Columns of the encoded matrix.
    """

    def __init__(
        self,
        members: list[tuple[str, Any]],
        *,
        joined_by: Literal["logit", "greedy"] = "logit",
        served: Literal["refit", "folds"] = "refit",
        n_folds: int = 5,
        blend: bool = False,
        seed: int = 0,
        encoder: Any = None,
        context: str | None = None,
        store: OofStore | None = None,
    ) -> None:
        self.members = members
        self.joined_by = joined_by
        self.served = served
        self.n_folds = n_folds
        self.blend = blend
        self.seed = seed
        self.encoder = encoder
        self.context = context
        self.store = store

    def fit(self, X: Any, y: ArrayLike, *, questions: ArrayLike, groups: ArrayLike) -> Self:
        """Fit level 0 in folds, what joins it on what they predict, and level 0 on all rows if it is to be.

        Parameters
        ----------
        X : array or DataFrame, shape (n_rows, n_columns)
        y : array of int, shape (n_rows,)
            1 where the option is right.
        questions, groups : array of int, shape (n_rows,)

        Raises
        ------
        ValueError
            If the rows are no multiple-choice problem, a setting is none of those allowed, or there is no
            member.
        """
        check_rows(y, questions=questions, groups=groups)
        if not self.members:
            raise ValueError("got no members, expected one or more")
        for name, allowed in (("joined_by", JOINED_BY), ("served", SERVED)):
            if getattr(self, name) not in allowed:
                raise ValueError(f"got {name} {getattr(self, name)!r}, allowed are {', '.join(allowed)}")
        labels, ids, families = np.asarray(y), np.asarray(questions), np.asarray(groups)
        self.classes_ = np.array([0, 1])
        self.oof_ = np.full((len(labels), len(self.members)), np.nan)
        self.encoders_, self.members_ = [], []
        keep_models = self.served == "folds"
        predict = self.store.predict_fold if self.store and not keep_models else predict_fold
        splits = family_folds(families, n_folds=self.n_folds, seed=self.seed)
        for split in splits[:1] if self.blend else splits:
            fold, encoder = encode_fold(X, labels, groups=families, fold=split, encoder=self.encoder)
            found = [
                predict(member, fold, y=labels, questions=ids, groups=families) for _, member in self.members
            ]
            self.oof_[fold.held_out] = np.column_stack([each.prob for each in found])
            self.n_features_in_ = fold.X_train.shape[1]
            if keep_models:
                self.encoders_.append(encoder)
                self.members_.append([each.model for each in found])
        judged = np.isfinite(self.oof_).all(axis=1)
        self.level_one_ = self._joiner().fit(
            self._level1(self.oof_, X).loc[judged].reset_index(drop=True),
            labels[judged],
            questions=ids[judged],
            groups=families[judged],
        )
        if not keep_models:
            self._refit(X, labels, ids, families)
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
        level0 = np.mean(
            [
                _predict_all(members, encoder, X, questions)
                for encoder, members in zip(self.encoders_, self.members_, strict=True)
            ],
            axis=0,
        )
        return self.level_one_.predict_proba(self._level1(level0, X), questions=questions)

    def _refit(self, X: Any, y: NDArray[Any], questions: NDArray[Any], groups: NDArray[Any]) -> None:
        encoder = None if self.encoder is None else clone(self.encoder)
        encoded = X if encoder is None else encoder.fit_transform(X, y, groups=groups)
        matrix = np.asarray(encoded, dtype=np.float32)
        self.n_features_in_ = matrix.shape[1]
        self.encoders_ = [encoder]
        self.members_ = [
            [clone(member).fit(matrix, y, groups=groups, questions=questions) for _, member in self.members]
        ]

    def _joiner(self) -> LevelOne | GreedySelection:
        names = [name for name, _ in self.members]
        if self.joined_by == "greedy":
            return GreedySelection(probs=names, seed=self.seed)
        return LevelOne(probs=names, context=self.context, n_folds=self.n_folds, seed=self.seed)

    def _level1(self, level0: NDArray[np.float64], X: Any) -> pd.DataFrame:
        frame = pd.DataFrame(level0, columns=[name for name, _ in self.members])
        return frame if self.context is None else frame.assign(**{self.context: X[self.context].to_numpy()})


def _predict_all(members: Sequence[Any], encoder: Any, X: Any, questions: ArrayLike) -> NDArray[np.float64]:
    """Return what each member says of each row, (n_rows, n_members)."""
    matrix = np.asarray(X if encoder is None else encoder.transform(X), dtype=np.float32)
    return np.column_stack([member.predict_proba(matrix, questions=questions)[:, 1] for member in members])
