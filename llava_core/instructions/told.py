"""A summary in words and figures, for the terminal and the page; rounding is done here."""

from collections.abc import Mapping
from typing import Any

N_FREQUENT = 8


def figures(summary: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """Return rows of a table: what is counted, and the figure of each kind."""
    kinds = list(summary["kinds"].values())
    found = [kind["statistics"] for kind in kinds]
    return [
        ("asked", [f"{kind['asked']:,}" for kind in kinds]),
        ("records", [f"{kind['read']:,}" for kind in kinds]),
        ("malformed, set aside", [f"{kind['malformed']:,}" for kind in kinds]),
        ("failed, set aside", [f"{kind['failed']:,}" for kind in kinds]),
        ("unasked", [f"{kind['unasked']:,}" for kind in kinds]),
        ("questions per record", [_mean(each["turns"]) for each in found]),
        ("words per question", [_mean(each["questions"]["words"]) for each in found]),
        ("words per answer", [_mean(each["answers"]["words"]) for each in found]),
        ("different questions", [_percent(each["questions"]["different_frac"]) for each in found]),
        ("questions: distinct-1", [_share(each["questions"]["distinct_1"]) for each in found]),
        ("questions: distinct-2", [_share(each["questions"]["distinct_2"]) for each in found]),
        ("questions: self-similarity", [_share(each["questions"]["self_similarity"]) for each in found]),
        ("answers: distinct-1", [_share(each["answers"]["distinct_1"]) for each in found]),
        ("answers: distinct-2", [_share(each["answers"]["distinct_2"]) for each in found]),
        ("answers: self-similarity", [_share(each["answers"]["self_similarity"]) for each in found]),
        ("image before the words", [_percent(each["image_first_frac"]) for each in found]),
    ]


def frequent(summary: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return (kind, what, list of the most frequent) of the questions that a language model wrote."""
    rows = []
    for name, kind in summary["kinds"].items():
        found = kind["statistics"]
        n_questions = found["questions"]["n"]
        # Questions of detailed descriptions are drawn from a list; their words say nothing.
        if n_questions and name != "detail":
            rows += [
                (name, what, _most(found[f"question_{what}"], n_questions))
                for what in ("openings", "verbs", "nouns")
            ]
    return rows


def reasons(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (kind, why replies were set aside and how often)."""
    return [
        (name, ", ".join(f"{why} ({n:,})" for why, n in kind["set_aside_by_reason"].items()))
        for name, kind in summary["kinds"].items()
        if kind["set_aside_by_reason"]
    ]


def _most(counts: Mapping[str, int], n: int) -> str:
    top = list(counts.items())[:N_FREQUENT]
    return ", ".join(f"{word} {100 * count / n:.0f}%" for word, count in top)


def _mean(found: Mapping[str, float] | None) -> str:
    return "-" if found is None else f"{found['mean']:.1f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.0f}%"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
