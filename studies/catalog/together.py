"""Brings two LLMs together: their answers, a judge's verdicts, and the methods made of them [edge].

The rules themselves are in `studies.catalog.llm_pair`. Answers and verdicts come from files, or from a
language model that is asked during the run.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from llava_core.data.example import Dataset, Example
from llava_core.evaluation.answers import PublishedAnswers, read_answers
from llava_core.evaluation.text_llm import answer_requests, judge_requests
from llava_core.inference.parse import LETTERS, UNPARSED
from studies.catalog.ground import Ground, save_prediction
from studies.catalog.ladder import try_method
from studies.catalog.llm_pair import Options, complement, disagreement, either, judged, said
from studies.catalog.votes import as_shares
from studies.design import option_table
from studies.pipeline import ask_llm
from studies.progress import Progress
from studies.rundir import Facts, RunDir
from studies.spec.ensemble import ASKED, EnsembleSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """Two LLMs on the same questions, and a judge's verdicts where they disagree."""

    first: PublishedAnswers
    """The one that may abstain."""
    second: PublishedAnswers
    verdicts: PublishedAnswers | None
    """None without a judge, or where the two never disagree."""
    has_judge: bool

    def facts(self, examples: Sequence[Example]) -> Facts:
        """Return how often each case came up, for the summary."""
        first, second = said(self.first, examples), said(self.second, examples)
        differ = disagreement(first, second)
        verdict = verdict_of(self, examples)
        return {
            "first": self.first.name,
            "second": self.second.name,
            "n": len(examples),
            "n_abstained": int((first == UNPARSED).sum()),
            "n_disagreed": int(differ.sum()),
            "n_without_verdict": int((differ & (verdict == UNPARSED)).sum()) if self.has_judge else None,
        }


def ask_first(
    spec: EnsembleSpec, run: RunDir, dataset: Dataset, test: Sequence[Example], progress: Progress
) -> list[PublishedAnswers]:
    """Return the answers of the language model that is asked itself; none where none are wanted."""
    if spec.llm_pair[:1] != (ASKED,):
        return []
    path = ask_llm(spec, run, ASKED, answer_requests(test), progress=progress)
    return [read_answers(path, dataset)]


def bring_pair(
    spec: EnsembleSpec,
    run: RunDir,
    dataset: Dataset,
    test: Sequence[Example],
    answers: Sequence[PublishedAnswers],
    progress: Progress,
) -> Pair | None:
    """Return the pair that a run joins, with a judge's verdicts; None where it joins none.

    Raises
    ------
    InputError
        If the file of verdicts cannot be read, or the language model gives no reply to a question.
    """
    if not spec.llm_pair:
        return None
    by_name = {file.name: file for file in answers}
    first, second = (by_name[name] for name in spec.llm_pair)
    verdicts = None
    if spec.llm_verdicts is not None:
        verdicts = read_answers(spec.llm_verdicts, dataset)
    elif spec.llm_model is not None or spec.llm_local is not None:
        differ = disagreement(said(first, test), said(second, test))
        asked = [example for example, differs in zip(test, differ, strict=True) if differs]
        if asked:
            requests = judge_requests(asked, _texts(first, asked), _texts(second, asked))
            path = ask_llm(spec, run, "verdicts", requests, progress=progress)
            verdicts = read_answers(path, dataset)
    has_judge = any(given is not None for given in (spec.llm_verdicts, spec.llm_model, spec.llm_local))
    return Pair(first=first, second=second, verdicts=verdicts, has_judge=has_judge)


def fit_pair(ground: Ground, test: Sequence[Example], pair: Pair) -> dict[str, Facts]:
    """Write the predictions of complement, judge and upper bound, on labelled questions."""
    table = option_table(test)
    sizes = np.bincount(table.questions)
    first, second = said(pair.first, test), said(pair.second, test)
    right = np.array([example.answer for example in test], dtype=np.int64)
    picks = {"llm_complement": complement(first, second)}
    if pair.has_judge:
        picks["llm_judge"] = judged(first, second, verdict_of(pair, test))
    picks["llm_either"] = either(first, second, right)
    methods = {}
    for name, options in picks.items():

        def do(name: str = name, options: Options = options) -> Facts:
            save_prediction(ground, name, chosen=as_shares(options, sizes), table=table)
            return {}

        methods[name] = try_method(ground, name, do, picks=options.tolist())
    return methods


def verdict_of(pair: Pair, examples: Sequence[Example]) -> Options:
    """Return the judge's options, (n_questions,); -1 where it gave none or was not asked."""
    if pair.verdicts is None:
        return np.full(len(examples), UNPARSED, dtype=np.int64)
    return np.array([pair.verdicts.strict.get(example.id, UNPARSED) for example in examples], dtype=np.int64)


def _texts(file: PublishedAnswers, examples: Sequence[Example]) -> dict[str, str]:
    """Return what a model wrote; its option's letter where only that is known."""
    told: dict[str, str] = {}
    for example in examples:
        option = file.chosen[example.id]
        letter = f"The answer is {LETTERS[option]}." if option != UNPARSED else ""
        told[example.id] = file.texts.get(example.id, letter)
    return told
