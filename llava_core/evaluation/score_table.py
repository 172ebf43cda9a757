"""Scores on ScienceQA as a page of 80 columns and as plain data.

Accuracies are per cent of the questions known to belong to a column; behind them stands how many those are.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from llava_core.evaluation.leaderboard import N_TEST, PUBLISHED
from llava_core.evaluation.scienceqa import COLUMNS, Column
from llava_core.evaluation.scoring import Score

_NAME = 26
_CELL = 6
_TOPIC = 36
_VERDICT = ("asked", "missing", "unparsed", "beyond", "guessed")


def score_lines(scores: Sequence[Score], *, with_topics: bool = False) -> list[str]:
    """Return the table of scores beside the published rows, lines of 80 signs at most.

    Parameters
    ----------
    scores : sequence of Score
        At least one.
    with_topics : bool
        Add the accuracy on each topic.
    """
    lenient = any(score.rule == "lenient" for score in scores)
    lines = [_line("accuracy, %, lenient" if lenient else "accuracy, %", COLUMNS)]
    before: list[tuple[int, int]] = []
    for score in scores:
        behind = [(column.n, column.n_unknown) for column in score.columns.values()]
        if before and behind != before:
            lines += _behind(before)
        lines.append(_line(_label(score), map(_percent, score.columns.values())))
        before = behind
    lines += _behind(before)
    notes = {
        f"{name}: {column.note}" for score in scores for name, column in score.columns.items() if column.note
    }
    lines += sorted(note for note in notes if note.startswith("TXT"))
    lines += ["", f"published, on the {N_TEST['Avg']} questions of the whole test part, %"]
    lines += [_line(row.name, (f"{value:.2f}" for value in row.accuracies)) for row in PUBLISHED]
    lines += ["", _line("answers", _VERDICT, width=10)]
    for score in scores:
        if score.rule == "stored":  # the same answers as in the line before
            continue
        counts = (score.n_asked, score.n_missing, score.n_unparsed, score.n_beyond, score.n_guessed)
        lines.append(_line(_label(score), map(str, counts), width=10))
        lines += [f"  {n:>6} {reason}" for reason, n in score.reasons.items()]
        if score.n_unknown:
            lines.append(f"  {score.n_unknown:>6} more, to questions that the data does not hold")
    if with_topics:
        for score in scores:
            lines += ["", f"{_label(score):<{_TOPIC}}{'accuracy, %':>12}{'questions':>12}"]
            lines += [f"{t:<{_TOPIC}}{_percent(c):>12}{c.n:>12}" for t, c in score.topics.items()]
            if not score.topics:
                lines.append("no question of the data tells its topic")
    return lines


def score_data(scores: Sequence[Score]) -> dict[str, Any]:
    """Return the same as plain data: unrounded, with the topics and the sources of the published rows."""
    return {
        "scores": [
            {
                "name": score.name,
                "rule": score.rule,
                "columns": {name: _column(column) for name, column in score.columns.items()},
                "topics": {name: _column(column) for name, column in score.topics.items()},
                "answers": {
                    "asked": score.n_asked,
                    "missing": score.n_missing,
                    "unparsed": score.n_unparsed,
                    "beyond": score.n_beyond,
                    "guessed": score.n_guessed,
                    "unknown_questions": score.n_unknown,
                    "reasons": dict(score.reasons),
                },
            }
            for score in scores
        ],
        "published": [
            {
                "name": row.name,
                "percent": dict(zip(COLUMNS, row.accuracies, strict=True)),
                "source": row.source,
            }
            for row in PUBLISHED
        ],
    }


def _label(score: Score) -> str:
    """Return the name of a line, shortened from its end to leave a space before the cells."""
    rule = ", stored" if score.rule == "stored" else ""
    room = _NAME - 1 - len(rule)
    return (score.name if len(score.name) <= room else f"{score.name[: room - 3]}...") + rule


def _line(name: str, cells: Iterable[str], *, width: int = _CELL) -> str:
    return f"{name:<{_NAME}}" + "".join(f"{cell:>{width}}" for cell in cells)


def _behind(counts: Sequence[tuple[int, int]]) -> list[str]:
    lines = [_line("  questions", (str(n) for n, _ in counts))]
    if any(unknown for _, unknown in counts):
        lines.append(_line("  not known whether", (str(unknown) for _, unknown in counts)))
    return lines


def _percent(column: Column) -> str:
    return "-" if column.accuracy is None else f"{100 * column.accuracy:.2f}"


def _column(column: Column) -> Mapping[str, Any]:
    return {
        "accuracy": column.accuracy,
        "credit": column.credit,
        "n": column.n,
        "n_unknown": column.n_unknown,
        "note": column.note,
    }
