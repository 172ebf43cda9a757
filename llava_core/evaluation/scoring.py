"""A model's answers to ScienceQA, scored by one of three rules.

``strict`` counts what the text states (`llava_core.inference.parse`); a question that is unparsed or missing
is wrong. ``stored`` takes the index that the file holds, a published guess included. ``lenient`` is LLaVA's
own script before 11 October 2023: "The answer is X." alone counts, anything else becomes a random choice,
and missing questions are skipped. There the choice was not seeded, here it is, for each question by itself.
Free-form answers and option words keep their reading under ``lenient``, which knows letters only.
"""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from llava_core.data.example import Example
from llava_core.evaluation.answers import BEYOND_LETTER, PublishedAnswers
from llava_core.evaluation.scienceqa import Column, columns, topics
from llava_core.inference.parse import UNPARSED, parse_announced

Rule = Literal["strict", "stored", "lenient"]
RULES: tuple[Rule, ...] = get_args(Rule)


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """One file of answers, scored by one rule."""

    name: str
    rule: Rule
    columns: Mapping[str, Column]
    topics: Mapping[str, Column]
    n_asked: int
    """Questions of the part that the file answers."""
    n_missing: int
    """Questions of the part that it does not answer."""
    n_unparsed: int
    n_beyond: int
    n_guessed: int
    """Answers that the texts do not give: drawn here (lenient), or stored in the file (strict, stored)."""
    n_unknown: int
    """Answers to questions that the data does not hold."""
    reasons: Mapping[str, int]
    """Why texts are unparsed or beyond, commonest first."""


def score(
    answers: PublishedAnswers, examples: Sequence[Example], *, rule: Rule = "strict", seed: int = 0
) -> Score:
    """Score answers to the questions of a part.

    Parameters
    ----------
    answers : PublishedAnswers
    examples : sequence of Example
        All questions of the part. Those without a known answer are left out.
    rule : {"strict", "stored", "lenient"}
    seed : int
        Of the lenient rule's choices.

    Returns
    -------
    Score

    Examples
    --------
    >>> example = Example(id="1", question="?", options=("a", "b"), answer=1, split="test", group="1")
    >>> said = PublishedAnswers(
    ...     name="m", chosen={"1": 1}, parsed={"1": True}, texts={"1": "B"}, strict={"1": 1},
    ...     n_unparsed=0, n_beyond=0, n_guessed=0, n_unknown=0,
    ... )
    >>> score(said, [example]).columns["Avg"].accuracy
    1.0
    """
    known = [example for example in examples if example.answer is not None]
    asked = [example for example in known if example.id in answers.chosen]
    chosen: dict[str, int] = {}
    n_drawn = 0
    for example in asked:
        index = _chosen(answers, example, rule)
        if rule == "lenient" and index == UNPARSED:
            index = random.Random(f"{seed} {example.id}").randrange(len(example.options))
            n_drawn += 1
        chosen[example.id] = index
    counted = asked if rule == "lenient" else known
    credit = [chosen.get(example.id, UNPARSED) == example.answer for example in counted]
    reasons = Counter(answers.reasons[example.id] for example in asked if example.id in answers.reasons)
    guessed = [answers.chosen[example.id] != UNPARSED and not answers.parsed[example.id] for example in asked]
    n_beyond = reasons[BEYOND_LETTER]
    return Score(
        name=answers.name,
        rule=rule,
        columns=columns(credit, counted),
        topics=topics(credit, counted),
        n_asked=len(asked),
        n_missing=len(known) - len(asked),
        n_unparsed=sum(reasons.values()) - n_beyond,
        n_beyond=n_beyond,
        n_guessed=n_drawn if rule == "lenient" else sum(guessed),
        n_unknown=answers.n_unknown,
        reasons=dict(reasons.most_common()),
    )


def _chosen(answers: PublishedAnswers, example: Example, rule: Rule) -> int:
    stored = answers.chosen[example.id]
    if rule == "stored" or example.id not in answers.texts:
        return stored
    if rule == "lenient" and answers.reading == "letter":
        return parse_announced(answers.texts[example.id], len(example.options))
    return answers.strict[example.id]
