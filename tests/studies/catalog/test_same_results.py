"""What counts as a difference between two runs, on planted ones."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from studies.catalog.same_results import ASIDE, compare_results, different_fields, different_predictions
from studies.predictions import build_predictions, write_predictions
from studies.rundir import RunDir

SUMMARY: dict[str, Any] = {
    "schema_version": 1,
    "methods": [
        {"name": "xgboost", "accuracy": {"value": 0.5}, "fit_s": 1.0},
        {"name": "stacking", "accuracy": {"value": 0.6}, "fit_s": 2.0},
    ],
    "cost_fronts": [{"cost": "fit_s", "points": [{"method": "xgboost", "cost": 1.0, "on_front": True}]}],
    "llava": {"stages": [{"name": "align", "seconds": 3.0, "loss": [[1, 0.25]]}]},
    "provenance": {"seed": 0, "seconds": 4.0, "command": "studies run", "machine": {"cores": 2}},
}


def table(prob: float = 0.25) -> pd.DataFrame:
    parts = [
        build_predictions(
            name,
            example_ids=["q0", "q0", "q1", "q1"],
            option_index=[0, 1, 0, 1],
            y=[1, 0, -1, -1],
            **({"prob": [prob, 1 - prob, 0.5, 0.5]} if name == "xgboost" else {"chosen": [1, 0, 0, 1]}),
        )
        for name in ("xgboost", "llm")
    ]
    return pd.concat(parts, ignore_index=True)


def test_equal_tables_have_no_difference() -> None:
    assert different_predictions(table(), table()) == []


def test_a_difference_in_the_last_bit_is_found() -> None:
    next_one = float(np.nextafter(0.25, 1))
    assert different_predictions(table(), table(next_one)) == [
        f"method xgboost, question q0, option 0, field prob: 0.25, {next_one}"
    ]


def test_further_rows_are_counted() -> None:
    (told,) = different_predictions(table(), table(0.2))
    assert told == "method xgboost, question q0, option 0, field prob: 0.25, 0.2 (and 1 more rows)"


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("fold", 3, "method llm, question q1, option 1, field fold: -1, 3"),
        ("prob", 0.5, "method llm, question q1, option 1, field prob: nan, 0.5"),
        ("chosen", 0.5, "method llm, question q1, option 1, field chosen: 1.0, 0.5"),
        ("correct", True, "method llm, question q1, option 1, field correct: <NA>, True"),
        ("example_id", "q9", "method llm, question q9: only in the second run"),
        ("option_index", 5, "method llm, the same questions with other options, seeds or in another order"),
        ("seed", 5, "method llm, the same questions with other options, seeds or in another order"),
    ],
)
def test_every_column_counts(column: str, value: object, told: str) -> None:
    other = table()
    other.loc[7, column] = value
    assert different_predictions(table(), other) == [told]


def test_methods_that_one_run_lacks_and_another_order_are_told() -> None:
    whole = table()
    less = whole[whole["method"] == "llm"].reset_index(drop=True)
    assert different_predictions(whole, less) == ["method xgboost: only in the first run"]
    assert different_predictions(less, whole) == ["method xgboost: only in the second run"]
    turned = pd.concat([whole[4:], whole[:4]], ignore_index=True)
    assert different_predictions(whole, turned) == ["the methods stand in another order"]
    mixed = whole.iloc[[0, 4, 1, 2, 3, 5, 6, 7]].reset_index(drop=True)
    assert different_predictions(whole, mixed) == ["the rows of the methods are mixed in another order"]


def test_times_machine_and_command_are_aside() -> None:
    other = deepcopy(SUMMARY)
    other["methods"][0]["fit_s"] = 9.0
    other["cost_fronts"][0]["points"][0] = {"method": "xgboost", "cost": 9.0, "on_front": False}
    other["llava"]["stages"][0]["seconds"] = 9.0
    other["provenance"] |= {"seconds": 9.0, "command": "studies run --resume", "machine": {"cores": 64}}
    assert list(different_fields(SUMMARY, other)) == []
    assert {"seed", "accuracy", "loss", "schema_version"}.isdisjoint(ASIDE)


def test_fields_are_told_by_the_name_of_their_entry() -> None:
    other = deepcopy(SUMMARY)
    other["methods"][1]["accuracy"]["value"] = 0.7
    other["llava"]["stages"][0]["loss"][0][1] = 0.5
    other["provenance"]["seed"] = 1
    other["new"] = True
    assert list(different_fields(SUMMARY, other)) == [
        "methods[stacking].accuracy.value: 0.6, 0.7",
        "llava.stages[align].loss[0][1]: 0.25, 0.5",
        "provenance.seed: 0, 1",
        "new: only in the second run",
    ]


def test_a_study_without_predictions_is_compared_by_its_summary(tmp_path: Path) -> None:
    for name, value in (("a", 1), ("b", 1), ("c", 2)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "summary.json").write_text(json.dumps({"schema_version": 1, "value": value}))
        RunDir(path=tmp_path / name).finish({})
    assert compare_results(tmp_path / "a", tmp_path / "b").differences == ()
    assert compare_results(tmp_path / "a", tmp_path / "c").differences == ("summary.json, value: 1, 2",)
    write_predictions(table(), tmp_path / "c" / "predictions.parquet")
    RunDir(path=tmp_path / "c").finish({})
    assert compare_results(tmp_path / "a", tmp_path / "c").differences == (
        "predictions.parquet, method xgboost: only in the second run",
        "predictions.parquet, method llm: only in the second run",
        "summary.json, value: 1, 2",
    )


def test_true_is_not_one() -> None:
    assert list(different_fields({"a": True}, {"a": 1})) == ["a: True, 1"]
    assert list(different_fields({"a": [1]}, {"a": [1, 2]})) == ["a: 1 entries, 2 entries"]
