"""Scores of every method from the predictions table: the only way from predictions to numbers.

LLM and ensembles pass through the same functions. Intervals and tests resample families.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from llava_core.data.example import Example
from studies import stats

RISKS = (0.01, 0.02, 0.05)
"""Risks at which coverage is reported."""
SMALLEST_SLICE = 10
"""Questions below which a slice is not shown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class QuestionScores:
    """One method on a list of questions, in their order."""

    credit: NDArray[np.float64]
    """(n_questions,) 1 right, 0 wrong or no answer, 1/k for a tie of k options with the right one."""
    log_loss: NDArray[np.float64] | None
    """(n_questions,) natural log; None without probabilities."""
    brier: NDArray[np.float64] | None
    confidence: NDArray[np.float64] | None
    """(n_questions,) largest probability."""


def question_scores(frame: pd.DataFrame, example_ids: Sequence[str]) -> QuestionScores:
    """Score one method on labelled questions; every reported number starts here.

    Parameters
    ----------
    frame : DataFrame
        Predictions of one method and one seed.
    example_ids : sequence of str
        Questions to score, in the order of the result.

    Raises
    ------
    ValueError
        If the method did not predict one of the questions.
    """
    place = pd.Index(example_ids).get_indexer(pd.Index(frame["example_id"]))
    rows = frame[place >= 0].assign(question=place[place >= 0])
    present = np.unique(rows["question"])
    if len(present) < len(example_ids):
        lacking = next(name for index, name in enumerate(example_ids) if index not in set(present))
        raise ValueError(
            f"no prediction for {len(example_ids) - len(present)} questions, the first is {lacking}"
        )
    questions = rows["question"].to_numpy()
    correct = rows["correct"].to_numpy(dtype=bool)
    credit = np.bincount(questions, weights=rows["chosen"].to_numpy() * correct).astype(np.float64)
    if rows["prob"].isna().any():
        return QuestionScores(credit=credit, log_loss=None, brier=None, confidence=None)
    prob = rows["prob"].to_numpy()
    confidence = np.zeros(len(example_ids))
    np.maximum.at(confidence, questions, prob)
    return QuestionScores(
        credit=credit,
        log_loss=stats.log_loss(prob, questions, correct),
        brier=stats.brier(prob, questions, correct),
        confidence=confidence,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Scorer:
    """Scores methods on one list of questions; the same resamples for all of them."""

    predictions: pd.DataFrame
    """The predictions table, all methods of one seed."""
    examples: tuple[Example, ...]
    """Labelled questions to score on."""
    level: float
    n_boot: int
    seed: int

    def on(self, examples: Sequence[Example]) -> "Scorer":
        """Return the scorer for other questions."""
        return Scorer(
            predictions=self.predictions,
            examples=tuple(examples),
            level=self.level,
            n_boot=self.n_boot,
            seed=self.seed,
        )

    @property
    def families(self) -> list[str]:
        """Family of each question."""
        return [example.group for example in self.examples]

    def scores(self, method: str) -> QuestionScores:
        """Return the scores of one method per question."""
        frame = self.predictions[self.predictions["method"] == method]
        return question_scores(frame, [example.id for example in self.examples])

    def accuracy(self, method: str) -> dict[str, Any]:
        """Return the accuracy of a method as an estimate."""
        return self.estimate_accuracy(self.scores(method).credit)

    def estimate_accuracy(self, credit: NDArray[np.float64]) -> dict[str, Any]:
        """Return the estimate of credits, one per question of the scorer."""
        return self._estimate(stats.accuracy_estimate, credit)

    def estimate_mean(self, values: NDArray[np.float64]) -> dict[str, Any]:
        """Return the estimate of any values, one per question of the scorer."""
        return self._estimate(stats.mean_estimate, values)

    def figures(self, method: str) -> dict[str, Any]:
        """Return accuracy, proper scores and selective scores of a method; None without probabilities."""
        scores = self.scores(method)
        figures: dict[str, Any] = {"accuracy": self.estimate_accuracy(scores.credit)}
        names = ("log_loss", "brier", "aurc", "augrc", "coverage_at_risk")
        if scores.log_loss is None or scores.brier is None or scores.confidence is None:
            return figures | dict.fromkeys(names)
        return figures | {
            "log_loss": self.estimate_mean(scores.log_loss),
            "brier": self.estimate_mean(scores.brier),
            "aurc": stats.aurc(scores.confidence, scores.credit),
            "augrc": stats.augrc(scores.confidence, scores.credit),
            "coverage_at_risk": {
                str(risk): stats.coverage_at_risk(scores.confidence, scores.credit, risk) for risk in RISKS
            },
        }

    def comparisons(self, pairs: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
        """Return the paired comparisons, Holm-corrected together."""
        rows = []
        for a, b in pairs:
            compared = stats.compare(
                self.scores(a).credit,
                self.scores(b).credit,
                self.families,
                level=self.level,
                n_boot=self.n_boot,
                seed=self.seed,
            )
            rows.append({"a": a, "b": b, **asdict(compared)})
        adjusted = stats.holm([row["mcnemar_p"] for row in rows])
        return [{**row, "p_holm": p} for row, p in zip(rows, adjusted, strict=True)]

    def slices(self, methods: Sequence[str]) -> list[dict[str, Any]]:
        """Return the accuracy of methods per value of each dimension that the questions have."""
        rows = []
        for dimension, value_of in DIMENSIONS.items():
            by_value: dict[str, list[Example]] = {}
            for example in self.examples:
                for value in value_of(example):
                    by_value.setdefault(value, []).append(example)
            for value in sorted(by_value):
                part = self.on(by_value[value])
                if len(part.examples) >= SMALLEST_SLICE and len(by_value) > 1:
                    accuracy = {method: part.accuracy(method) for method in methods}
                    rows.append(
                        {
                            "dimension": dimension,
                            "value": value,
                            "n": len(part.examples),
                            "accuracy": accuracy,
                        }
                    )
        return rows

    def _estimate(
        self, estimate: Callable[..., stats.Estimate], values: NDArray[np.float64]
    ) -> dict[str, Any]:
        found = estimate(values, self.families, level=self.level, n_boot=self.n_boot, seed=self.seed)
        return asdict(found)


def _known(value: str | None) -> list[str]:
    return [value] if value else []


def _grade_band(example: Example) -> list[str]:
    digits = (example.grade or "").removeprefix("grade")
    return [] if not digits.isdigit() else ["grades 1-6" if int(digits) <= 6 else "grades 7-12"]


def _context(example: Example) -> list[str]:
    """Name ScienceQA's columns TXT, IMG and NO: a question with hint and image is in both of the first."""
    has = {"text context": example.hint is not None, "image context": example.has_image}
    return [name for name, there in has.items() if there] or ["no context"]


DIMENSIONS: Mapping[str, Callable[[Example], list[str]]] = {
    "slice": lambda example: _known(example.slice),
    "context": _context,
    "subject": lambda example: _known(example.subject),
    "grade": _grade_band,
    "options": lambda example: [f"{len(example.options)} options"],
    "skill": lambda example: _known(example.skill),
}
"""What questions are sliced by; a question may be in several slices of a dimension, or in none."""
