"""Methods that fit nothing, or one number: chance, majority position, LLaVA by itself [edge].

LLaVA's probabilities are a softmax over the options' mean token log-likelihoods, sharpened by one
temperature that is chosen on val; the choice of an option does not depend on it.
"""

from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from studies.catalog.ground import Ground, save_prediction
from studies.catalog.ladder import chance, try_method
from studies.rundir import Facts

MEAN_LOGPROB = 1
"""Place of the mean log-likelihood per token in the block ``option_logprob`` (sum, mean, n_tokens)."""
TEMPERATURES = tuple(float(t) for t in np.geomspace(0.02, 5.0, 40))


def fit_baselines(ground: Ground) -> dict[str, Facts]:
    """Write the predictions of chance and of the position that is most often right in training."""

    def by_chance() -> Facts:
        save_prediction(ground, "chance", prob=chance(ground))
        return {"fit_s": 0.0, "predict_s": 0.0, "n_features": 0}

    def by_position() -> Facts:
        begun = perf_counter()
        rate = position_rates(ground.fitted.option_index, ground.fitted.questions, ground.fitted.y)
        fitted = perf_counter()
        save_prediction(
            ground,
            "majority_position",
            prob=by_rate(rate, ground.scored.option_index, ground.scored.questions),
        )
        return {"fit_s": fitted - begun, "predict_s": perf_counter() - fitted, "n_features": 1}

    return {
        "majority_position": try_method(ground, "majority_position", by_position),
        "chance": try_method(ground, "chance", by_chance),
    }


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


def answer_with_llava(ground: Ground) -> dict[str, Facts]:
    """Write LLaVA's own predictions from the stored likelihoods and generated answers."""
    frame, questions = ground.scored.frame, ground.scored.questions
    found: dict[str, Facts] = {}
    if "option_logprob" in frame:

        def by_likelihood() -> Facts:
            mean = np.stack(frame["option_logprob"].to_list())[:, MEAN_LOGPROB].astype(np.float64)
            temperature = choose_temperature(mean, questions, ground.scored.y, judged=ground.is_val)
            save_prediction(ground, "llava", prob=softmax(mean / temperature, questions))
            return {"temperature": temperature}

        found["llava"] = try_method(ground, "llava", by_likelihood)
    if "llm_answer" in frame:

        def by_generation() -> Facts:
            chosen = np.stack(frame["llm_answer"].to_list())[:, 0].astype(np.float64)
            save_prediction(ground, "llava_generated", chosen=np.nan_to_num(chosen))
            return {}

        found["llava_generated"] = try_method(ground, "llava_generated", by_generation)
    return found


def softmax(score: NDArray[np.float64], questions: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the softmax of scores within each question, (n_rows,)."""
    top = np.full(int(questions.max()) + 1, -np.inf)
    np.maximum.at(top, questions, score)
    raw = np.exp(score - top[questions])
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
    losses = [-np.log(softmax(score / t, questions)[right] + 1e-15).mean() for t in TEMPERATURES]
    return TEMPERATURES[int(np.argmin(losses))]
