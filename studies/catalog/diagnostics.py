"""What lies behind the accuracies of a run: calibration, selective answering, complementarity, cost: pure.

Every number comes from the predictions through `studies.catalog.scoring`; this module joins it with
`studies.stats` and gives it the form of ``summary.json``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from typing import Any

import numpy as np

from studies import stats
from studies.catalog.scoring import Scorer

Row = Mapping[str, Any]
COMPARED_KINDS = ("ladder", "stack", "llm")
"""Kinds whose errors are held against each other; what they are built of stands in the anatomy."""
VOTE = "llm_vote"
COSTS = ("fit_s", "predict_s")
COSTED_KINDS = ("ladder", "member", "stack", "llm")


def calibration(scorer: Scorer, methods: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the reliability diagram of every method with probabilities."""
    families = np.asarray(scorer.families)
    rows = []
    for method in _ran(methods):
        scores = scorer.scores(method["name"])
        if scores.confidence is None:
            continue
        found = stats.reliability(scores.confidence, scores.credit)
        bins = []
        for place, confidence in enumerate(found.confidence):
            held = found.bin_of == place
            accuracy = stats.accuracy_estimate(
                scores.credit[held],
                families[held],
                level=scorer.level,
                n_boot=scorer.n_boot,
                seed=scorer.seed,
            )
            bins.append({"confidence": float(confidence), "accuracy": asdict(accuracy)})
        rows.append(
            {
                "method": method["name"],
                "error": found.error,
                "overconfidence": found.overconfidence,
                "bins": bins,
            }
        )
    return rows


def risk_coverage(scorer: Scorer, methods: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the risk-coverage curve of every method with probabilities, where thresholds reach it."""
    rows = []
    for method in _ran(methods):
        scores = scorer.scores(method["name"])
        if scores.confidence is None:
            continue
        points = stats.reachable_points(stats.risk_coverage(scores.confidence, scores.credit))
        rows.append({"method": method["name"], "points": [list(point) for point in points]})
    return rows


def complementarity(scorer: Scorer, methods: Sequence[Row]) -> dict[str, Any] | None:
    """Return who is right where another is wrong, by pair and against all; None for fewer than two."""
    names = [
        method["name"]
        for method in _ran(methods)
        if method["kind"] in COMPARED_KINDS or method["name"] == VOTE
    ]
    if len(names) < 2:
        return None
    credits_ = {name: scorer.scores(name).credit for name in names}
    pairs = []
    for a, b in combinations(names, 2):
        found = stats.overlap(credits_[a], credits_[b], seed=scorer.seed)
        pairs.append(
            {
                "a": a,
                "b": b,
                **asdict(found),
                "error_ratio": found.error_ratio,
                "error_overlap": found.error_overlap,
                "either": (found.n - found.both_wrong) / found.n,
            }
        )
    oracle = stats.either_credit(credits_, seed=scorer.seed)
    standing_alone = stats.alone(credits_, seed=scorer.seed)
    return {
        "methods": [{"method": name, **asdict(row)} for name, row in standing_alone.items()],
        "pairs": pairs,
        "oracle": scorer.estimate_accuracy(oracle),
        "all_wrong": int((oracle == 0).sum()),
    }


def positions(scorer: Scorer, methods: Sequence[Row]) -> dict[str, Any]:
    """Return how often each place among the options is right and is chosen: a bias shows as a difference.

    ``distance`` is the total variation between the two, 0 for none; with few questions some is noise.
    """
    ids = [example.id for example in scorer.examples]
    n_places = max(len(example.options) for example in scorer.examples)
    right = np.bincount([example.answer or 0 for example in scorer.examples], minlength=n_places)
    frame = scorer.predictions[scorer.predictions["example_id"].isin(ids)]
    rows = []
    for method in _ran(methods):
        own = frame[frame["method"] == method["name"]]
        chosen = np.bincount(own["option_index"], weights=own["chosen"], minlength=n_places)
        told = float(chosen.sum())
        rows.append(
            {
                "method": method["name"],
                "chosen": chosen.tolist(),
                "distance": float(np.abs(chosen / told - right / right.sum()).sum() / 2) if told else None,
            }
        )
    return {"right": right.tolist(), "methods": rows}


def cost_fronts(methods: Sequence[Row]) -> list[dict[str, Any]]:
    """Return, per cost, the methods with what they cost in all and whether any other is cheaper and better.

    A stack predicts from what its members predict: their seconds are added to its own.
    """
    own = {method["name"]: method for method in methods}
    fronts = []
    for cost in COSTS:
        points = []
        for method in _ran(methods):
            value = method[cost]
            if value is None or method["kind"] not in COSTED_KINDS:
                continue
            if cost == "predict_s":
                members = [own[name] for name in method["weights"] or () if name in own]
                value += sum(member[cost] or 0.0 for member in members)
            points.append({"method": method["name"], "cost": value, "accuracy": method["accuracy"]["value"]})
        if len(points) > 1:
            front = stats.on_front([p["cost"] for p in points], [p["accuracy"] for p in points])
            fronts.append(
                {
                    "cost": cost,
                    "points": [{**p, "on_front": bool(on)} for p, on in zip(points, front, strict=True)],
                }
            )
    return fronts


def importance(scorer: Scorer, shuffled: Scorer, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return what each method loses with a block shuffled, averaged over the shuffles.

    Parameters
    ----------
    scorer : Scorer
        Of the run.
    shuffled : Scorer
        On the same questions, of the predictions with blocks shuffled.
    rows : sequence of mapping
        As `studies.catalog.anatomy.shuffle_blocks` returns them.
    """
    has_image = np.array([example.has_image for example in scorer.examples])
    found = []
    for row in rows:
        base = scorer.scores(row["method"])
        drawn = [shuffled.scores(name) for name in row["names"]]
        lost = base.credit - np.mean([scores.credit for scores in drawn], axis=0)
        told = {
            "method": row["method"],
            "block": row["block"],
            "blocks": list(row["blocks"]),
            "n_shuffles": len(drawn),
            "accuracy_lost": scorer.estimate_mean(lost),
            "log_loss_gained": None,
            "accuracy_lost_with_image": None,
        }
        if base.log_loss is not None:
            losses = [scores.log_loss for scores in drawn if scores.log_loss is not None]
            told["log_loss_gained"] = scorer.estimate_mean(np.mean(losses, axis=0) - base.log_loss)
        if has_image.any() and not has_image.all():
            pictured = scorer.on([e for e, has in zip(scorer.examples, has_image, strict=True) if has])
            told["accuracy_lost_with_image"] = pictured.estimate_mean(lost[has_image])
        found.append(told)
    return found


def _ran(methods: Sequence[Row]) -> list[Row]:
    return [method for method in methods if method["status"] == "ok"]
