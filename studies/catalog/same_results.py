"""Whether two runs came to the same results: predictions bit for bit, and the summary with times aside.

Left out: pages, models and journals, which hold times and are made of, or stand behind, what is compared.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from studies.catalog.outputs import PREDICTIONS_FILE, SUMMARY_FILE, read_summary
from studies.predictions import PREDICTION_COLUMNS, read_predictions
from studies.verified import checked, read_manifest

ASIDE = frozenset(
    {
        # Times, and what rests on nothing else.
        "fit_s", "predict_s", "nested_fit_s", "seconds", "cpu_seconds", "step_seconds", "started",
        "cost_fronts",
        # The machine.
        "machine", "peak_rss_bytes", "announced_bytes",
        # The command, and what it ran with; differences of these are told beside the results.
        "command", "versions", "git_commit",
    }
)  # fmt: skip
"""Fields of ``summary.json``, at whatever depth, that the same run may say otherwise."""
_KEYS = ("name", "method", "what", "a", "split", "dimension")
"""Fields that tell the entries of a list apart, for messages."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Compared:
    """Two runs held against each other."""

    differences: tuple[str, ...]
    """One line each, the first difference of each method or part; empty for the same results."""
    notes: tuple[str, ...]
    """What explains differences, or warns of them."""
    n_methods: int
    """That both predicted."""


def compare_results(first: Path, second: Path) -> Compared:
    """Compare the results of two finished runs.

    Raises
    ------
    InputError
        If one is not finished, or a file that is compared was changed after its run.
    """
    summaries = [read_summary(path) for path in (first, second)]
    tables = [_predictions(path) for path in (first, second)]
    in_table = [f"{PREDICTIONS_FILE}, {told}" for told in different_predictions(*tables)]
    fields = list(different_fields(*summaries))
    in_summary = []
    if fields:
        more = f" (and {len(fields) - 1:,} more fields)" if len(fields) > 1 else ""
        in_summary = [f"{SUMMARY_FILE}, {fields[0]}{more}"]
    return Compared(
        differences=(*in_table, *in_summary),
        notes=tuple(_notes(summaries, (first, second))),
        n_methods=len(set(tables[0]["method"]) & set(tables[1]["method"])),
    )


def different_predictions(first: pd.DataFrame, second: pd.DataFrame) -> list[str]:
    """Return, per method, the first row and column in which two predictions tables differ, bit for bit."""
    found = []
    methods = [list(dict.fromkeys(table["method"])) for table in (first, second)]
    for here, there, which in ((*methods, "first"), (*methods[::-1], "second")):
        found += [f"method {name}: only in the {which} run" for name in here if name not in there]
    common = [[name for name in here if name in there] for here, there in (methods, methods[::-1])]
    for name in common[0]:
        told = _different_rows(*(_rows(table, name) for table in (first, second)))
        found += [f"method {name}, {told}"] if told else []
    if not found and methods[0] != methods[1]:
        found.append("the methods stand in another order")
    if not found and not first["method"].reset_index(drop=True).equals(
        second["method"].reset_index(drop=True)
    ):
        found.append("the rows of the methods are mixed in another order")
    return found


def different_fields(first: object, second: object, *, at: str = "") -> Iterator[str]:
    """Yield ``place: value, other value`` for the fields in which two summaries differ, `ASIDE` left out."""
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        for key in dict.fromkeys((*first, *second)):
            place = f"{at}.{key}" if at else str(key)
            if key in ASIDE:
                continue
            if key not in first or key not in second:
                yield f"{place}: only in the {'first' if key in first else 'second'} run"
            else:
                yield from different_fields(first[key], second[key], at=place)
    elif isinstance(first, list) and isinstance(second, list):
        if len(first) != len(second):
            yield f"{at}: {len(first)} entries, {len(second)} entries"
        for number, (one, other) in enumerate(zip(first, second, strict=False)):
            yield from different_fields(one, other, at=f"{at}[{_entry(one, number)}]")
    elif type(first) is not type(second) or first != second:
        yield f"{at}: {_short(first)}, {_short(second)}"


def _predictions(run_path: Path) -> pd.DataFrame:
    """Return the predictions of a run; no rows where its study makes none."""
    if PREDICTIONS_FILE not in read_manifest(run_path)["files"]:
        return pd.DataFrame(columns=pd.Index(PREDICTION_COLUMNS))
    return read_predictions(checked(run_path, PREDICTIONS_FILE))


def _rows(table: pd.DataFrame, method: str) -> pd.DataFrame:
    return table[table["method"] == method].reset_index(drop=True)


def _different_rows(first: pd.DataFrame, second: pd.DataFrame) -> str | None:
    """Return the first difference between the rows of one method."""
    ids = [list(dict.fromkeys(rows["example_id"])) for rows in (first, second)]
    for here, there, which in ((*ids, "first"), (*ids[::-1], "second")):
        known = set(there)
        only = next((id_ for id_ in here if id_ not in known), None)
        if only is not None:
            return f"question {only}: only in the {which} run"
    keys = ["seed", "example_id", "option_index"]
    if not first[keys].equals(second[keys]):
        return "the same questions with other options, seeds or in another order"
    differs = {name: _bits(first[name]) != _bits(second[name]) for name in PREDICTION_COLUMNS[4:]}
    anywhere = np.logical_or.reduce(list(differs.values()))
    if not anywhere.any():
        return None
    row = int(np.flatnonzero(anywhere)[0])
    column = next(name for name, where in differs.items() if where[row])
    told = first.iloc[row]
    n_more = int(anywhere.sum()) - 1
    more = f" (and {n_more:,} more rows)" if n_more else ""
    return (
        f"question {told['example_id']}, option {told['option_index']}, field {column}: "
        f"{_short(told[column])}, {_short(second.iloc[row][column])}{more}"
    )


def _bits(column: "pd.Series[Any]") -> NDArray[np.int64]:
    """Return values that are equal where the stored ones are the same bit for bit, missing ones included."""
    if column.dtype == "boolean":
        return np.asarray(column.astype("Int64").fillna(-1), dtype=np.int64)
    values = np.asarray(column)
    return np.asarray(values.view(np.int64) if values.dtype == np.float64 else values, dtype=np.int64)


def _entry(entry: object, number: int) -> object:
    if isinstance(entry, Mapping):
        return next((entry[key] for key in _KEYS if isinstance(entry.get(key), str)), number)
    return number


def _short(value: object) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _notes(summaries: Sequence[Mapping[str, Any]], paths: Sequence[Path]) -> Iterator[str]:
    told = [summary.get("provenance") or {} for summary in summaries]
    versions = [each.get("versions") or {} for each in told]
    for name in sorted({*versions[0], *versions[1]}):
        pair = [str(each.get(name, "none")) for each in versions]
        if pair[0] != pair[1]:
            yield f"made with other versions of {name}: {', '.join(pair)}"
    commits = [str(each.get("git_commit")) for each in told]
    if commits[0] != commits[1]:
        told_short = [commit[:12] + "+" * commit.endswith("+") for commit in commits]
        yield f"made at other commits (+ for changed since): {', '.join(told_short)}"
    for path, each in zip(paths, told, strict=True):
        if each.get("reproducible") is False:
            why = ", ".join(each.get("not_reproducible") or ()) or "its tuning was shared or timed"
            yield f"{path} does not promise to be reproducible: {why}"
