"""What a tuned study tells beyond its best trial: noise, trials as good, importance, edges, costs, space.

Pure: trials in, plain values out. Scores are compared as losses, so that less is better whatever the
direction. Left out: studies with several objectives.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ensembles.tuning import at_edge
from studies.report.format import plain
from studies.report.geometry import Axis

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

SHOWN_BEST = 10
"""Best trials that are listed with their distance from the best."""
FOREST_SEED = 0
"""Of the forest that f-ANOVA fits."""
CROSS_VALIDATION_SCORES = "terminator:cv_scores"
"""Where `optuna.terminator.report_cross_validation_scores` keeps the scores of folds."""
Complexity = Callable[[Mapping[str, Any]], float]


def completed(study: "Study") -> "list[FrozenTrial]":
    """Return the complete trials with a finite score, the best first; of equal ones the earlier."""
    done = [
        trial
        for trial in study.get_trials(deepcopy=False)
        if trial.state.name == "COMPLETE" and trial.value is not None and math.isfinite(trial.value)
    ]
    return sorted(done, key=lambda trial: (loss(trial, study), trial.number))


def loss(trial: "FrozenTrial", study: "Study") -> float:
    """Return the score of a complete trial, turned round where higher is better."""
    assert trial.value is not None
    return -trial.value if study.direction.name == "MAXIMIZE" else trial.value


def standard_error(trial: "FrozenTrial") -> float | None:
    """Return the standard error of a trial's score: as it was told, or from the scores of its folds."""
    told = trial.user_attrs.get("standard_error")
    if isinstance(told, int | float) and math.isfinite(told):
        return float(told)
    folds = trial.system_attrs.get(CROSS_VALIDATION_SCORES)
    if folds and len(folds) > 1:
        mean = sum(folds) / len(folds)
        return math.sqrt(sum((fold - mean) ** 2 for fold in folds) / (len(folds) - 1) / len(folds))
    return None


def seconds(trial: "FrozenTrial") -> float | None:
    """Return what a trial cost: the seconds of its fits where they were told, else from start to end."""
    told = trial.user_attrs.get("fit_s")
    if isinstance(told, int | float):
        return float(told)
    return trial.duration.total_seconds() if trial.duration is not None else None


def settled_at(study: "Study", ranked: "Sequence[FrozenTrial]", noise: float | None) -> int | None:
    """Return the trial after which all others together gained less than the noise; None without noise."""
    if noise is None or not ranked:
        return None
    limit = loss(ranked[0], study) + noise
    return min(trial.number for trial in ranked if loss(trial, study) < limit or trial is ranked[0])


def best_trials(
    study: "Study",
    ranked: "Sequence[FrozenTrial]",
    noise: float | None,
    complexity: Complexity | None = None,
) -> dict[str, Any]:
    """Return the best trials, how many are within one standard error of the best, and the simplest of those.

    Parameters
    ----------
    study : optuna.Study
    ranked : sequence of FrozenTrial
        Of `completed`, at least one.
    noise : float, optional
        Standard error of the best trial.
    complexity : callable, optional
        Orders drawn parameters from simple to complex.
    """
    best = loss(ranked[0], study)
    within = [] if noise is None else [trial for trial in ranked if loss(trial, study) <= best + noise]
    simplest = None
    if complexity is not None and within:
        simplest = min(within, key=lambda trial: (complexity(trial.params), trial.number))
    shown = list(ranked[:SHOWN_BEST])
    if simplest is not None and simplest not in shown:
        shown.append(simplest)
    return {
        "n_within": len(within) if noise is not None else None,
        "simplest": simplest.number if simplest else None,
        "rows": [
            {
                "number": trial.number,
                "value": trial.value,
                "behind": loss(trial, study) - best,
                "errors": (loss(trial, study) - best) / noise if noise else None,
                "within": trial in within,
                "simplest": trial is simplest,
                "seconds": seconds(trial),
                "params": ", ".join(f"{name} {plain(value)}" for name, value in trial.params.items()),
            }
            for trial in shown
        ],
    }


