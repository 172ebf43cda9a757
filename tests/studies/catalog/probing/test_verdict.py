"""What the verdict of a probing run says, of cells made by hand."""

from typing import Any

import pytest

from studies.catalog.probing.verdict import verdict

DATA = {"unit": "rows", "split": "family", "has_families": True}
TARGET = {
    "name": "kind", "label": "Kind", "chance": 0.5, "n_test": 1200, "n_families_test": 300,
    "n_test_unseen": 0, "memory_frac": 0.9,
}  # fmt: skip


def estimate(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.05, "high": value + 0.05}


def told(scores: dict[str, float], target: dict[str, object] | None = None, **data: object) -> dict[str, Any]:
    """Return the verdict on stages with these scores of one probe."""
    cells = [
        {
            "target": "kind",
            "stage": stage,
            "probe": "linear",
            "status": "ok",
            "score": estimate(score),
            "selectivity": {"difference": estimate(0.2)},
        }
        for stage, score in scores.items()
    ]
    stages = [{"name": stage, "label": stage.upper()} for stage in scores]
    return verdict({**DATA, **data}, stages, [{**TARGET, **(target or {})}], cells, [], level=0.95)


def test_the_best_of_several_stages_is_told_as_picked_on_what_is_scored() -> None:
    found = told({"early": 0.6, "late": 0.7})
    assert found["sentence"] == (
        "Kind: the linear probe reads most, of 2 stages, at 'LATE', 70.0 % [65.0, 75.0], chance 50.0 % "
        "(1,200 rows of 300 families)."
    )
    (detail,) = found["details"]
    assert "picked on the rows that its score rests on" in detail


def test_one_stage_is_not_called_the_best() -> None:
    found = told({"late": 0.7})
    assert found["sentence"].startswith("Kind: the linear probe reads at 'LATE', 70.0 %")
    assert found["details"] == []


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"has_families": False}, "shows neither in the score nor in the selectivity"),
        ({"split": "random"}, "Families straddle this split"),
        (
            {"target": {"memory_frac": 0.12}},
            "Kind: 12 % of the rows that selectivity is scored on have a family",
        ),
        (
            {"target": {"n_test_unseen": 7}},
            "Kind: 7 of the rows scored are of classes that no one learned from has",
        ),
    ],
)
def test_what_flatters_or_hides_is_told(change: dict[str, Any], part: str) -> None:
    (detail,) = told({"late": 0.7}, **change)["details"]
    assert part in detail
