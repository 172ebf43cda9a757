from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from llava_core.data.example import Example
from llava_core.errors import InputError
from studies.catalog.questions import read_questions, write_questions


def test_families_come_back_as_they_were_apart_and_no_text_is_written(
    make_example: Callable[..., Example], tmp_path: Path
) -> None:
    examples = [make_example(f"q{i}", group=f"which is red {i // 2}", subject="natural") for i in range(6)]
    frame = read_questions(write_questions(examples, tmp_path / "q.parquet"))
    assert frame is not None
    assert frame["example_id"].tolist() == [f"q{i}" for i in range(6)]
    assert [frame["family"].tolist().index(family) // 2 for family in frame["family"]] == [0, 0, 1, 1, 2, 2]
    assert not frame.astype(str).apply(lambda column: column.str.contains("which|red")).any().any()


def test_an_earlier_run_has_none_and_another_table_is_refused(tmp_path: Path) -> None:
    assert read_questions(tmp_path / "absent.parquet") is None
    pd.DataFrame({"example_id": ["a"]}).to_parquet(tmp_path / "q.parquet")
    with pytest.raises(InputError, match="got columns example_id, allowed are example_id, family"):
        read_questions(tmp_path / "q.parquet")
    (tmp_path / "torn.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match="cannot be read as parquet"):
        read_questions(tmp_path / "torn.parquet")
