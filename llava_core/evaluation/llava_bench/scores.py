"""Relative scores per category and overall, of one run of a judge or of several.

The relative score is 100 * sum of the candidate's scores / sum of the reference's: a ratio of means, not
a mean of ratios. It is the figure that papers report; the two mean scores stand beside it. Departure from
the published script: reviews whose scores could not be read are left out and counted, where the script
adds their -1 to both sums (`failures_as_minus_one`).
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llava_core.evaluation.llava_bench.estimate import Estimate, ratio_estimate
from llava_core.evaluation.llava_bench.reviews import FAILED, WILD_PREFIX, Review

CATEGORIES = ("conv", "detail", "complex")
"""Of both sets, in the order of the published tables; `ALL` comes after them."""
ALL = "all"


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """The scores of one question."""

    question_id: str
    category: str
    """Without the prefix of In-the-Wild."""
    scores: tuple[float, float] | None
    """Of the reference, of the candidate; None where they could not be read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RelativeScore:
    """What one run says of one category."""

    relative: Estimate | None
    """Percent; None where no scores could be read."""
    reference_mean: float | None
    candidate_mean: float | None
    n: int
    """Questions that count."""
    n_failed: int
    """Questions whose scores could not be read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MeanScore:
    """What several runs say of one category."""

    relative: Estimate | None
    """Mean over runs, percent; the interval is of the questions, not of the judge's moods."""
    spread: float | None
    """Standard deviation over runs, percentage points; None of a single run."""
    lowest: float | None
    highest: float | None
    n_runs: int


def as_published(reviews: Sequence[Review]) -> list[Judged]:
    """Return what was said with the reference shown first."""
    return [_judged(review) for review in reviews if not review.swapped]


def candidate_first(reviews: Sequence[Review]) -> list[Judged]:
    """Return what was said with the candidate shown first."""
    return [_judged(review) for review in reviews if review.swapped]


def both_orders(reviews: Sequence[Review]) -> list[Judged]:
    """Return the mean over both orders, of the questions that were judged in both; failed if either is."""
    swapped = {each.question_id: each for each in candidate_first(reviews)}
    joined = []
    for first in as_published(reviews):
        second = swapped.get(first.question_id)
        if second is None:
            continue
        scores = None
        if first.scores is not None and second.scores is not None:
            scores = ((first.scores[0] + second.scores[0]) / 2, (first.scores[1] + second.scores[1]) / 2)
        joined.append(Judged(question_id=first.question_id, category=first.category, scores=scores))
    return joined


def relative_scores(
    run: Sequence[Judged],
    clusters: Mapping[str, str] | None = None,
    *,
    failures_as_minus_one: bool = False,
    seed: int = 0,
) -> dict[str, RelativeScore]:
    """Return the relative score of each category and of all.

    Parameters
    ----------
    run : sequence of Judged
    clusters : mapping of str to str, optional
        Question id to image; questions are resampled one by one without it.
    failures_as_minus_one : bool
        Keep failed reviews as -1 for both answers, as the published script does.

    Returns
    -------
    dict of str to RelativeScore
        Categories in the order of `CATEGORIES`, then others, then `ALL`.

    Examples
    --------
    >>> run = [Judged(question_id="0", category="conv", scores=(8, 6)),
    ...        Judged(question_id="1", category="conv", scores=(10, 6))]
    >>> round(relative_scores(run)["all"].relative.value, 2)
    66.67
    """
    found = {}
    for category in categories(run):
        members = _members(run, category)
        failed = sum(each.scores is None for each in members)
        pairs = [each.scores or (FAILED, FAILED) for each in members]
        counted = [
            pair for pair, each in zip(pairs, members, strict=True) if failures_as_minus_one or each.scores
        ]
        found[category] = RelativeScore(
            relative=_percent([members], clusters, failures_as_minus_one=failures_as_minus_one, seed=seed),
            reference_mean=statistics.fmean(pair[0] for pair in counted) if counted else None,
            candidate_mean=statistics.fmean(pair[1] for pair in counted) if counted else None,
            n=len(counted),
            n_failed=failed,
        )
    return found


