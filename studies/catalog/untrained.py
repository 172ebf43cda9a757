"""Probabilities without a model: from answer positions, and from an LLM's option likelihoods."""

import numpy as np
from numpy.typing import NDArray

from ensembles.choice import question_softmax

TEMPERATURES = tuple(float(t) for t in np.geomspace(0.02, 5.0, 40))


def position_rates(
    option_index: NDArray[np.int64], questions: NDArray[np.int64], y: NDArray[np.int8]
) -> NDArray[np.float64]:
    """Return how often each position is right where it is offered, (n_positions,), smoothed by one."""
    sizes = np.bincount(questions)[questions]
    right = np.bincount(option_index, weights=y)
    offered = np.bincount(option_index)
    guessed = np.bincount(option_index, weights=1 / sizes)
    return np.asarray((right + guessed / offered) / (offered + 1), dtype=np.float64)


def by_rate(
    rate: NDArray[np.float64], option_index: NDArray[np.int64], questions: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the rate of each option's position as a probability within its question.

    A position that training never had takes the rate of the last one it had.
    """
    known = np.minimum(option_index, len(rate) - 1)
    raw = rate[known]
    return np.asarray(raw / np.bincount(questions, weights=raw)[questions], dtype=np.float64)


def choose_temperature(
    score: NDArray[np.float64],
    questions: NDArray[np.int64],
    y: NDArray[np.int8],
    *,
    judged: NDArray[np.bool_],
) -> float:
    """Return the temperature with the least log-loss on the judged rows; 1 where there are none."""
    if not judged.any():
        return 1.0
    right = judged & (y == 1)
    losses = [-np.log(question_softmax(score / t, questions)[right] + 1e-15).mean() for t in TEMPERATURES]
    return TEMPERATURES[int(np.argmin(losses))]
