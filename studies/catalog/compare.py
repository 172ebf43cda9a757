"""Several finished runs held against each other: `studies compare` [edge at `read_runs`].

Accuracies stand side by side whatever the data. A difference between runs is taken on the questions that both
scored, paired and by family, and only where both read the same data. Runs that differ in nothing but the seed
are summed up: mean, spread, and how much of the variation is the seed's.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import Any

from llava_core.errors import InputError
from studies import stats
from studies.catalog.finished_run import FinishedRun, read_finished
from studies.catalog.outputs import QUESTIONS_FILE
from studies.catalog.verdict import outcome
from studies.report.format import number, percent, points, points_interval

SCHEMA_VERSION = 1
BEGINNING = rb'\{\s*"schema_version": \d+,\s*"study": "\w+",\s*"sentence": '
"""Of what `compare_runs` returns, as JSON: tells it from the summary of a run."""
Tick = Callable[[int, int], None]
MOST_SETTINGS = 12
"""Settings that differ, told per run at most."""


def read_runs(paths: Sequence[Path]) -> list[FinishedRun]:
    """Read finished runs that can be compared.

    Raises
    ------
    InputError
        If there are fewer than two, one is named twice or is not finished, or they are of different studies
        or have no method in common.
    """
    if len(paths) < 2:
        raise InputError(f"got {len(paths)} run, allowed are 2 or more", field="run")
    places = [path.resolve() for path in paths]
    double = next((path for path, place in zip(paths, places, strict=True) if places.count(place) > 1), None)
    if double is not None:
        raise InputError("got the same run twice", path=double)
    runs = [read_finished(path, name) for path, name in zip(paths, _names(places), strict=True)]
    studies = list(dict.fromkeys(str(run.summary["study"]) for run in runs))
    if len(studies) > 1:
        other = next(run for run in runs if run.summary["study"] != studies[0])
        told = f"got runs of {' and '.join(studies)}, allowed are runs of one study"
        raise InputError(told, path=other.path, field="run")
    if not set.intersection(*(set(run.methods) for run in runs)):
        raise InputError("got runs without a method in common", path=runs[-1].path, field="run")
    return runs


def compare_runs(
    runs: Sequence[FinishedRun],
    *,
    level: float = 0.95,
    n_boot: int = 2000,
    seed: int = 0,
    tick: Tick = lambda done, total: None,
) -> dict[str, Any]:
    """Return what the page and the terminal show, as plain values.

    Parameters
    ----------
    runs : sequence of FinishedRun
        As `read_runs` returns them. Differences are counted from the earlier one named.
    level, n_boot, seed
        As in `studies.stats.mean_estimate`.
    tick : callable
        Told how many pairs of runs are done, of how many.
    """
    labels = {name: method["label"] for run in reversed(runs) for name, method in run.methods.items()}
    leaderboard = [
        {
            "method": name,
            "label": label,
            "kind": next(run.methods[name]["kind"] for run in runs if name in run.methods),
            "cells": [_cell(run, name) for run in runs],
        }
        for name, label in labels.items()
    ]
    # What few runs have comes last: its mean is one over other questions.
    leaderboard.sort(key=lambda row: (row["cells"].count(None), -_mean(row["cells"])))
    pairs, wanted = [], list(combinations(runs, 2))
    for place, (a, b) in enumerate(wanted):
        pair = _pair(a, b, level=level, n_boot=n_boot, seed=seed)
        pairs += [pair] if pair is not None else []
        tick(place + 1, len(wanted))
    _correct(pairs)
    seeds = [group for members in _seed_groups(runs) if (group := _seeds(members)) is not None]
    return {
        "schema_version": SCHEMA_VERSION,
        "study": runs[0].summary["study"],
        "sentence": _sentence(runs, pairs, seeds),
        "level": level,
        "runs": _described(runs),
        "leaderboard": leaderboard,
        "pairs": pairs,
        "seeds": seeds,
        "notes": _notes(runs),
    }


def _names(places: Sequence[Path]) -> list[str]:
    """Folder names, with as many parents as tell them apart."""
    for n_parts in range(1, max(len(place.parts) for place in places)):
        names = ["/".join(place.parts[-n_parts:]) for place in places]
        if len(set(names)) == len(names):
            return names
    return [str(place) for place in places]


def _described(runs: Sequence[FinishedRun]) -> list[dict[str, Any]]:
    settings = sorted({key for run in runs for key in run.spec})
    differing = [
        key for key in settings if len({json.dumps(run.spec.get(key), sort_keys=True) for run in runs}) > 1
    ]
    return [
        {
            "name": run.name,
            "data": run.summary["data"]["name"],
            "fingerprint": run.fingerprint,
            "evaluated_on": run.summary["data"].get("evaluated_on"),
            "n_questions": run.summary["data"].get("n_questions"),
            "n_families": run.summary["data"].get("n_families"),
            "seed": run.summary["provenance"].get("seed"),
            "git_commit": run.summary["provenance"].get("git_commit"),
            "seconds": run.summary["provenance"].get("seconds"),
            "choice": (run.summary.get("choice") or {}).get("method"),
            "sentence": run.summary["verdict"]["sentence"],
            "differs": {key: run.spec.get(key) for key in differing[:MOST_SETTINGS]},
        }
        for run in runs
    ]


def _cell(run: FinishedRun, name: str) -> dict[str, Any] | None:
    method = run.methods.get(name)
    if method is None or not method.get("accuracy"):
        return None
    log_loss = method.get("log_loss")
    return {"accuracy": method["accuracy"], "log_loss": log_loss, "status": method.get("status", "ok")}


def _pair(a: FinishedRun, b: FinishedRun, *, level: float, n_boot: int, seed: int) -> dict[str, Any] | None:
    """Differences of b from a on their common questions, None where there is nothing to pair."""
    found = _common([a, b])
    if found is None:
        return None
    ids, families = found
    rows = []
    for name in a.methods:
        if name in b.methods:
            compared = stats.compare(
                b.credit(name, ids), a.credit(name, ids), families, level=level, n_boot=n_boot, seed=seed
            )
            rows.append({"method": name, "label": a.methods[name]["label"], **asdict(compared)})
    return {"a": a.name, "b": b.name, "n_questions": len(ids), "rows": rows}


def _correct(pairs: Sequence[dict[str, Any]]) -> None:
    """Add Holm's correction over all differences of the page."""
    rows = [row for pair in pairs for row in pair["rows"]]
    for row, p in zip(rows, stats.holm([row["mcnemar_p"] for row in rows]), strict=True):
        row["p_holm"] = p


