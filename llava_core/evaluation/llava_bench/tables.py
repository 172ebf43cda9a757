"""Tables of a summary, for the terminal and as Markdown; all numbers are rounded here and nowhere else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SETS = {"coco": "LLaVA-Bench (COCO)", "wild": "LLaVA-Bench (In-the-Wild)", None: "LLaVA-Bench"}
_WHICH = (
    "relative: 100 x sum of the candidate's scores / sum of the reference's, the figure that papers report. "
    "reference, candidate: the judge's mean scores. failed: replies without two scores, "
)
_KEPT = {False: "left out.", True: "kept as -1 for both answers, as the published script does."}


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A table of texts; the first column is words, the others are numbers."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def tables(summary: Mapping[str, Any]) -> list[Table]:
    """Return the tables of a summary of `summarise`, in the order they are read."""
    found: list[Table] = []
    several = len(summary["candidates"]) > 1
    for number, candidate in enumerate(summary["candidates"], start=1):
        place = SETS[candidate["set"]] + (f", candidate {number}" if several else "")
        judge = f", judge {candidate['judge']}" if candidate["judge"] else ""
        for run in candidate["runs"]:
            found.append(_run(run, f"{place}: {run['name']}{judge}"))
            if run["position_bias"]:
                found.append(_orders(run))
        if candidate["mean"]:
            found.append(
                _mean(candidate["mean"], f"{place}: mean of the {len(candidate['runs'])} runs above")
            )
    found += [_difference(each) for each in summary["differences"]]
    found[-1] = _with_notes(
        found[-1],
        (
            _WHICH + _KEPT[summary["failures_as_minus_one"]],
            f"Intervals are 95 % bootstrap intervals over {summary['resampled']}.",
        ),
    )
    ours = any(candidate["own_wording"] for candidate in summary["candidates"])
    found += [_published(SETS[name], rows, ours=ours) for name, rows in summary["published"].items()]
    return found


def as_markdown(shown: Sequence[Table]) -> str:
    """Return tables as Markdown."""
    parts = []
    for table in shown:
        line = "| " + " | ".join(["---"] + ["---:"] * (len(table.header) - 1)) + " |"
        rows = ["| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in table.rows]
        head = "| " + " | ".join(table.header) + " |"
        parts.append("\n".join([f"**{table.title}**", "", head, line, *rows]))
        parts += table.notes
    return "\n\n".join(parts) + "\n"


def _run(run: Mapping[str, Any], title: str) -> Table:
    rows = tuple(
        (
            category, _figure(score["relative"]), _interval(score["relative"]),
            _number(score["reference_mean"], 2), _number(score["candidate_mean"], 2),
            str(score["n"]), str(score["n_failed"]),
        )
        for category, score in run["scores"].items()
    )  # fmt: skip
    header = ("category", "relative", "95 % interval", "reference", "candidate", "n", "failed")
    notes = (f"{run['n_missing']} questions have no review.",) if run["n_missing"] else ()
    return Table(title=title, header=header, rows=rows, notes=notes)


def _mean(mean: Mapping[str, Any], title: str) -> Table:
    rows = tuple(
        (
            category, _figure(score["relative"]), _interval(score["relative"]), _number(score["spread"], 2),
            _number(score["lowest"]), _number(score["highest"]),
        )
        for category, score in mean.items()
    )  # fmt: skip
    header = ("category", "mean", "95 % interval", "sd of runs", "lowest", "highest")
    return Table(title=title, header=header, rows=rows)


def _difference(difference: Mapping[str, Any]) -> Table:
    rows = tuple(
        (category, _number(points["value"] if points else None, sign="+"), _interval(points))
        for category, points in difference["scores"].items()
    )
    return Table(
        title=f"Candidate {difference['candidate']} less candidate {difference['to']}, on the same questions",
        header=("category", "points", "95 % interval"), rows=rows,
    )  # fmt: skip


def _orders(run: Mapping[str, Any]) -> Table:
    rows = tuple(
        (
            category, _figure(run["scores"].get(category, {}).get("relative")),
            _figure(run["candidate_first"][category]["relative"]), _figure(both["relative"]),
            _interval(both["relative"]), str(both["n"]), str(both["n_failed"]),
        )
        for category, both in run["both_orders"].items()
    )  # fmt: skip
    header = ("category", "ref. first", "cand. first", "both", "95 % interval", "n", "failed")
    bias = run["position_bias"]
    lead, flipped, tie = bias["first_minus_second"], bias["flipped"], bias["to_or_from_tie"]
    notes = (
        f"Answer shown first less the one shown second: {lead['value']:+.2f} {_interval(lead, 2)} points.",
        f"Verdict turned round by the order: {_figure(_percent(flipped))} % {_interval(_percent(flipped))} "
        f"of {bias['n']} questions; to or from a tie: {_figure(_percent(tie))} % {_interval(_percent(tie))}.",
    )
    return Table(title=f"Both orders of the answers: {run['name']}", header=header, rows=rows, notes=notes)


def _published(place: str, rows: Sequence[Mapping[str, Any]], *, ours: bool) -> Table:
    sources = list(dict.fromkeys(row["source"] for row in rows))
    cells = []
    for row in rows:
        spreads = row["spreads"] or (None,) * len(row["scores"])
        numbers = (
            _number(score) + (f" +-{spread:.1f}" if spread is not None else "")
            for score, spread in zip(row["scores"], spreads, strict=True)
        )
        cells.append((row["name"], *numbers, str(sources.index(row["source"]) + 1)))
    notes = [f"{number}: {source}." for number, source in enumerate(sources, start=1)]
    notes.append(
        "Their judge was gpt-4-0314 with the published wording. "
        + ("Reviews above have another wording, so their figures are not comparable." if ours else "")
    )
    return Table(
        title=f"Published, {place}", header=("model", "conv", "detail", "complex", "all", "source"),
        rows=tuple(cells), notes=tuple(note.strip() for note in notes),
    )  # fmt: skip


def _with_notes(table: Table, notes: tuple[str, ...]) -> Table:
    return Table(title=table.title, header=table.header, rows=table.rows, notes=(*table.notes, *notes))


def _percent(share: Mapping[str, Any]) -> dict[str, Any]:
    return {name: 100 * share[name] if share[name] is not None else None for name in ("value", "low", "high")}


def _figure(estimate: Mapping[str, Any] | None) -> str:
    return _number(estimate["value"] if estimate else None)


def _interval(estimate: Mapping[str, Any] | None, digits: int = 1) -> str:
    if estimate is None or estimate["low"] is None:
        return "-"
    return f"[{estimate['low']:.{digits}f}, {estimate['high']:.{digits}f}]"


def _number(value: float | None, digits: int = 1, *, sign: str = "") -> str:
    return "-" if value is None else f"{value:{sign}.{digits}f}"
