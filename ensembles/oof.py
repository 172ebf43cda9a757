"""Out-of-fold predictions: the only place that makes them.

Whatever precedes an estimator and learns (an encoder) is fitted on the training rows of each fold only. A
fold is encoded once; all members and all trials share the matrices.
"""

import mmap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone

from ensembles.choice import question_index
from ensembles.splits import Fold


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class EncodedFold:
    """One fold as matrices."""

    train: NDArray[np.intp]
    held_out: NDArray[np.intp]
    X_train: NDArray[np.float32]
    X_held_out: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class OutOfFold:
    """Predictions of rows by models that never saw their families."""

    prob: NDArray[np.float64]
    """(n_rows,): probability that the option is right; NaN where no fold held the row out."""
    fold: NDArray[np.int64]
    """(n_rows,): fold that held the row out, -1 for none."""
    fit_s: float
    """Seconds of the fits."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FoldPrediction:
    """What an estimator, fitted on the training rows of a fold, says of the rows held out."""

    prob: NDArray[np.float64]
    """(n_held_out_rows,) that the option is right; without questions that of each class, (n_held_out_rows,
    n_classes)."""
    fit_s: float
    """Seconds of fit and prediction, when they were done."""
    model: Any = None
    """The fitted estimator; None where the prediction was kept from before."""


PredictFold = Callable[..., FoldPrediction]
"""`predict_fold`, or `ensembles.oof_store.OofStore.predict_fold`, which keeps what it found."""


def encode_fold(
    X: Any, y: ArrayLike, *, groups: ArrayLike, fold: Fold, encoder: Any = None
) -> tuple[EncodedFold, Any]:
    """Return the matrices of a fold and the fitted encoder, a clone that saw the training rows only.

    Parameters
    ----------
    X : array or DataFrame, shape (n_rows, n_columns)
    y : array of int, shape (n_rows,)
    groups : array of int, shape (n_rows,)
    fold : (train, held out) positions
    encoder : transformer, optional
        ``fit_transform(X, y, groups=...)`` gives honest features of training rows, ``transform(X)`` those of
        others. Without one ``X`` is the matrix.

    Raises
    ------
    ValueError
        If a family is on both sides of the fold.
    """
    labels, families = np.asarray(y), np.asarray(groups)
    train, held_out = fold
    shared = np.intersect1d(families[train], families[held_out])
    if len(shared):
        raise ValueError(f"family {shared[0]} is on both sides of a fold ({len(shared)} in all are)")
    own = None if encoder is None else clone(encoder)
    if own is None:
        X_train, X_held_out = rows_of(X, train), rows_of(X, held_out)
    else:
        X_train = own.fit_transform(rows_of(X, train), labels[train], groups=families[train])
        X_held_out = own.transform(rows_of(X, held_out))
    encoded = EncodedFold(
        train=train,
        held_out=held_out,
        X_train=np.asarray(X_train, dtype=np.float32),
        X_held_out=np.asarray(X_held_out, dtype=np.float32),
    )
    return encoded, own


def encode_folds(
    X: Any, y: ArrayLike, *, groups: ArrayLike, folds: Sequence[Fold], encoder: Any = None
) -> list[EncodedFold]:
    """Return the matrices of all folds at once; see `encode_fold`."""
    return [encode_fold(X, y, groups=groups, fold=fold, encoder=encoder)[0] for fold in folds]


def predict_fold(
    estimator: Any,
    fold: EncodedFold,
    *,
    y: ArrayLike,
    questions: ArrayLike | None,
    groups: ArrayLike,
    sample_weight: ArrayLike | None = None,
) -> FoldPrediction:
    """Fit a clone on the training rows of a fold and predict the rows held out.

    Parameters
    ----------
    estimator : RowClassifier
    fold : EncodedFold
    y, groups : array of int, shape (n_rows,)
        Of all rows, whose positions the fold holds.
    questions : array of int, shape (n_rows,), or None
        None where rows are no options; ``y`` is then one of 0, 1, ...
    sample_weight : array of float, shape (n_rows,), optional
    """
    labels = np.asarray(y)
    begun = perf_counter()
    model = fit_rows(
        estimator,
        fold.X_train,
        labels[fold.train],
        questions=None if questions is None else np.asarray(questions)[fold.train],
        groups=np.asarray(groups)[fold.train],
        sample_weight=None if sample_weight is None else np.asarray(sample_weight)[fold.train],
    )
    held = None if questions is None else np.asarray(questions)[fold.held_out]
    prob = predict_rows(model, fold.X_held_out, questions=held, n_classes=int(labels.max()) + 1)
    return FoldPrediction(prob=prob, fit_s=perf_counter() - begun, model=model)


def fit_rows(
    estimator: Any,
    X: NDArray[np.float32],
    y: NDArray[Any],
    *,
    questions: NDArray[Any] | None,
    groups: NDArray[Any],
    sample_weight: NDArray[Any] | None,
) -> Any:
    """Return a clone of an estimator, fitted."""
    weights = {} if sample_weight is None else {"sample_weight": sample_weight}
    return clone(estimator).fit(X, y, groups=groups, questions=questions, **weights)


def predict_rows(
    model: Any, X: NDArray[np.float32], *, questions: NDArray[Any] | None, n_classes: int
) -> NDArray[np.float64]:
    """Return what a fitted estimator says of rows, in the form of `FoldPrediction.prob`."""
    prob = np.asarray(model.predict_proba(X, questions=questions), dtype=np.float64)
    if questions is not None:
        return prob[:, 1]
    # A class that is not among the training rows has no chance.
    whole = np.zeros((len(prob), n_classes))
    whole[:, model.classes_] = prob
    return whole


def out_of_fold(
    estimator: Any,
    y: ArrayLike,
    *,
    questions: ArrayLike,
    groups: ArrayLike,
    folds: Iterable[EncodedFold],
    predict: PredictFold = predict_fold,
) -> OutOfFold:
    """Return predictions for the rows that some fold holds out, each by a clone fitted on that fold's rows.

    Parameters
    ----------
    estimator : RowClassifier
    y : array of int, shape (n_rows,)
        1 where the option is right.
    questions, groups : array of int, shape (n_rows,)
    folds : iterable of EncodedFold
        A partition of the rows, or one split that holds out a part of them.
    predict : callable
        Fits a fold, or reads what was fitted before.
    """
    n_rows = len(np.asarray(y))
    prob, number, seconds = np.full(n_rows, np.nan), np.full(n_rows, -1, dtype=np.int64), 0.0
    for k, fold in enumerate(folds):
        found = predict(estimator, fold, y=y, questions=questions, groups=groups)
        prob[fold.held_out], number[fold.held_out] = found.prob, k
        seconds += found.fit_s
    return OutOfFold(prob=prob, fold=number, fit_s=seconds)


def rows_of(X: Any, rows: NDArray[np.intp]) -> Any:
    """Return some rows of an array or of a DataFrame, the latter with a fresh index.

    Of a memory-mapped array the pages that were read are given back to the system.
    """
    if hasattr(X, "iloc"):
        return X.iloc[rows].reset_index(drop=True)
    taken = np.asarray(X)[rows]
    if isinstance(X, np.memmap) and X.mode in ("r", "r+") and hasattr(mmap, "MADV_DONTNEED"):
        X._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]
    return taken


def check_rows(y: ArrayLike, *, questions: ArrayLike, groups: ArrayLike) -> None:
    """Check that rows make a multiple-choice problem.

    Raises
    ------
    ValueError
        If lengths differ, a label is not 0 or 1, a question has one option or not exactly one right one, or a
        question straddles families.
    """
    labels, ids, families = np.asarray(y), np.asarray(questions), np.asarray(groups)
    if not len(labels) == len(ids) == len(families):
        raise ValueError(f"got {len(labels)} labels, {len(ids)} questions, {len(families)} groups")
    if not np.isin(labels, (0, 1)).all():
        raise ValueError(f"got the labels {np.unique(labels).tolist()[:5]}, expected 0 and 1")
    index = question_index(ids)
    sizes, right = np.bincount(index), np.bincount(index, weights=labels)
    for fault, which in (("one option", sizes < 2), ("no right option or several", right != 1)):
        if which.any():
            raise ValueError(
                f"question {np.unique(ids)[which.argmax()]} has {fault} ({int(which.sum())} in all do)"
            )
    first = families[np.unique(index, return_index=True)[1]]
    if (families != first[index]).any():
        astray = ids[np.argmax(families != first[index])]
        raise ValueError(f"question {astray} has rows in several families, expected one")