def mean_of_runs(
    runs: Sequence[Sequence[Judged]],
    clusters: Mapping[str, str] | None = None,
    *,
    failures_as_minus_one: bool = False,
    seed: int = 0,
) -> dict[str, MeanScore]:
    """Return the mean of several runs' relative scores and how far the runs lie apart.

    Parameters
    ----------
    runs : sequence of sequences of Judged
        All of the same questions.
    clusters, failures_as_minus_one
        As in `relative_scores`.

    Raises
    ------
    ValueError
        If the runs judged different questions.
    """
    ordered = _same_questions(runs)
    found = {}
    for category in categories(ordered[0]):
        members = [_members(run, category) for run in ordered]
        each = [_relative(run, failures_as_minus_one=failures_as_minus_one) for run in members]
        values = [value for value in each if value is not None]
        whole = len(values) == len(members)
        found[category] = MeanScore(
            relative=_percent(members, clusters, failures_as_minus_one=failures_as_minus_one, seed=seed),
            spread=statistics.stdev(values) if whole and len(values) > 1 else None,
            lowest=min(values, default=None),
            highest=max(values, default=None),
            n_runs=len(members),
        )
    return found


def difference(
    runs: Sequence[Sequence[Judged]],
    other_runs: Sequence[Sequence[Judged]],
    clusters: Mapping[str, str] | None = None,
    *,
    failures_as_minus_one: bool = False,
    seed: int = 0,
) -> dict[str, Estimate | None]:
    """Return how much the mean relative score of one candidate is above another's, percentage points.

    The interval is of the difference itself, with the same questions drawn for both: two candidates' own
    intervals may overlap where it is clear which one is better.

    Parameters
    ----------
    runs, other_runs : sequence of sequences of Judged
        Of either candidate, all of the same questions.
    clusters, failures_as_minus_one
        As in `relative_scores`.

    Raises
    ------
    ValueError
        If the runs judged different questions.
    """
    ordered = _same_questions([*runs, *other_runs])
    weights = [1 / len(runs)] * len(runs) + [-1 / len(other_runs)] * len(other_runs)
    return {
        category: _percent(
            [_members(run, category) for run in ordered], clusters, weights=weights,
            failures_as_minus_one=failures_as_minus_one, seed=seed,
        )
        for category in categories(ordered[0])
    }  # fmt: skip


def categories(run: Sequence[Judged]) -> list[str]:
    """Return the categories of a run in the order they are told, `ALL` last."""
    named = dict.fromkeys(each.category for each in run)
    return [*(name for name in CATEGORIES if name in named), *(n for n in named if n not in CATEGORIES), ALL]


def _judged(review: Review) -> Judged:
    return Judged(
        question_id=str(review.question_id),
        category=review.category.removeprefix(WILD_PREFIX),
        scores=review.reference_and_candidate,
    )


def _same_questions(runs: Sequence[Sequence[Judged]]) -> list[list[Judged]]:
    ordered = [sorted(run, key=lambda each: each.question_id) for run in runs]
    if len({tuple(each.question_id for each in run) for run in ordered}) != 1:
        raise ValueError("the runs judged different questions")
    return ordered


def _members(run: Sequence[Judged], category: str) -> list[Judged]:
    return [each for each in run if category in (each.category, ALL)]


def _relative(members: Sequence[Judged], *, failures_as_minus_one: bool) -> float | None:
    counted = [each.scores or (FAILED, FAILED) for each in members if failures_as_minus_one or each.scores]
    below = sum(pair[0] for pair in counted)
    return 100 * sum(pair[1] for pair in counted) / below if below else None


def _percent(
    runs: Sequence[Sequence[Judged]],
    clusters: Mapping[str, str] | None,
    *,
    failures_as_minus_one: bool,
    seed: int,
    weights: Sequence[float] | None = None,
) -> Estimate | None:
    """Return the mean relative score of runs of the same questions in the same order."""
    left_out = (FAILED, FAILED) if failures_as_minus_one else (0.0, 0.0)
    kept = [
        same for same in zip(*runs, strict=True) if failures_as_minus_one or any(each.scores for each in same)
    ]
    names = [same[0].question_id for same in kept]
    scores = [[each.scores or left_out for each in same] for same in kept]
    return ratio_estimate(
        [[100 * pairs[run][1] for pairs in scores] for run in range(len(runs))],
        [[pairs[run][0] for pairs in scores] for run in range(len(runs))],
        names if clusters is None else [clusters[name] for name in names],
        weights=weights,
        seed=seed,
    )
