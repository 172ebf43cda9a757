"""From scores of option rows to an answer per question: probabilities, the chosen option, credit, log-loss.

Rows that are no options become such, a row a question and its classes the options. Rows of a question need
not stand together. Ties share the credit: "the first option wins" would import the
prior of answer positions.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

_SMALLEST = 1e-9
"""Floor of a row's score: keeps log-loss finite and a question of zeros well defined."""


def question_probabilities(score: ArrayLike, questions: ArrayLike) -> NDArray[np.float64]:
    """Return each row's share of its question's scores.

    Parameters
    ----------
    score : array of float, shape (n_rows,)
        Not negative, e.g. the probability that the option is right.
    questions : array of int, shape (n_rows,)
        Id of the question of each row.

    Returns
    -------
    ndarray of float, shape (n_rows,)
        Positive; sums to 1 within each question.

    Raises
    ------
    ValueError
        If lengths differ, or a score is negative or not finite.

    Examples
    --------
    >>> question_probabilities([0.6, 0.2, 0.3], [7, 7, 9])
    array([0.75, 0.25, 1.  ])
    """
    scores = np.asarray(score, dtype=np.float64)
    ids = question_index(questions)
    if scores.shape != ids.shape:
        raise ValueError(f"got {scores.shape} scores for {ids.shape} rows, expected one score per row")
    if not np.isfinite(scores).all() or (scores < 0).any():
        raise ValueError("got a score that is negative or not finite, expected scores of 0 or more")
    scores = np.maximum(scores, _SMALLEST)
    return np.asarray(scores / np.bincount(ids, weights=scores)[ids], dtype=np.float64)


def question_softmax(score: ArrayLike, questions: ArrayLike) -> NDArray[np.float64]:
    """Return the softmax of scores within each question, (n_rows,).

    Parameters
    ----------
    score : array of float, shape (n_rows,)
        On a natural log scale.
    questions : array of int, shape (n_rows,)

    Examples
    --------
    >>> question_softmax([0.0, 0.0, 5.0], [7, 7, 9])
    array([0.5, 0.5, 1. ])
    """
    values, ids = np.asarray(score, dtype=np.float64), question_index(questions)
    top = np.full(int(ids.max()) + 1, -np.inf)
    np.maximum.at(top, ids, values)
    raw = np.exp(values - top[ids])
    return np.asarray(raw / np.bincount(ids, weights=raw)[ids], dtype=np.float64)


def question_index(questions: ArrayLike) -> NDArray[np.int64]:
    """Return the question of each row as 0, 1, 2 ... in ascending order of id, (n_rows,)."""
    return np.asarray(np.unique(np.asarray(questions), return_inverse=True)[1], dtype=np.int64)


def classes_as_options(y: ArrayLike, n_classes: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rows of classes as option rows: each row is a question, its options are the classes.

    Parameters
    ----------
    y : array of int, shape (n_rows,)
        In 0 to ``n_classes - 1``.
    n_classes : int

    Returns
    -------
    questions, y : ndarray of int, shape (n_rows * n_classes,)
        The classes of a row stand together, in ascending order.

    Examples
    --------
    >>> questions, right = classes_as_options([2, 0], 3)
    >>> questions.tolist(), right.tolist()
    ([0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 0, 0])
    """
    labels = np.asarray(y)
    return np.repeat(np.arange(len(labels)), n_classes), np.eye(n_classes, dtype=np.int64)[labels].ravel()


def chosen(prob: ArrayLike, questions: ArrayLike) -> NDArray[np.float64]:
    """Return the share of the choice that falls on each row: 1 for the best option, 1/k for each of k tied.

    Parameters
    ----------
    prob : array of float, shape (n_rows,)
    questions : array of int, shape (n_rows,)

    Returns
    -------
    ndarray of float, shape (n_rows,)
    """
    values, ids = np.asarray(prob, dtype=np.float64), question_index(questions)
    best = np.full(int(ids.max()) + 1, -np.inf)
    np.maximum.at(best, ids, values)
    is_best = values == best[ids]
    return np.asarray(is_best / np.bincount(ids, weights=is_best)[ids], dtype=np.float64)


def credit(prob: ArrayLike, questions: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
    """Return what each question earns: 1 if its best option is right, 1/k of k tied options, else 0.

    Returns
    -------
    ndarray of float, shape (n_questions,)
        In ascending order of question id; its mean is the accuracy.
    """
    earned = chosen(prob, questions) * np.asarray(y)
    return np.bincount(question_index(questions), weights=earned).astype(np.float64)


def question_log_loss(prob: ArrayLike, questions: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
    """Return minus the natural log of the right option's probability, (n_questions,)."""
    right = np.asarray(y).astype(bool)
    values = np.log(np.maximum(np.asarray(prob, dtype=np.float64), _SMALLEST))
    return np.bincount(question_index(questions), weights=-values * right).astype(np.float64)
