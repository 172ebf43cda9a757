"""Everything that files of reviews say, as plain values: what the JSON holds and the tables show.

Files are runs of one judge over one candidate where they hold the same answers, known by their ids, to
the same questions and were made with the same settings; only then is there a mean over runs. Published
files tell no settings and count as alike.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from llava_core.errors import InputError
from llava_core.evaluation.llava_bench.bias import position_bias
from llava_core.evaluation.llava_bench.published import PUBLISHED
from llava_core.evaluation.llava_bench.reviews import WILD_PREFIX, Review
from llava_core.evaluation.llava_bench.scores import (
    CATEGORIES,
    Judged,
    as_published,
    both_orders,
    candidate_first,
    difference,
    mean_of_runs,
    relative_scores,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Group:
    """What the runs of one judge over one candidate have in common."""

    questions: tuple[str, ...]
    candidates: tuple[str, ...]
    settings: str | None


def summarise(
    files: Mapping[Path, Sequence[Review]],
    clusters: Mapping[str, str] | None = None,
    *,
    failures_as_minus_one: bool = False,
    seed: int = 0,
) -> dict[str, Any]:
    """Return the scores of every file, their means, the judge's bias and the published rows.

    Parameters
    ----------
    files : mapping of Path to sequence of Review
        One per run of a judge.
    clusters : mapping of str to str, optional
        Question id to image; it has to name every question.
    failures_as_minus_one : bool
        Keep failed reviews as -1 for both answers, as the published script does.
    seed : int
        Of the resampling.

    Raises
    ------
    InputError
        If a file has no review with the reference first, or of a question without a cluster.
    """
    groups: dict[_Group, list[Path]] = {}
    for path, reviews in files.items():
        _check(path, reviews, clusters)
        groups.setdefault(_group_key(reviews), []).append(path)
    names = _names(list(files))
    told = [
        _candidate(
            {names[path]: files[path] for path in paths}, clusters,
            failures_as_minus_one=failures_as_minus_one, seed=seed,
        )
        for paths in groups.values()
    ]  # fmt: skip
    first, *others = [[as_published(files[path]) for path in paths] for paths in groups.values()]
    sets = dict.fromkeys(each["set"] for each in told)
    return {
        "failures_as_minus_one": failures_as_minus_one,
        "resampled": "questions" if clusters is None else "images",
        "candidates": told,
        "differences": [
            {
                "candidate": number,
                "to": 1,
                "scores": {
                    category: asdict(points) if points else None
                    for category, points in difference(
                        runs, first, clusters, failures_as_minus_one=failures_as_minus_one, seed=seed
                    ).items()
                },
            }
            for number, (key, runs) in enumerate(zip(list(groups)[1:], others, strict=True), start=2)
            if _alike(key, next(iter(groups)))
        ],
        "published": {
            name: [asdict(row) for row in rows] for name, rows in PUBLISHED.items() if name in sets
        },
    }


def _candidate(
    runs: Mapping[str, Sequence[Review]],
    clusters: Mapping[str, str] | None,
    *,
    failures_as_minus_one: bool,
    seed: int,
) -> dict[str, Any]:
    def scored(judged: Sequence[Judged]) -> dict[str, Any]:
        scores = relative_scores(judged, clusters, failures_as_minus_one=failures_as_minus_one, seed=seed)
        return {category: asdict(score) for category, score in scores.items()}

    told = []
    for name, reviews in runs.items():
        bias = position_bias(reviews, clusters, seed=seed)
        told.append(
            {
                "name": name,
                "n_reviews": len(reviews),
                "n_failed": sum(review.scores is None for review in reviews),
                "n_missing": None
                if clusters is None
                else len(clusters.keys() - {str(review.question_id) for review in reviews}),
                "scores": scored(as_published(reviews)),
                "candidate_first": scored(candidate_first(reviews)) if bias else None,
                "both_orders": scored(both_orders(reviews)) if bias else None,
                "position_bias": asdict(bias) if bias else None,
            }
        )
    mean = mean_of_runs(
        [as_published(reviews) for reviews in runs.values()], clusters,
        failures_as_minus_one=failures_as_minus_one, seed=seed,
    )  # fmt: skip
    first = next(iter(runs.values()))
    return {
        "set": _set_of(first),
        "judge": first[0].judge,
        "own_wording": first[0].settings is not None,
        "runs": told,
        "mean": {category: asdict(score) for category, score in mean.items()} if len(runs) > 1 else None,
    }


def _set_of(reviews: Sequence[Review]) -> str | None:
    """Return the set that the categories belong to; None for a set of one's own."""
    named = {review.category for review in reviews}
    if any(name.startswith(WILD_PREFIX) for name in named):
        return "wild"
    return "coco" if named <= set(CATEGORIES) else None


def _group_key(reviews: Sequence[Review]) -> _Group:
    answers = sorted((str(r.question_id), r.candidate_id or "") for r in reviews if not r.swapped)
    return _Group(
        questions=tuple(question for question, _ in answers),
        candidates=tuple(candidate for _, candidate in answers),
        settings=reviews[0].settings,
    )


def _alike(one: _Group, other: _Group) -> bool:
    """Return whether one judge graded answers to the same questions."""
    return (one.questions, one.settings) == (other.questions, other.settings)


def _names(paths: Sequence[Path]) -> dict[Path, str]:
    """Return file stems, or whole paths where two files have one stem."""
    stems = [path.stem for path in paths]
    return {path: path.stem if stems.count(path.stem) == 1 else str(path) for path in paths}


def _check(path: Path, reviews: Sequence[Review], clusters: Mapping[str, str] | None) -> None:
    if all(review.swapped for review in reviews):
        raise InputError(
            "holds no review with the reference shown first, expected the published order", path=path
        )
    if len({review.settings for review in reviews}) > 1:
        raise InputError("got reviews of several judges or settings, allowed is one per file", path=path)
    for review in reviews:
        if clusters is not None and str(review.question_id) not in clusters:
            raise InputError(
                "is a question that the questions file does not have",
                path=path,
                record=str(review.question_id),
            )
