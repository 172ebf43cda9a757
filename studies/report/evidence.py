"""The report's end: what the data held, what the audit found, questions won and lost, and provenance."""

from collections.abc import Mapping, Sequence
from typing import Any

from studies.report.leaderboard import View
from studies.report.names import labels

FIRST_EXAMPLES = 6
"""Questions shown at once on each side."""
MOST_EXAMPLES = 12
"""Questions in the page on each side, those that are folded away included."""


def data(summary: Mapping[str, Any]) -> View | None:
    """Return counts per split, and what is missing from them."""
    told = summary.get("data")
    if not told:
        return None
    splits = [
        {"name": name, **dict.fromkeys(("n_questions", "n_rows", "n_families", "n_with_image")), **counts}
        for name, counts in (told.get("splits") or {}).items()
    ]
    gaps = [
        {**gap, "share": gap["missing"] / gap["of"] if gap.get("of") else None, "note": gap.get("note") or ""}
        for gap in told.get("gaps") or ()
    ]
    return {
        "name": told.get("name"),
        "fingerprint": told.get("fingerprint"),
        "evaluated_on": told.get("evaluated_on"),
        "protocol": told.get("protocol"),
        "splits": splits,
        "gaps": gaps,
    }


def published(summary: Mapping[str, Any]) -> list[View]:
    """Files of published answers: how often each is right, as published and parsed strictly."""
    name_of = labels(summary)
    rows = []
    for file in summary.get("llm") or ():
        n = file["n"]
        rows.append(
            {
                **file,
                "columns": file.get("columns") or [],
                "label": name_of.get(file["name"], file["name"]),
                "share_as_published": file["right_as_published"] / n if n else None,
                "share_strict": file["right_strict"] / n if n else None,
            }
        )
    return rows


def audit(summary: Mapping[str, Any]) -> list[View]:
    """Return the checks, failures first."""
    checks = (summary.get("audit") or {}).get("checks") or ()
    order = {"fail": 0, "reported": 1, "pass": 2}
    rows = [{**dict.fromkeys(("found", "detail")), **check} for check in checks]
    return sorted(rows, key=lambda check: order.get(check["status"], 1))


def examples(summary: Mapping[str, Any], thumbnails: Mapping[str, str]) -> list[View]:
    """Two groups of cards, won and lost, each option with who chose it."""
    told, name_of = summary.get("examples") or {}, labels(summary)
    titles = (
        ("won", "Won", "right where the other is wrong"),
        ("lost", "Lost", "wrong where the other is right"),
    )
    groups = []
    for key, title, meaning in titles:
        cards = [_card(example, name_of, thumbnails) for example in (told.get(key) or ())[:MOST_EXAMPLES]]
        if cards:
            groups.append(
                {
                    "key": key,
                    "title": title,
                    "meaning": meaning,
                    "cards": cards[:FIRST_EXAMPLES],
                    "more": cards[FIRST_EXAMPLES:],
                }
            )
    return groups


SHORTEST_STEP_S = 1.0
"""Kinds of steps that took less are not listed."""
STEP_LABELS = {
    "data": "Draw the bundled data",
    "checkpoint": "Train LLaVA, both stages",
    "features": "Extract features",
    "tune": "Tune the members",
    "encode": "Encode all rows",
    "fit": "Fit and predict",
    "oof": "Predict out of fold",
    "llava_variants": "Score LLaVA's variants",
    "check": "Checks",
    "train": "Train variants of LLaVA",
    "answer": "Answer the questions",
    "probe": "Fit and judge probes",
    "place": "Find the device of LLaVA",
}


def provenance(summary: Mapping[str, Any]) -> View | None:
    """Command, versions, seed, machine and hashes."""
    told = summary.get("provenance")
    if not told:
        return None
    plain = ("command", "seed", "started", "seconds", "peak_rss_bytes", "announced_bytes", "git_commit")
    known = (*plain, "step_seconds", "versions", "machine")
    steps = told.get("step_seconds") or {}
    return {
        **{key: told.get(key) for key in plain},
        "steps": [
            {"label": STEP_LABELS.get(kind, kind), "seconds": seconds}
            for kind, seconds in sorted(steps.items(), key=lambda item: -item[1])
            if seconds >= SHORTEST_STEP_S
        ],
        "all_steps_s": sum(steps.values()),
        "versions": list((told.get("versions") or {}).items()),
        "machine": list((told.get("machine") or {}).items()),
        "further": [(key, value) for key, value in told.items() if key not in known],
    }


def _card(example: Mapping[str, Any], name_of: Mapping[str, str], thumbnails: Mapping[str, str]) -> View:
    method, rival = example.get("method"), example.get("rival")
    options: Sequence[str] = example["options"]
    return {
        "id": example["example_id"],
        "question": example["question"],
        "skill": example.get("skill"),
        "picture": thumbnails.get(example["example_id"]),
        "has_image": bool(example.get("image_path")),
        "unparsed": [
            name_of.get(name, name)
            for name, chosen in ((method, example.get("chosen")), (rival, example.get("rival_chosen")))
            if name and (chosen is None or not 0 <= chosen < len(options))
        ],
        "options": [
            {
                "letter": chr(ord("A") + index) if index < 26 else str(index + 1),
                "text": option,
                "right": index == example.get("answer"),
                "chosen_by": [
                    {"label": name_of.get(name, name), "role": role}
                    for name, chosen, role in (
                        (method, example.get("chosen"), "method"),
                        (rival, example.get("rival_chosen"), "rival"),
                    )
                    if name and chosen == index
                ],
            }
            for index, option in enumerate(options)
        ],
    }
