"""Which questions are hard: usable information per item, by stage and slice, and the hardest as cards."""

from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

from studies.report.geometry import Axis, interval_mark, spanning_axis, ticks
from studies.report.leaderboard import View
from studies.report.probing_grid import cells_of, is_ok, numbered

FIRST_ITEMS = 3
"""Cards shown at once; the others of a target are folded away."""


def hard_items(summary: Mapping[str, Any], thumbnails: Mapping[str, str]) -> list[View]:
    """One view per target that has items: where usable information lies, and the cards.

    Parameters
    ----------
    summary : mapping
    thumbnails : mapping
        Example id to ``data:`` URI.
    """
    probe_of = {probe["name"]: probe["label"] for probe in summary["probes"]}
    views = []
    for target in summary["targets"]:
        told = (summary.get("hard") or {}).get(target["name"])
        if not told:
            continue
        cards = _cards(told, summary, thumbnails)
        views.append(
            {
                "label": target["label"],
                "name": target["name"],
                "probe": probe_of.get(told["probe"], told["probe"]),
                "n": told["n"],
                "entropy_bits": target["entropy_bits"],
                "fraction_negative": told["fraction_negative"],
                "spread": _spread(told["quantiles"]),
                "stages": _by_stage(summary, target["name"], told["probe"]),
                "slices": _by_slice(told["by_slice"]),
                "cards": cards[:FIRST_ITEMS],
                "more": cards[FIRST_ITEMS:],
            }
        )
    return views


def pictured(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return id and path of the picture of every card that has one, the hardest of all targets first."""
    cards = [told["items"] for told in (summary.get("hard") or {}).values() if told]
    return [
        (item["example_id"], item["image"])
        for together in zip_longest(*cards)
        for item in together
        if item and item["image"]
    ]


def _spread(quantiles: Mapping[str, float]) -> View:
    """Places of the quantiles on an axis that holds zero."""
    shares = sorted(quantiles, key=float)
    axis = spanning_axis([0.0, *quantiles.values()])
    at = [axis.position(quantiles[share]) for share in shares]
    return {
        "quantiles": [
            {"percent": float(share), "bits": quantiles[share], "at": place}
            for share, place in zip(shares, at, strict=True)
        ],
        "outer": {"at": at[0], "width": round(at[-1] - at[0], 2)},
        "inner": {"at": at[len(at) // 4], "width": round(at[-1 - len(at) // 4] - at[len(at) // 4], 2)},
        "middle_at": at[len(at) // 2],
        "zero_at": axis.position(0.0),
        "ticks": ticks(axis),
    }


def _by_stage(summary: Mapping[str, Any], target: str, probe: str) -> View | None:
    """Mean usable bits of the probe that judged, by stage."""
    found = cells_of(summary, target)
    rows = [
        {**stage, "bits": cell["usable_bits"]}
        for stage in numbered(summary["stages"])
        if is_ok(cell := found.get((stage["name"], probe))) and cell is not None and cell["usable_bits"]
    ]
    return _marked(rows) if rows else None


def _by_slice(rows: list[Mapping[str, Any]]) -> View | None:
    """Slices of all dimensions on one axis, as they come."""
    return _marked([dict(row) for row in rows]) if rows else None


def _marked(rows: list[View]) -> View:
    axis = spanning_axis([0.0, *(row["bits"][end] for row in rows for end in ("low", "high"))])
    return {
        "rows": [{**row, "mark": interval_mark(row["bits"], axis)} for row in rows],
        "zero_at": axis.position(0.0),
        "ticks": ticks(axis),
    }


def _cards(told: Mapping[str, Any], summary: Mapping[str, Any], thumbnails: Mapping[str, str]) -> list[View]:
    number_of = {stage["name"]: stage for stage in numbered(summary["stages"])}
    every = [bits for item in told["items"] for bits in item["bits"].values()]
    axis = spanning_axis([0.0, *every])
    return [
        {
            "id": item["example_id"],
            "question": item["question"],
            "label": item["label"],
            "picture": thumbnails.get(item["example_id"]),
            "has_image": bool(item["image"]),
            "options": [
                {"letter": _letter(place), "text": text, "right": place == item["answer"]}
                for place, text in enumerate(item["options"] or ())
            ],
            "bits": [
                {
                    "number": number_of[stage]["number"],
                    "label": number_of[stage]["label"],
                    "bits": bits,
                    **_bar(bits, axis),
                }
                for stage, bits in item["bits"].items()
            ],
            "zero_at": axis.position(0.0),
        }
        for item in told["items"]
    ]


def _bar(bits: float, axis: Axis) -> View:
    """Places of a bar from zero to the value."""
    low, high = sorted((axis.position(bits), axis.position(0.0)))
    return {"at": low, "width": round(high - low, 2)}


def _letter(place: int) -> str:
    return chr(ord("A") + place) if place < 26 else str(place + 1)
