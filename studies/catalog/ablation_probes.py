"""Linear probes of a variant's vectors: what a straight line can read off the image tokens and the LLM.

| probe | vectors | question |
|---|---|---|
| skill_image | mean over the image tokens | which of the kinds of picture is it |
| answer_image | the same | which of the words that are right answers; the likeliest of the options counts |
| skill_llm | last layer, mean over the options' last tokens | which kind of question; its words tell too |
| answer_llm | last layer at the option's last token | is the option right; the likeliest one counts |

Logistic regression on standardised vectors, fitted on questions that the language model was not trained on,
scored on the image questions of the test part; the two share no family. An answer that ties has its credit
shared. Left out: the controls of `studies.probing` (selectivity, matched rank), and a choice of the penalty.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from llava_core.data.example import Example
from studies.predictions import shares

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

PROBES: Mapping[str, str] = {
    "skill_image": "skill, image tokens",
    "answer_image": "answer, image tokens",
    "skill_llm": "skill, LLM",
    "answer_llm": "answer, LLM",
}
PENALTY = 0.1
"""Inverse strength of the squared penalty on standardised vectors."""
MOST_ITERATIONS = 300


def probe_credits(
    vectors: Mapping[str, NDArray[np.float32]], asked: Sequence[Example], *, n_train: int
) -> dict[str, NDArray[np.float64]]:
    """Return the credit of each probe on each test question.

    Parameters
    ----------
    vectors : mapping
        ``image_tokens`` (n_questions, dim), ``llm_hidden`` (n_options, dim), in the order of ``asked``.
    asked : sequence of Example
        Image questions: those to fit on, then those to score.
    n_train : int
        How many there are to fit on.

    Returns
    -------
    dict
        Key of `PROBES` to (n_questions - n_train,) credit in [0, 1].
    """
    sizes = np.array([len(example.options) for example in asked])
    question = np.repeat(np.arange(len(asked)), sizes)
    options = [option for example in asked for option in example.options]
    is_right = np.concatenate([np.arange(n) == e.answer for n, e in zip(sizes, asked, strict=True)])
    answers = np.array([example.options[_answer(example)] for example in asked])
    skills = np.array([example.skill for example in asked])
    image, hidden = vectors["image_tokens"], vectors["llm_hidden"]
    pooled = np.stack([np.bincount(question, weights=column) / sizes for column in hidden.T], 1)
    seen, option_seen = np.arange(len(asked)) < n_train, question < n_train

    def skill(of: NDArray[np.float64] | NDArray[np.float32]) -> NDArray[np.float64]:
        probe = _fitted(of[seen], skills[seen])
        return np.asarray(probe.predict(of[~seen]) == skills[~seen], dtype=np.float64)

    words = _fitted(image[seen], answers[seen])
    column = pd.Index(words.classes_).get_indexer(pd.Index(options))[~option_seen]
    likely = words.predict_proba(image[~seen])[question[~option_seen] - n_train, column]
    likely = np.where(column < 0, 0.0, likely)  # a word that never was an answer
    right = _fitted(hidden[option_seen], is_right[option_seen])
    return {
        "skill_image": skill(image),
        "answer_image": _credit(likely, question[~option_seen], is_right[~option_seen]),
        "skill_llm": skill(pooled),
        "answer_llm": _credit(
            right.predict_proba(hidden[~option_seen])[:, 1], question[~option_seen], is_right[~option_seen]
        ),
    }


def probe_chance(asked: Sequence[Example], *, n_train: int) -> dict[str, float]:
    """Return what a probe that sees nothing would reach: the commonest skill, an option drawn at random."""
    train, test = asked[:n_train], asked[n_train:]
    commonest = pd.Series([example.skill for example in train]).mode()[0]
    skill = float(np.mean([example.skill == commonest for example in test]))
    option = float(np.mean([1 / len(example.options) for example in test]))
    return {name: skill if name.startswith("skill") else option for name in PROBES}


def _credit(
    prob: NDArray[np.float64], question: NDArray[np.int64], is_right: NDArray[np.bool_]
) -> NDArray[np.float64]:
    credit = np.bincount(question, weights=shares(prob, question) * is_right)
    return np.asarray(credit[question.min() :], dtype=np.float64)


def _fitted(vectors: NDArray[np.float64] | NDArray[np.float32], labels: NDArray[np.generic]) -> "Pipeline":
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probe = make_pipeline(StandardScaler(), LogisticRegression(C=PENALTY, max_iter=MOST_ITERATIONS))
    with warnings.catch_warnings():
        # At this penalty the last iterations change no prediction that a table could show.
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)  # of few questions
        return probe.fit(vectors, labels)


def _answer(example: Example) -> int:
    assert example.answer is not None, "the study scores labelled questions only"
    return example.answer
