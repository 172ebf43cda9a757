"""A tuned study as the ten blocks that the page, the terminal and the JSON file show of it.

The verdict speaks of comparisons that were made on the same questions, and says of others that they were
not. Left out: studies with several objectives.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from studies.report import optuna_blocks as blocks
from studies.report import optuna_figures as figures
from studies.report.format import number, plain, signed
from studies.report.format import seconds as duration
from studies.report.geometry import interval_mark, spanning_axis, ticks

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

MOST_TRIALS = 200
"""Rows of the trial table; the files beside the page have all of them."""
DRAWN_PARAMETERS = 3
"""Parameters drawn one by one and in pairs, the most important first."""
EVALUATORS = ("PED-ANOVA", "f-ANOVA")
SETTINGS = ("metric", "sampler", "pruner", "seed", "folds", "optuna")
"""Attributes of a study that say how it was made, in this order."""
Facts = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TunedStudy:
    """A study and what is known of it beyond its trials."""

    study: "Study"
    label: str
    """What the page calls the tuned method."""
    method: str | None = None
    """Key of `ensembles.registry.MEMBERS`; None for a study of someone else."""
    comparison: Facts | None = None
    """What ``studies.catalog.compared`` found; None where nothing was compared."""
    outer: Facts | None = None
    """Estimate of the same metric on questions that tuning never saw."""
    complexity: blocks.Complexity | None = None
    """Orders drawn parameters from simple to complex."""
    resume: str | None = None
    """Command that goes on with the study."""
    compare: str | None = None
    """Command that would make the comparisons that are lacking."""


def study_view(tuned: TunedStudy) -> dict[str, Any]:
    """Everything that the page shows of one study.

    Parameters
    ----------
    tuned : TunedStudy
        Its study has one objective. It may have no completed trial.

    Returns
    -------
    dict
        ``best``, ``default``, ``comparison``, ``bias``, ``importance`` are None where trials lack them.
    """
    study = tuned.study
    trials = study.get_trials(deepcopy=False)
    maximise = study.direction.name == "MAXIMIZE"
    ranked = blocks.completed(study)
    best = ranked[0] if ranked else None
    default = next((t for t in ranked if t.number == 0 and t.system_attrs.get("fixed_params")), None)
    noise = blocks.standard_error(best) if best else None
    settled = blocks.settled_at(study, ranked, noise)
    space = blocks.space_of(trials)
    importance = blocks.importances(study, ranked) if ranked else None
    drawn = ([row["name"] for row in importance] if importance else list(space))[:DRAWN_PARAMETERS]
    metric = str((study.metric_names or [study.user_attrs.get("metric", "objective")])[0])
    front = blocks.cheapest_front(study, ranked)
    top = blocks.best_trials(study, ranked, noise, tuned.complexity) if ranked else None
    within = [
        t
        for t in ranked
        if top and noise is not None and blocks.loss(t, study) <= blocks.loss(ranked[0], study) + noise
    ]
    saved = blocks.saved_by_pruning(trials)
    view = {
        "label": tuned.label,
        "method": tuned.method,
        "study_name": study.study_name,
        "metric": metric,
        "direction": "higher is better" if maximise else "lower is better",
        "n_trials": len(trials),
        "n_complete": len(ranked),
        "best": {"number": best.number, "value": best.value, "standard_error": noise} if best else None,
        "default": {"value": default.value} if default else None,
        "gain": blocks.loss(default, study) - blocks.loss(best, study) if best and default else None,
        "comparison": tuned.comparison,
        "rivals": _rivals(tuned.comparison),
        "compare_command": tuned.compare,
        "bias": _bias(tuned, best),
        "settled": {"trial": settled, "n_after": sum(t.number > settled for t in trials)}
        if settled is not None
        else None,
        "top": top,
        "importance": importance,
        "evaluators": EVALUATORS,
        "importance_told": _agreement(importance),
        "edges": blocks.edges(best, within) if best else [],
        "states": blocks.states(trials),
        "saved": saved,
        "seconds": sum(blocks.seconds(t) or 0.0 for t in trials),
        "front": front,
        "space": [
            {
                "name": name,
                "allowed": blocks.allowed(distribution),
                "default": plain(default.params.get(name)) if default else None,
                "best": plain(best.params.get(name)) if best else None,
            }
            for name, distribution in space.items()
        ],
        "settings": _settings(study),
        "resume": tuned.resume,
        "parameters": list(space),
        "trials": [_row(t, list(space)) for t in _in_order(ranked, trials)],
    }
    drawings = {
        "history": figures.history_figure(
            trials, ranked, maximise=maximise, metric=metric, settled=settled, noise=noise
        )
        if ranked
        else None,
        "slices": [figures.slice_figure(name, space[name], ranked, metric=metric) for name in drawn]
        if len(ranked) > 1
        else [],
        "contours": figures.contour_figures(drawn, space, ranked, maximise=maximise, metric=metric)
        if len(ranked) > 1
        else [],
        "cost": figures.cost_figure(ranked, front, metric=metric),
    }
    return {**view, "verdict": verdict(view), "figures": drawings}


def verdict(view: Facts) -> list[str]:
    """Return what the tuning was worth, in sentences: against the defaults, against random search.

    Parameters
    ----------
    view : mapping
        Of `study_view`, all but the verdict.
    """
    best, metric = view["best"], view["metric"]
    if best is None:
        return [f"No trial was completed ({view['n_trials']:,} begun or waiting)."]
    told = [
        f"The best of {view['n_trials']:,} trials, number {best['number']}, reaches {metric} "
        f"{number(best['value'], 4)}."
    ]
    found = view["comparison"] or {}
    if found.get("default"):
        told.append(_compared(found["default"], "the default parameters", found))
    elif view["default"]:
        gain = view["gain"]
        against = f"a gain of {number(gain, 4)}" if gain else "tuning found nothing better"
        told.append(
            f"The default parameters reach {number(view['default']['value'], 4)}: {against}. "
            f"Whether that is more than noise is not measured{_by(view['compare_command'])}."
        )
    else:
        told.append("The default parameters were not among the trials that were completed.")
    if found.get("random"):
        n_trials = found["random"]["n_trials"]
        told.append(_compared(found["random"], f"a random search of as many trials ({n_trials})", found))
    else:
        told.append(f"Random search at equal budget is not measured{_by(view['compare_command'])}.")
    return told


def _compared(row: Facts, rival: str, found: Facts) -> str:
    """Say which of two lost less; the choice of the best is made anew where that could be done."""
    estimate = row["rechosen"] or row["difference"]
    interval = f"{signed(estimate['low'], 4)} to {signed(estimate['high'], 4)}"
    told = f"{signed(estimate['value'], 4)} [{interval}]"
    where = f"paired on {found['n_questions']:,} questions of {found['n_families']:,} families"
    if row["rechosen"]:
        where += ", best trials chosen anew in each resample"
    if estimate["high"] < 0:
        return f"Against {rival} tuning lowers the loss: {told}, {where}."
    if estimate["low"] > 0:
        return f"Against {rival} tuning raises the loss: {told}, {where}."
    return f"Against {rival} no difference is shown: {told}, {where}."


def _rivals(found: Facts | None) -> dict[str, Any] | None:
    """Return the rows of the table of rivals, with the places of their marks on one axis around zero."""
    named = {"default": "default parameters", "random": "random search"}
    rows = [(named[key], found[key]) for key in named if found and found.get(key)]
    if not rows:
        return None
    shown = [row["rechosen"] or row["difference"] for _, row in rows]
    axis = spanning_axis([0.0, *(estimate[end] for estimate in shown for end in ("low", "high"))])
    return {
        "level": shown[0]["level"],
        "ticks": ticks(axis),
        "zero": axis.position(0.0),
        "rows": [
            {
                "rival": rival,
                "told": _told_of(row),
                "value": row["value"],
                "difference": row["difference"],
                "rechosen": row["rechosen"],
                "mark": interval_mark(estimate, axis),
            }
            for (rival, row), estimate in zip(rows, shown, strict=True)
        ],
    }


def _told_of(row: Facts) -> str:
    if "n_trials" not in row:
        return f"trial {row['trial']} of this study"
    stopped = f", {row['n_pruned']:,} pruned" if row["n_pruned"] else ""
    return (
        f"best of {row['n_trials']:,} trials{stopped}; {row['n_shared']:,} of them drawn by the tuning too; "
        f"{duration(row['fit_s'])}"
    )


def _by(command: str | None) -> str:
    return f"; it would be by: {command}" if command else ""


def _bias(tuned: TunedStudy, best: "FrozenTrial | None") -> dict[str, Any] | None:
    """Return inner best, the same chosen anew, outer score and the gaps; None where neither is known."""
    found, outer = tuned.comparison or {}, tuned.outer
    if best is None or (outer is None and not found):
        return None
    inner, rechosen = float(best.value or 0.0), found.get("rechosen")
    return {
        "inner": found.get("chosen") or {"value": inner, "low": None, "high": None, "n": None},
        "rechosen": rechosen,
        "optimism": rechosen["value"] - inner if rechosen else None,
        "outer": outer,
        "gap": outer["value"] - inner if outer else None,
    }


def _agreement(importance: Sequence[Facts] | None) -> str:
    if not importance:
        return ""
    first = {key: min(importance, key=lambda row: row[key])["name"] for key in ("ped_rank", "fanova_rank")}
    if len(set(first.values())) == 1:
        return f"Both evaluators put {first['ped_rank']} first."
    return (
        f"The evaluators disagree: PED-ANOVA puts {first['ped_rank']} first, f-ANOVA {first['fanova_rank']}. "
        "PED-ANOVA asks what sets the best tenth of the trials apart, f-ANOVA what moves the score over the "
        "whole space."
    )


def _settings(study: "Study") -> list[tuple[str, str]]:
    """Return how the study was made; what it does not tell is said so."""
    attributes = study.user_attrs
    known = [(name, plain(attributes[name]) if name in attributes else "not told") for name in SETTINGS]
    others = [(name, plain(value)) for name, value in sorted(attributes.items()) if name not in SETTINGS]
    return [*known, *others]


def _in_order(ranked: "Sequence[FrozenTrial]", trials: "Sequence[FrozenTrial]") -> "list[FrozenTrial]":
    complete = {trial.number for trial in ranked}
    return [*ranked, *(trial for trial in trials if trial.number not in complete)]


def _row(trial: "FrozenTrial", parameters: Sequence[str]) -> dict[str, Any]:
    finite = trial.value is not None and trial.value == trial.value and abs(trial.value) != float("inf")
    why = trial.user_attrs.get("error") or trial.user_attrs.get("stopped")
    return {
        "number": trial.number,
        "state": trial.state.name.lower(),
        "value": trial.value if finite else blocks.last_score(trial),
        "standard_error": blocks.standard_error(trial),
        "seconds": blocks.seconds(trial),
        "why": plain(why) if why else "",
        "params": {name: trial.params[name] for name in parameters if name in trial.params},
    }
