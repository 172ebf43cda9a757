"""Vectors of one's own: how blocks are found, what is refused, and rows without families."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from llava_core.errors import InputError
from studies.catalog.probing.own_vectors import block_columns, families_of_twins, read_vectors


def test_lists_and_numbered_columns_are_blocks_in_the_order_of_the_file(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "id": ["a", "b"],
            "emb_10": [10.0, 10.5],
            "emb_2": [2.0, 2.5],
            "label": ["x", "y"],
            "late": [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]],
            "score": [0.1, 0.2],
        }
    )
    frame.to_parquet(tmp_path / "t.parquet")
    found = read_vectors(tmp_path / "t.parquet", apart=["label"])
    assert list(found.blocks) == ["emb", "late"]
    assert found.blocks["emb"].tolist() == [[2.0, 10.0], [2.5, 10.5]]
    assert found.blocks["late"].dtype == np.float32
    assert set(found.columns) == {"id", "label", "score"}
    assert found.ids is not None
    assert found.ids.tolist() == ["a", "b"]


def test_without_either_all_numeric_columns_are_one_block() -> None:
    frame = pd.DataFrame({"a": [1.0], "b": [2], "c": ["x"], "d": [True]})
    assert block_columns(frame) == {"columns": ["a", "b"]}
    assert block_columns(pd.DataFrame({"0": [1.0], "1": [2.0]})) == {"columns": ["0", "1"]}


def test_a_target_or_a_family_is_in_no_block(tmp_path: Path) -> None:
    pd.DataFrame({"a": [1.0, 2.0], "label": [0, 1], "fam": [3, 4]}).to_parquet(tmp_path / "t.parquet")
    found = read_vectors(tmp_path / "t.parquet", apart=["label", "fam"])
    assert found.blocks["columns"].tolist() == [[1.0], [2.0]]


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (np.zeros(3), r"got an array of shape \(3,\)"),
        (np.zeros((2, 0)), "got an array of shape"),
        (np.array([["a"]]), "allowed is .rows, dimensions. of numbers"),
        (np.array([[1.0], [np.nan]]), "record row 2"),
        (np.array([[1.0], [1e300]]), "record row 2"),
    ],
)
def test_arrays_that_are_no_vectors(array: np.ndarray, told: str, tmp_path: Path) -> None:
    np.save(tmp_path / "e.npy", array)
    with pytest.raises(InputError, match=told):
        read_vectors(tmp_path / "e.npy")


def test_an_array_of_objects_is_not_opened(tmp_path: Path) -> None:
    np.save(tmp_path / "e.npy", np.array([[1, None]], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="cannot be read as an array"):
        read_vectors(tmp_path / "e.npy")


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"v": [[1.0, 2.0], [1.0]]}, "record row 2, field v: got no list, or one of another length"),
        ({"v": [[1.0], None]}, "record row 2, field v"),
        ({"e_0": [1.0, None], "e_1": [1.0, 2.0]}, "record row 2, field e: got 1 rows"),
        ({"t": ["a", "b"]}, "got columns t, allowed is one of lists of numbers"),
        ({"id": ["a", "a"], "v": [[1.0], [2.0]]}, "got an id twice"),
    ],
)
def test_tables_that_hold_no_vectors(columns: dict[str, list[object]], told: str, tmp_path: Path) -> None:
    pd.DataFrame(columns).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(InputError, match=told):
        read_vectors(tmp_path / "t.parquet")


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "e.txt").write_text("1 2")
    with pytest.raises(InputError, match=r"allowed are \.npy, \.parquet"):
        read_vectors(tmp_path / "e.txt")


def test_rows_with_equal_vectors_in_any_block_are_a_family() -> None:
    first = np.array([[1.0], [1.0], [2.0], [3.0], [4.0]], dtype=np.float32)
    second = np.array([[1.0], [2.0], [2.0], [5.0], [6.0]], dtype=np.float32)
    family = families_of_twins([first, second])
    assert family[0] == family[1] == family[2]
    assert len(set(family.tolist())) == 3
    assert len(set(families_of_twins([first]).tolist())) == 4
