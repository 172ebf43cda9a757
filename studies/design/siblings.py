"""Values relative to the other options of the same question.

A score that is high for every option of a question says nothing about which one is right, so most features
are used relative to their siblings. Everything here is symmetric in the options: permuting them permutes
the result. NaN stays NaN and does not count among the siblings.
"""

import numpy as np
from numpy.typing import NDArray


class Siblings:
    """Which rows belong to one question.

    Parameters
    ----------
    question_ids : ndarray of int, shape (n_rows,)
        Any numbering, any row order.

    Examples
    --------
    >>> siblings = Siblings(np.array([0, 0, 1, 1, 1]))
    >>> siblings.centred(np.array([1.0, 3.0, 2.0, 2.0, 5.0])).tolist()
    [-1.0, 1.0, -1.0, -1.0, 2.0]
    >>> siblings.margin(np.array([1.0, 3.0, 2.0, 2.0, 5.0])).tolist()
    [-2.0, 2.0, -3.0, -3.0, 3.0]
    """

    def __init__(self, question_ids: NDArray[np.int64]) -> None:
        _, self.first, self.codes = np.unique(question_ids, return_index=True, return_inverse=True)
        self.n_questions = len(self.first)

    def mean(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the mean over the known options of each row's question; values (n_rows,) or (n_rows, n)."""
        known = np.isfinite(values)
        total = self._total(np.where(known, values, 0.0))
        count = self._total(known.astype(np.float64))
        return np.where(count > 0, total / np.maximum(count, 1.0), np.nan)

    def centred(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return each value minus the mean over its question."""
        return np.asarray(values - self.mean(values), dtype=np.float64)

    def margin(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return each value minus the best of the other options; values (n_rows,)."""
        filled = np.where(np.isfinite(values), values, -np.inf)
        order = np.lexsort((-filled, self.codes))
        starts = np.searchsorted(self.codes[order], np.arange(self.n_questions))
        ends = np.append(starts[1:], len(order))
        top = filled[order[starts]]
        second = np.where(ends - starts > 1, filled[order[np.minimum(starts + 1, len(order) - 1)]], -np.inf)
        leads = np.zeros(len(values), dtype=bool)
        leads[order[starts]] = True
        rival = np.where(leads, second[self.codes], top[self.codes])
        known = np.isfinite(values) & np.isfinite(rival)
        return np.where(known, filled - np.where(known, rival, 0.0), np.nan)

    def rank(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the share of the other options that are below, ties counting half; values (n_rows,)."""
        order = np.argsort(self.codes, kind="stable")
        sizes = np.bincount(self.codes, minlength=self.n_questions)
        width = int(sizes.max(initial=1))
        place = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        padded = np.full((self.n_questions, width), np.nan)
        padded[self.codes[order], place] = values[order]
        own, other = padded[:, :, None], padded[:, None, :]
        below = (other < own).sum(axis=2) + 0.5 * ((other == own).sum(axis=2) - 1)
        rivals = np.isfinite(padded).sum(axis=1, keepdims=True) - 1
        share = np.where(np.isfinite(padded) & (rivals > 0), below / np.maximum(rivals, 1), np.nan)
        result = np.empty(len(values))
        result[order] = share[self.codes[order], place]
        return result

    def softmax(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return values as probabilities over the known options of the question; values (n_rows,)."""
        top = np.full(self.n_questions, -np.inf)
        np.maximum.at(top, self.codes, np.where(np.isfinite(values), values, -np.inf))
        weight = np.exp(
            np.where(np.isfinite(values), values, -np.inf) - np.where(np.isfinite(top), top, 0)[self.codes]
        )
        total = np.bincount(self.codes, weights=weight, minlength=self.n_questions)[self.codes]
        return np.where(np.isfinite(values), weight / np.where(total > 0, total, 1.0), np.nan)

    def _total(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        columns = values if values.ndim == 2 else values[:, None]
        order = np.argsort(self.codes, kind="stable")
        starts = np.searchsorted(self.codes[order], np.arange(self.n_questions))
        total = np.add.reduceat(columns[order].astype(np.float64), starts, axis=0)[self.codes]
        return np.asarray(total if values.ndim == 2 else total[:, 0])
