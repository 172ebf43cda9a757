"""Linear probes of a variant's vectors: what a straight line can read off the image tokens and the LLM.

| probe | vectors | question |
|---|---|---|
| skill_image | mean over the image tokens | which of the kinds of picture is it |
| answer_image | the same | which of the words that are right answers; the likeliest of the options counts |
| skill_llm | last layer, mean over the options' last tokens | which kind of question; its words tell too |
| answer_llm | last layer at the option's last token | is the option right; the likeliest one counts |

The linear probe of `studies.probing`, its penalty chosen on inner folds by family, fitted on questions that
the language model was not trained on, scored on the image questions of the test part; they share no family.
Each with the floor of shuffled labels, and its selectivity on a random split of the training questions.
Left out: other families of probes and code lengths, which `embedding_probe` has.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from llava_core.data.example import Example
from studies.catalog.probing.cells import N_SHUFFLES, selectivity_split
from studies.probing import (
    ChoiceTask,
    ClassTask,
    ReadOut,
    Stage,
    Task,
    control_task,
    read_out,
    shuffled_task,
)
from studies.probing.family import Settings
from studies.probing.tasks import Items

PROBES: Mapping[str, str] = {
    "skill_image": "skill, image tokens",
    "answer_image": "answer, image tokens",
    "skill_llm": "skill, LLM",
    "answer_llm": "answer, LLM",
}
READINGS = ("credit", "floor", "real", "control")
"""Of each probe: credit on the test questions; the same after shuffled labels were learned, in the mean of
`N_SHUFFLES`; on `selectivity_questions`, credit with real labels and with random ones by family."""


def probe_credits(
    vectors: Mapping[str, NDArray[np.float32]], asked: Sequence[Example], *, n_train: int, seed: int
) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Return the credits of each probe.

    Parameters
    ----------
    vectors : mapping
        ``image_tokens`` (n_questions, dim), ``llm_hidden`` (n_options, dim), in the order of ``asked``.
    asked : sequence of Example
        Image questions: those to fit on, then those to score.
    n_train : int
        How many there are to fit on.
    seed : int
        Of folds, shuffled labels and random labels.

    Returns
    -------
    dict
        Key of `PROBES` to the arrays of `READINGS`: (n_questions - n_train,) twice, then
        (n_selectivity_questions,) twice, credit in [0, 1].
    """
    sizes = np.array([len(example.options) for example in asked])
    question = np.repeat(np.arange(len(asked)), sizes)
    answer = ChoiceTask(
        question=question,
        option=np.array([option for example in asked for option in example.options]),
        is_right=np.concatenate([np.arange(n) == e.answer for n, e in zip(sizes, asked, strict=True)]),
    )
    skill = ClassTask(labels=np.array([example.skill for example in asked]))
    image = Stage(name="image_tokens", level="example", vectors=vectors["image_tokens"])
    llm = Stage(name="llm_hidden", level="option", vectors=vectors["llm_hidden"], question=question)
    groups = np.array([example.group for example in asked])
    stages = {"image": image, "llm": llm}
    tasks: dict[str, Task] = {"skill": skill, "answer": answer}

    def readings(stage: Stage, task: Task) -> dict[str, NDArray[np.float64]]:
        train, test = np.arange(n_train), np.arange(n_train, len(asked))
        inside, outside = selectivity_split(train, seed=seed)

        def read(labels: Task, known: Items, judged: Items, settings: Settings | None) -> ReadOut:
            return read_out(
                "linear", stage, labels, groups=groups, train=known, test=judged, seed=seed, settings=settings
            )

        found = read(task, train, test, None)
        shuffled = [shuffled_task(task, train, seed=seed + draw) for draw in range(N_SHUFFLES)]
        floors = [read(labels, train, test, found.chosen).credit for labels in shuffled]
        control = control_task(task, groups, seed=seed)
        return {
            "credit": found.credit,
            "floor": np.mean(floors, axis=0),
            "real": read(task, inside, outside, found.chosen).credit,
            "control": read(control, inside, outside, found.chosen).credit,
        }

    return {
        name: readings(stages[place], tasks[target])
        for name, (target, place) in ((name, name.split("_")) for name in PROBES)
    }


def selectivity_questions(train: Sequence[Example], *, seed: int) -> list[Example]:
    """Return those of the training questions that selectivity is taken on."""
    return [train[item] for item in selectivity_split(np.arange(len(train)), seed=seed)[1]]


def probe_chance(asked: Sequence[Example], *, n_train: int) -> dict[str, float]:
    """Return what a probe that sees nothing would reach: the commonest skill, an option drawn at random."""
    train, test = asked[:n_train], asked[n_train:]
    commonest = pd.Series([example.skill for example in train]).mode()[0]
    skill = float(np.mean([example.skill == commonest for example in test]))
    option = float(np.mean([1 / len(example.options) for example in test]))
    return {name: skill if name.startswith("skill") else option for name in PROBES}
