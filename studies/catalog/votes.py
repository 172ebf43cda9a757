"""Published answers by themselves: each model, their plurality vote, and the best single model.

Ranking the models (for ties of the vote, and to name the best one) is a choice, so it is made on other
families than the ones it is used on. Left out: weights, which stacking learns.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from llava_core.data.example import Example
from studies.design.table import Answers


def chosen_options(examples: Sequence[Example], answers: Sequence[Answers]) -> NDArray[np.int64]:
    """Return the published options, (n_questions, n_models); -1 where none was parsed."""
    rows = [[file.chosen.get(example.id, -1) for file in answers] for example in examples]
    return np.array(rows, dtype=np.int64).reshape(len(examples), len(answers))


def ranked(chosen: NDArray[np.int64], right: NDArray[np.int64]) -> list[int]:
    """Return the models from the most to the least often right; the earlier one first where equal."""
    return [int(model) for model in np.argsort(-(chosen == right[:, None]).mean(axis=0), kind="stable")]


def plurality(chosen: NDArray[np.int64], order: Sequence[int]) -> NDArray[np.int64]:
    """Return the option most models chose, (n_questions,); -1 where none of them answered.

    Parameters
    ----------
    chosen : ndarray of int, shape (n_questions, n_models)
    order : sequence of int
        Models by rank: among options with equal votes, that of the first ranked model wins.

    Examples
    --------
    >>> plurality(np.array([[0, 1, 1], [0, 1, 2], [-1, -1, 2]]), [1, 0, 2]).tolist()
    [1, 1, 2]
    """
    votes = (chosen[:, :, None] == chosen[:, None, :]).sum(axis=2)
    votes[chosen < 0] = 0
    by_rank = votes[:, list(order)]
    first = by_rank.argmax(axis=1)
    picked = chosen[np.arange(len(chosen)), np.asarray(order)[first]]
    return np.where(by_rank.max(axis=1) > 0, picked, -1)


def as_shares(chosen: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return chosen options as 0 or 1 per option row, (n_rows,)."""
    return np.concatenate([np.arange(n) == option for option, n in zip(chosen, sizes, strict=True)]).astype(
        float
    )
