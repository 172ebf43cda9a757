"""Stacking of option rows (Wolpert 1992): members of several kinds, joined on out-of-fold predictions.

scikit-learn's ``StackingClassifier`` takes no groups and throws its out-of-fold predictions away; here
families are explicit, the predictions are kept (for several stacks, if an `OofStore` is given), and what
learns before the members is fitted inside each fold. Folds are encoded one at a time, so that one copy of
the rows is held beside them.

Rows without questions are joined by the same means: each row is then a question whose options are the
classes, so that level 1 learns how far to trust each member's probability of a class.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils import Tags, get_tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_sample_weight,
    assert_all_finite,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from ensembles.choice import chosen, classes_as_options, credit, question_index
from ensembles.greedy import GreedySelection
from ensembles.level_one import LevelOne
from ensembles.oof import check_rows, encode_fold, fit_rows, predict_fold, predict_rows
from ensembles.oof_store import OofStore
from ensembles.splits import class_folds, family_folds

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
        rows fit none of them again. Fold models are not kept: with ``served="folds"``
        all are fitted.

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)
    oof_ : ndarray, shape (n_rows, n_members), or (n_rows, n_classes, n_members) without questions
        Out-of-fold probabilities of level 0; NaN for rows that a blend does not judge.
    members_ : list of list of RowClassifier
        Per encoder, the fitted members.
    encoders_ : list of transformer or None
        One, fitted on all rows, or one per fold.
    level_one_ : LevelOne or GreedySelection
    n_features_in_ : int
        Columns of X, or of the encoded matrix where there is an encoder.
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

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        *,
        questions: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Fit level 0 in folds, what joins it on what they predict, and level 0 on all rows if it is to be.

        Parameters
        ----------
        X : array or DataFrame, shape (n_rows, n_columns)
        y : array, shape (n_rows,)
            1 where the option is right, else 0; without questions the class of each row.
        questions : array of int, shape (n_rows,), optional
            Question that a row is an option of.
        groups : array of int, shape (n_rows,), optional
            Families, which no fold divides; without them every question is its own, and folds of rows
            without questions hold each class in equal shares.
        sample_weight : array of float, shape (n_rows,), optional

        Raises
        ------
        ValueError
            If the rows are no multiple-choice problem, or without questions of one class; if a setting is
            none of those allowed, or there is no member.
        """
        self._check_settings()
        rows, labels = self._checked(X, y)
        known = self._known(rows, labels, questions, groups, sample_weight)
        oof = self._fit_folds(rows, known, stratified=questions is None and groups is None)
        judged = np.asarray(np.isfinite(oof).reshape(len(labels), -1).all(axis=1))
        of_pairs = known.take(judged).pairs(len(self.classes_)).told
        self.level_one_ = self._joiner().fit(
            self._level1(oof[judged], X, judged), of_pairs.pop("y"), **of_pairs
        )
        self.oof_ = oof
        if self.served == "refit":
            self._refit(rows, known)
        return self

    def predict_proba(self, X: Any, *, questions: ArrayLike | None = None) -> NDArray[np.float64]:
        """Return the probability of each class.

        Parameters
        ----------
        X : array or DataFrame, shape (n_rows, n_columns)
            All options of each question.
        questions : array of int, shape (n_rows,)
            Where the stack was fitted with questions.

        Returns
        -------
        ndarray of float, shape (n_rows, n_classes)
            Of options the second column, that of being right, sums to 1 within a question.

        Raises
        ------
        ValueError
            If questions are missing, or were not there when the stack was fitted.
        """
        check_is_fitted(self, "level_one_")
        if (questions is None) == self.of_options_:
            fitted, got = ("with", "none") if self.of_options_ else ("without", "some")
            raise ValueError(f"this stack was fitted {fitted} questions, got {got} to predict with")
        rows = X if self.encoder is not None else self._validated(X)
        ids = None if questions is None else np.asarray(questions)
        level0 = np.mean(
            [
                self._predict_members(members, encoder, rows, ids)
                for encoder, members in zip(self.encoders_, self.members_, strict=True)
            ],
            axis=0,
        )
        n_classes = len(self.classes_)
        pairs = np.repeat(np.arange(len(level0)), n_classes) if ids is None else ids
        prob = self.level_one_.predict_proba(self._level1(level0, X), questions=pairs)
        return prob if ids is not None else prob[:, 1].reshape(-1, n_classes)

    def predict(self, X: Any, *, questions: ArrayLike | None = None) -> NDArray[Any]:
        """Return the likeliest class of each row; of options, 1 for the likeliest of each question."""
        prob = self.predict_proba(X, questions=questions)
        if questions is None:
            return np.asarray(self.classes_[prob.argmax(axis=1)])
        return np.asarray(self.classes_[(chosen(prob[:, 1], questions) > 0).astype(np.int64)])

    def score(
        self,
        X: Any,
        y: ArrayLike,
        *,
        questions: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> float:
        """Return the share of rows, or of questions, that are answered rightly; tied options share one.

        ``questions`` and ``sample_weight`` reach it through metadata routing
        (``set_score_request(questions=True)``), so that ``cross_validate`` works on option rows.
        """
        prob = self.predict_proba(X, questions=questions)
        if questions is None:
            earned = (self.classes_[prob.argmax(axis=1)] == np.asarray(y)).astype(np.float64)
            weight = np.ones(len(earned)) if sample_weight is None else np.asarray(sample_weight, dtype=float)
            return float(np.average(earned, weights=weight))
        earned, right = credit(prob[:, 1], questions, y), np.asarray(y) == 1
        if sample_weight is None:
            return float(earned.mean())
        weight = np.bincount(question_index(questions), weights=np.asarray(sample_weight) * right)
        return float(np.average(earned, weights=weight))

    def _check_settings(self) -> None:
        names = [name for name, _ in self.members]
        if not names:
            raise ValueError("got no members, expected one or more")
        if len(set(names)) < len(names):
            raise ValueError(f"got the members {', '.join(names)}, expected a name of its own for each")
        for name, allowed in (("joined_by", JOINED_BY), ("served", SERVED)):
            if getattr(self, name) not in allowed:
                raise ValueError(f"got {name} {getattr(self, name)!r}, allowed are {', '.join(allowed)}")

    def _known(
        self,
        rows: Any,
        labels: NDArray[np.int64],
        questions: ArrayLike | None,
        groups: ArrayLike | None,
        sample_weight: ArrayLike | None,
    ) -> "_Rows":
        """Return what is known of the rows; where no families are given, each question or row is its own."""
        ids = None if questions is None else np.asarray(questions)
        own = np.arange(len(labels)) if ids is None else ids
        families = own if groups is None else np.asarray(groups)
        check_consistent_length(labels, families)
        if ids is not None:
            if not np.isin(self.classes_, (0, 1)).all():
                raise ValueError(f"got the labels {self.classes_.tolist()}, expected 0 and 1 with questions")
            check_rows(labels, questions=ids, groups=families)
        weight = None
        if sample_weight is not None:
            weight = _check_sample_weight(sample_weight, rows, dtype=np.float64, ensure_non_negative=True)
        return _Rows(y=labels, questions=ids, groups=families, sample_weight=weight)

    def _checked(self, X: Any, y: ArrayLike) -> tuple[Any, NDArray[np.int64]]:
        """Return rows and labels 0, 1, ...; sets ``classes_`` and, without encoder, ``n_features_in_``."""
        if self.encoder is None:
            rows, target = self._validated(X, y)
        else:
            rows, target = X, column_or_1d(y)
            assert_all_finite(target, input_name="y")
            check_consistent_length(rows, target)
        check_classification_targets(target)
        self.classes_, labels = np.unique(target, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"got 1 class, {self.classes_[0]!r}, expected two or more")
        return rows, labels.astype(np.int64)

    def _validated(self, X: Any, *y: ArrayLike) -> Any:
        checked = validate_data(self, X, *y, reset=bool(y), dtype=np.float32, ensure_all_finite="allow-nan")
        if isinstance(X, np.memmap) and X.dtype == np.float32:
            # It stays memory-mapped: rows_of can then give its pages back.
            return (X, checked[1]) if y else X
        return checked

    def _fit_folds(self, rows: Any, known: "_Rows", *, stratified: bool) -> NDArray[np.float64]:
        """Fit level 0 in folds and return its predictions, (n_rows, ..., n_members); keep what is served."""
        if stratified:
            splits = class_folds(known.y, n_folds=self.n_folds, seed=self.seed)
        else:
            splits = family_folds(known.groups, n_folds=self.n_folds, seed=self.seed)
        keep_models = self.served == "folds"
        predict = predict_fold
        if self.store is not None:
            predict = partial(self.store.predict_fold, with_model=keep_models)
        self.of_options_ = known.questions is not None
        shape = (len(known.y),) if self.of_options_ else (len(known.y), len(self.classes_))
        oof = np.full((*shape, len(self.members)), np.nan)
        self.encoders_, self.members_ = [], []
        for split in splits[:1] if self.blend else splits:
            fold, encoder = encode_fold(rows, known.y, groups=known.groups, fold=split, encoder=self.encoder)
            found = [predict(member, fold, **known.told) for _, member in self.members]
            oof[fold.held_out] = np.stack([each.prob for each in found], axis=-1)
            if self.encoder is not None:
                self.n_features_in_ = fold.X_train.shape[1]
            if keep_models:
                self.encoders_.append(encoder)
                self.members_.append([each.model for each in found])
            # The next fold is copied after this one is gone.
            del fold, found
        return oof

    def _refit(self, rows: Any, known: "_Rows") -> None:
        encoder = None if self.encoder is None else clone(self.encoder)
        encoded = rows if encoder is None else encoder.fit_transform(rows, known.y, groups=known.groups)
        matrix = np.asarray(encoded, dtype=np.float32)
        if encoder is not None:
            self.n_features_in_ = matrix.shape[1]
        self.encoders_ = [encoder]
        self.members_ = [[fit_rows(member, matrix, **known.told) for _, member in self.members]]

    def _predict_members(
        self, members: Sequence[Any], encoder: Any, X: Any, questions: NDArray[Any] | None
    ) -> NDArray[np.float64]:
        """Return what each member says of each row, in the form of ``oof_``."""
        matrix = np.asarray(X if encoder is None else encoder.transform(X), dtype=np.float32)
        n_classes = len(self.classes_)
        each = [predict_rows(model, matrix, questions=questions, n_classes=n_classes) for model in members]
        return np.stack(each, axis=-1)

    def _joiner(self) -> LevelOne | GreedySelection:
        names = [name for name, _ in self.members]
        if self.joined_by == "greedy":
            return GreedySelection(probs=names, seed=self.seed)
        return LevelOne(probs=names, context=self.context, n_folds=self.n_folds, seed=self.seed)

    def _level1(
        self, level0: NDArray[np.float64], X: Any, kept: NDArray[np.bool_] | None = None
    ) -> pd.DataFrame:
        """Return the table that level 1 reads: a row per option, or per row and class."""
        frame = pd.DataFrame(
            level0.reshape(-1, len(self.members)), columns=[name for name, _ in self.members]
        )
        if self.context is None:
            return frame
        context = X[self.context].to_numpy() if kept is None else X[self.context].to_numpy()[kept]
        return frame.assign(**{self.context: np.repeat(context, len(frame) // len(context))})

    def __sklearn_tags__(self) -> Tags:
        tags: Tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = all(get_tags(member).input_tags.allow_nan for _, member in self.members)
        return tags


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Rows:
    """What is known of the rows, each (n_rows,)."""

    y: NDArray[np.int64]
    questions: NDArray[Any] | None
    groups: NDArray[Any]
    sample_weight: NDArray[np.float64] | None

    @property
    def told(self) -> dict[str, Any]:
        """As arguments of a fit."""
        return {
            "y": self.y,
            "questions": self.questions,
            "groups": self.groups,
            "sample_weight": self.sample_weight,
        }

    def take(self, kept: NDArray[np.bool_]) -> "_Rows":
        """Return some of the rows."""
        some: dict[str, Any] = {name: None if of is None else of[kept] for name, of in self.told.items()}
        return _Rows(**some)

    def pairs(self, n_classes: int) -> "_Rows":
        """Return options as they are, and other rows by `ensembles.choice.classes_as_options`."""
        if self.questions is not None:
            return self
        questions, y = classes_as_options(self.y, n_classes)
        return _Rows(
            y=y,
            questions=questions,
            groups=np.repeat(self.groups, n_classes),
            sample_weight=None if self.sample_weight is None else np.repeat(self.sample_weight, n_classes),
        )
