"""LLM with LLM: the two ways in which LLaVA's paper joins GPT-4 and LLaVA, and the most that either can give.

`first` is the model that may abstain (GPT-4 without the image), `second` the one that answers in its place
(LLaVA). A model abstains where nothing can be read out of its text. No rule here is fitted: none needs folds.

Source: Liu et al. (2023), Visual Instruction Tuning, section 5.2, and LLaVA's scripts
``eval_science_qa_gpt4.py`` and ``eval_science_qa_gpt4_requery.py``.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from llava_core.data.example import Example
from llava_core.evaluation.answers import PublishedAnswers

Options = NDArray[np.int64]


def said(file: PublishedAnswers, examples: Sequence[Example]) -> Options:
    """Return what a model's own words say, (n_questions,); -1 where they say nothing.

    A published index counts where the file has no text: a guess that was put in place of an answer does not.
    """
    told = [
        file.strict[example.id] if example.id in file.texts else file.chosen[example.id]
        for example in examples
    ]
    return np.array(told, dtype=np.int64)


def complement(first: Options, second: Options) -> Options:
    """Return the first model's answer, the second's where the first abstains.

    Examples
    --------
    >>> complement(np.array([0, -1, -1]), np.array([1, 2, -1])).tolist()
    [0, 2, -1]
    """
    return np.where(first >= 0, first, second)


def disagreement(first: Options, second: Options) -> NDArray[np.bool_]:
    """Return where a judge is asked: the two differ, an abstention included."""
    return np.not_equal(first, second)


def judged(first: Options, second: Options, verdict: Options) -> Options:
    """Return the judge's answer where the two disagree, the second model's where the judge has none.

    Examples
    --------
    >>> judged(np.array([0, 0, -1]), np.array([0, 1, 1]), np.array([2, 2, -1])).tolist()
    [0, 2, 1]
    """
    return np.where(disagreement(first, second) & (verdict >= 0), verdict, second)


def either(first: Options, second: Options, right: Options) -> Options:
    """Return the first model's answer where it is right, else the second's: the upper bound of choosing.

    Examples
    --------
    >>> either(np.array([0, 0, 2]), np.array([1, 1, 1]), np.array([0, 1, 0])).tolist()
    [0, 1, 1]
    """
    return np.where(first == right, first, second)
