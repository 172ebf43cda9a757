from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from llava_core.errors import InputError
from studies.predictions import (
    PREDICTION_COLUMNS,
    build_predictions,
    check_predictions,
    read_predictions,
    shares,
    write_predictions,
)

IDS, INDEX, Y = ["a", "a", "b", "b", "b"], [0, 1, 0, 1, 2], [0, 1, 1, 0, 0]


def table(**changes: object) -> pd.DataFrame:
    frame = build_predictions("m", example_ids=IDS, option_index=INDEX, y=Y, prob=[0.2, 0.8, 0.4, 0.4, 0.2])
    return frame.assign(**changes)


def test_ties_share_the_choice() -> None:
    frame = table()
    assert tuple(frame.columns) == PREDICTION_COLUMNS
    assert frame["chosen"].tolist() == [0, 1, 0.5, 0.5, 0]
    assert frame["correct"].tolist() == [False, True, True, False, False]


def test_shares_do_not_depend_on_row_order() -> None:
    rng = np.random.default_rng(0)
    questions, prob = np.repeat(np.arange(50), 4), rng.integers(0, 4, 200) / 4
    order = rng.permutation(200)
    assert np.array_equal(shares(prob, questions)[order], shares(prob[order], questions[order]))
    assert np.allclose(np.bincount(questions, weights=shares(prob, questions)), 1)


def test_a_method_that_only_chooses_has_no_probability() -> None:
    frame = build_predictions("llm:x", example_ids=IDS, option_index=INDEX, y=Y, chosen=[0, 0, 1, 0, 0])
    assert frame["prob"].isna().all()
    assert frame.groupby("example_id")["chosen"].sum().tolist() == [0, 1]


def test_unlabelled_questions_are_neither_right_nor_wrong() -> None:
    frame = build_predictions("m", example_ids=IDS, option_index=INDEX, y=[-1] * 5, prob=[0.5, 0.5, 1, 0, 0])
    assert frame["correct"].isna().all()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"option_index": np.array([0, 0, 0, 1, 2], dtype=np.int16)}, "an option twice"),
        ({"prob": [0.2, 0.7, 0.4, 0.4, 0.2]}, "do not sum to 1"),
        ({"prob": [1.0, np.nan, 0.4, 0.4, 0.2]}, "some options only"),
        ({"prob": [1.5, -0.5, 0.4, 0.4, 0.2]}, "outside 0 and 1"),
        ({"chosen": [1.0, 1.0, 0.5, 0.5, 0]}, "neither 0 nor 1"),
        ({"correct": pd.array([True, True, True, False, False], dtype="boolean")}, "not one right option"),
    ],
)
def test_a_broken_table_is_refused(changes: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        check_predictions(table(**changes))


def test_prob_and_chosen_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="exactly one"):
        build_predictions("m", example_ids=IDS, option_index=INDEX, y=Y)


def test_the_file_gives_back_the_table(tmp_path: Path) -> None:
    frame = pd.concat([table(), table().assign(method="other")], ignore_index=True)
    path = write_predictions(frame, tmp_path / "deep" / "p.parquet")
    pd.testing.assert_frame_equal(read_predictions(path), frame)
    assert [file.name for file in path.parent.iterdir()] == ["p.parquet"]


def test_another_file_is_told_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such"):
        read_predictions(tmp_path / "p.parquet")
    (tmp_path / "p.parquet").write_text("text")
    with pytest.raises(InputError, match=r"p\.parquet"):
        read_predictions(tmp_path / "p.parquet")
    pd.DataFrame({"x": [1]}).to_parquet(tmp_path / "p.parquet")
    with pytest.raises(InputError, match="expected"):
        read_predictions(tmp_path / "p.parquet")