def importances(study: "Study", done: "Sequence[FrozenTrial]") -> list[dict[str, Any]] | None:
    """Return each parameter's importance and rank by PED-ANOVA and f-ANOVA, the most important first.

    None where trials cannot tell: fewer than two, all alike, or no parameter that all of them drew.
    """
    from optuna.importance import (
        FanovaImportanceEvaluator,
        PedAnovaImportanceEvaluator,
        get_param_importances,
    )

    if len({t.value for t in done}) < 2 or not set.intersection(*(set(t.params) for t in done)):
        return None
    ped = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
    fanova = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=FOREST_SEED))
    axis = Axis(start=0.0, stop=1.0)
    rows = [
        {
            "name": name,
            "ped_anova": ped[name],
            "ped_rank": 1 + sum(other > ped[name] for other in ped.values()),
            "ped_width": axis.position(ped[name]),
            "fanova": fanova[name],
            "fanova_rank": 1 + sum(other > fanova[name] for other in fanova.values()),
            "fanova_width": axis.position(fanova[name]),
        }
        for name in ped
    ]
    return sorted(rows, key=lambda row: (row["ped_rank"] + row["fanova_rank"], row["ped_rank"], row["name"]))


def edges(best: "FrozenTrial", within: "Sequence[FrozenTrial]") -> list[dict[str, Any]]:
    """Return the best trial's parameters at the edge of their range, and how many trials as good share it."""
    others = [at_edge(trial.params, trial.distributions) for trial in within if trial is not best]
    return [
        {
            "name": edge.name,
            "value": edge.value,
            "side": edge.side,
            "low": edge.low,
            "high": edge.high,
            "n_sharing": sum(
                any((e.name, e.side) == (edge.name, edge.side) for e in found) for found in others
            ),
            "n_others": len(others),
        }
        for edge in at_edge(best.params, best.distributions)
    ]


def states(trials: "Sequence[FrozenTrial]") -> list[dict[str, Any]]:
    """Return trials, seconds and seconds of each per state, the most frequent state first."""
    counts = Counter(trial.state.name.lower() for trial in trials)
    spent = dict.fromkeys(counts, 0.0)
    for trial in trials:
        spent[trial.state.name.lower()] += seconds(trial) or 0.0
    return [
        {"state": state, "n": n, "seconds": spent[state], "each": spent[state] / n}
        for state, n in counts.most_common()
    ]


def saved_by_pruning(trials: "Sequence[FrozenTrial]") -> dict[str, Any] | None:
    """Return the steps that pruned trials did not take, and what they would have cost at each one's own pace.

    None where no trial was pruned. The seconds are an estimate, None where no pruned trial tells its steps.
    """
    pruned = [trial for trial in trials if trial.state.name == "PRUNED"]
    if not pruned:
        return None
    whole = max((len(t.intermediate_values) for t in trials if t.state.name == "COMPLETE"), default=0)
    known = [t for t in pruned if t.intermediate_values and seconds(t) is not None]
    left = [max(0, whole - len(t.intermediate_values)) for t in known]
    saved = [(seconds(t) or 0.0) / len(t.intermediate_values) * n for t, n in zip(known, left, strict=True)]
    spent = sum(seconds(t) or 0.0 for t in trials)
    return {
        "n_trials": len(pruned),
        "n_steps": sum(left) if whole and known else None,
        "seconds": sum(saved) if whole and known else None,
        "share": sum(saved) / (spent + sum(saved)) if whole and known and spent + sum(saved) else None,
    }


def cheapest_front(study: "Study", ranked: "Sequence[FrozenTrial]") -> list[dict[str, Any]]:
    """Return the trials that no other beats in both score and seconds, from the best to the cheapest."""
    front: list[dict[str, Any]] = []
    cheapest = math.inf
    for trial in ranked:
        cost = seconds(trial)
        if cost is not None and cost < cheapest:
            cheapest = cost
            front.append({"number": trial.number, "value": trial.value, "seconds": cost})
    return front


def space_of(trials: "Sequence[FrozenTrial]") -> "dict[str, BaseDistribution]":
    """Return the distributions of all parameters that any trial drew, in order of appearance."""
    return {name: found for trial in trials for name, found in trial.distributions.items()}


def allowed(distribution: "BaseDistribution") -> str:
    """Write what a parameter may be."""
    choices = getattr(distribution, "choices", None)
    if choices is not None:
        return plain(list(choices))
    low, high = getattr(distribution, "low", None), getattr(distribution, "high", None)
    step = getattr(distribution, "step", None)
    scale = ", log scale" if getattr(distribution, "log", False) else ""
    stepped = f", step {plain(step)}" if step not in (None, 1) else ""
    return f"{plain(low)} to {plain(high)}{scale}{stepped}"


def last_score(trial: "FrozenTrial") -> float | None:
    """Return the last score that a trial reported before it ended."""
    reported = trial.intermediate_values
    value = reported[max(reported)] if reported else None
    return value if value is not None and math.isfinite(value) else None
