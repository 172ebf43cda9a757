"""Files of labels, and how they meet the rows that they belong to."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from llava_core.errors import InputError
from studies.catalog.probing.labels import as_labels, laid_out, read_labels


def write(path: Path, **columns: object) -> Path:
    frame = pd.DataFrame(columns)
    frame.to_csv(path, index=False) if path.suffix == ".csv" else frame.to_parquet(path)
    return path


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_labels_are_joined_by_id_in_whatever_order(suffix: str, tmp_path: Path) -> None:
    file = write(tmp_path / f"l{suffix}", id=["b", "a", "x"], kind=["two", "one", "other"])
    labels = read_labels(str(file))
    assert labels.name == "kind"
    assert laid_out(labels, ["a", "b", "c"], n_items=3).tolist() == ["one", "two", ""]


def test_a_column_is_chosen_behind_a_colon(tmp_path: Path) -> None:
    file = write(tmp_path / "l.csv", kind=["k", "m"], family=[1, 2])
    assert read_labels(f"{file}:family").values.tolist() == ["1", "2"]
    with pytest.raises(InputError, match=r"got columns kind, family, allowed is one beside the id"):
        read_labels(str(file))
    with pytest.raises(InputError, match=r"got column 'hue', allowed are kind, family"):
        read_labels(f"{file}:hue")


def test_an_array_is_taken_in_row_order(tmp_path: Path) -> None:
    np.save(tmp_path / "l.npy", np.array([1, 0, 1]))
    labels = read_labels(str(tmp_path / "l.npy"))
    assert laid_out(labels, None, n_items=3).tolist() == ["1", "0", "1"]
    with pytest.raises(InputError, match="got 3 labels, allowed are 4, one per row"):
        laid_out(labels, None, n_items=4)


def test_an_empty_cell_is_no_label_and_the_word_none_is_one(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("id,kind\na,\nb,None\nc,NA\n")
    assert read_labels(str(tmp_path / "l.csv")).values.tolist() == ["", "None", "NA"]


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([1.0, 2.0, None], ["1", "2", ""]),
        ([True, False, None], ["True", "False", ""]),
        (pd.Categorical(["a", None, "b"]), ["a", "", "b"]),
    ],
)
def test_whole_numbers_and_truths_are_labels(values: object, found: list[str]) -> None:
    assert as_labels(pd.Series(values), path=Path("t")).tolist() == found


@pytest.mark.parametrize("values", [[0.5, 1.5], [[1, 2], [3, 4]], [np.inf, 1.0]])
def test_what_was_measured_is_no_label(values: list[object]) -> None:
    with pytest.raises(InputError, match="allowed are"):
        as_labels(pd.Series(values), path=Path("t"), field="x")


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"", "cannot be read"), (b"id,kind\n", "holds no rows"), (b"\xff\xfe\x00", "cannot be read")],
)
def test_a_broken_table_is_told(content: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_bytes(content)
    with pytest.raises(InputError, match=told):
        read_labels(str(tmp_path / "l.csv"))


def test_an_array_of_objects_is_not_opened(tmp_path: Path) -> None:
    np.save(tmp_path / "l.npy", np.array(["a", None], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="cannot be read as an array"):
        read_labels(str(tmp_path / "l.npy"))


def test_ids_that_stand_twice_or_nowhere(tmp_path: Path) -> None:
    labels = read_labels(str(write(tmp_path / "l.csv", id=["a", "a"], kind=["k", "m"])))
    with pytest.raises(InputError, match="got id a twice"):
        laid_out(labels, ["a"], n_items=1)
    labels = read_labels(str(write(tmp_path / "m.csv", id=["x"], kind=["k"])))
    with pytest.raises(InputError, match="no id is that of a row"):
        laid_out(labels, ["a"], n_items=1)