def _common(runs: Sequence[FinishedRun]) -> tuple[list[str], list[str]] | None:
    """Questions that all runs scored, with their families; None for other data or none in common."""
    if len({run.fingerprint for run in runs}) > 1 or any(run.questions is None for run in runs):
        return None
    tables = [run.questions for run in runs if run.questions is not None]
    shared = set.intersection(*(set(table["example_id"]) for table in tables))
    first = tables[0][tables[0]["example_id"].isin(shared)]
    return (first["example_id"].tolist(), first["family"].tolist()) if shared else None


def _seed_groups(runs: Sequence[FinishedRun]) -> list[list[FinishedRun]]:
    """Return the runs that differ in nothing but the seed, group by group."""
    groups: dict[str, list[FinishedRun]] = {}
    for run in runs:
        rest = {key: value for key, value in run.spec.items() if key != "seed"}
        key = json.dumps([run.fingerprint, rest], sort_keys=True)
        groups.setdefault(key, []).append(run)
    return [
        members
        for members in groups.values()
        if len({member.summary["provenance"].get("seed") for member in members}) > 1
    ]


def _seeds(members: Sequence[FinishedRun]) -> dict[str, Any] | None:
    found = _common(members)
    if found is None:
        return None
    ids, families = found
    names = [name for name in members[0].methods if all(name in run.methods for run in members)]
    rows = []
    for name in names:
        varied = stats.seed_variation([run.credit(name, ids) for run in members], families)
        rows.append({"method": name, "label": members[0].methods[name]["label"], **asdict(varied)})
    return {
        "runs": [run.name for run in members],
        "seeds": [run.summary["provenance"].get("seed") for run in members],
        "n_questions": len(ids),
        "rows": sorted(rows, key=lambda row: -row["mean"]),
    }


def _sentence(
    runs: Sequence[FinishedRun], pairs: Sequence[Mapping[str, Any]], seeds: Sequence[Mapping[str, Any]]
) -> str:
    """Say what came out, about the method that the first run chose."""
    told = (runs[0].summary.get("choice") or {}).get("method")
    if seeds:
        rows = seeds[0]["rows"]
        row = next((row for row in rows if row["method"] == told), rows[0])
        return (
            f"Over {row['n_seeds']} seeds {row['label']} gets {percent(row['mean'])} % of {row['n']:,} "
            f"common questions right; the seed moves it by {number(100 * row['seed_sd'], 1)} points "
            f"(standard deviation), the choice of questions by {number(100 * row['question_se'], 1)} "
            "(standard error)."
        )
    if pairs and pairs[0]["rows"]:
        rows = pairs[0]["rows"]
        row = next((row for row in rows if row["method"] == told), rows[0])
        found = row["difference"]
        return (
            f"From {pairs[0]['a']} to {pairs[0]['b']}, {row['label']} changes by {points(found['value'])} "
            f"points [{points_interval(found)}] on {row['n']:,} common questions, {row['gains']} won and "
            f"{row['losses']} lost: {outcome(row)}."
        )
    return (
        "The runs have no questions in common: accuracies stand side by side, differences would compare data."
    )


def _notes(runs: Sequence[FinishedRun]) -> list[str]:
    notes = [
        f"{run.name} is of an earlier version and has no {QUESTIONS_FILE}: it takes no part in differences."
        for run in runs
        if run.questions is None
    ]
    if len({run.fingerprint for run in runs}) > 1:
        notes.append("Runs on other data stand beside each other; no difference is taken between them.")
    failed = [
        f"{run.name}: {method['label']} failed and is scored as chance."
        for run in runs
        for method in run.methods.values()
        if method.get("status", "ok") != "ok"
    ]
    return notes + failed


def _mean(cells: Sequence[Mapping[str, Any] | None]) -> float:
    values = [cell["accuracy"]["value"] for cell in cells if cell]
    return sum(values) / len(values) if values else -1.0
