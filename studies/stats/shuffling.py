"""Rows that lend their features to others, for permutation importance of a block on option rows.

Shuffling single rows would mix options within a question and tear apart what is equal for all of them, such
as the image. Here a question takes a block from another question with as many options, option by option: the
block keeps its own shape and loses what it tells of this question.

References
----------
Breiman, L. (2001). Random forests. Machine Learning 45, section 10.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def donor_rows(
    questions: ArrayLike, rng: np.random.Generator, *, part: ArrayLike | None = None
) -> NDArray[np.int64]:
    """Draw the row that each row borrows from.

    Parameters
    ----------
    questions : (n_rows,) array_like of int
        Question of each row; rows of a question need not stand together.
    rng : numpy.random.Generator
    part : (n_rows,) array_like of int, optional
        Parts that do not lend to each other, equal within a question.

    Returns
    -------
    (n_rows,) ndarray of int
        A permutation that takes whole questions to whole questions, never to themselves unless no other has
        as many options.

    Examples
    --------
    >>> donor_rows([1, 1, 2, 2, 3], np.random.default_rng(0)).tolist()
    [2, 3, 0, 1, 4]
    """
    _, question = np.unique(np.asarray(questions), return_inverse=True)
    sizes = np.bincount(question)
    # Rows by question, in their order within it.
    by_question = np.argsort(question, kind="stable")
    start = np.cumsum(sizes) - sizes
    of_question = np.zeros(len(sizes), dtype=np.int64)
    if part is not None:
        of_question[question] = np.asarray(part, dtype=np.int64)
    donor = np.empty(len(question), dtype=np.int64)
    for size, own_part in sorted(set(zip(sizes.tolist(), of_question.tolist(), strict=True))):
        alike = np.flatnonzero((sizes == size) & (of_question == own_part))
        around = rng.permutation(alike)
        for taker, giver in zip(around, np.roll(around, 1), strict=True):
            places = np.arange(size)
            donor[by_question[start[taker] + places]] = by_question[start[giver] + places]
    return donor
