"""Methods that fit nothing, or one number: chance, majority position, LLaVA by itself [edge].

LLaVA's probabilities are a softmax over the options' mean token log-likelihoods, sharpened by one
temperature that is chosen on val; the choice of an option does not depend on it.
"""

from collections.abc import Sequence
from time import perf_counter

import numpy as np
import pandas as pd

from ensembles.choice import question_softmax
from llava_core.data.example import Example
from studies.catalog.ground import Ground, save_prediction
from studies.catalog.ladder import chance, try_method
from studies.catalog.untrained import by_rate, choose_temperature, position_rates
from studies.design import option_table
from studies.rundir import Facts

MEAN_LOGPROB = 1
"""Place of the mean log-likelihood per token in the block ``option_logprob`` (sum, mean, n_tokens)."""


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


def answer_with_llava(ground: Ground) -> dict[str, Facts]:
    """Write LLaVA's own predictions from the stored likelihoods and generated answers."""
    frame, questions = ground.scored.frame, ground.scored.questions
    found: dict[str, Facts] = {}
    if "option_logprob" in frame:

        def by_likelihood() -> Facts:
            mean = np.stack(frame["option_logprob"].to_list())[:, MEAN_LOGPROB].astype(np.float64)
            temperature = choose_temperature(mean, questions, ground.scored.y, judged=ground.is_val)
            save_prediction(ground, "llava", prob=question_softmax(mean / temperature, questions))
            return {"temperature": temperature}

        found["llava"] = try_method(ground, "llava", by_likelihood)
    if "llm_answer" in frame:

        def by_generation() -> Facts:
            chosen = np.stack(frame["llm_answer"].to_list())[:, 0].astype(np.float64)
            save_prediction(ground, "llava_generated", chosen=np.nan_to_num(chosen))
            return {}

        found["llava_generated"] = try_method(ground, "llava_generated", by_generation)
    return found


def answer_variants(ground: Ground, examples: Sequence[Example], scores: pd.DataFrame) -> dict[str, str]:
    """Write LLaVA's predictions under each variant of `studies.pipeline.score_variants`.

    Returns
    -------
    dict
        Variant to the name of its method in the predictions table.
    """
    table, names = option_table(examples), {}
    places = list(zip(table.example_ids.tolist(), table.option_index.tolist(), strict=True))
    for variant, rows in scores.groupby("variant"):
        mean = rows.set_index(["example_id", "option_index"])["mean_logprob"].loc[places].to_numpy()
        names[str(variant)] = f"llava[{str(variant).replace('_', ' ')}]"
        save_prediction(
            ground, names[str(variant)], prob=question_softmax(mean, table.questions), table=table
        )
    return names
