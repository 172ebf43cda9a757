import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from llava_core.data.load import load_dataset
from studies.design import option_table

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def example() -> ModuleType:
    path = ROOT / "examples" / "own_questions.py"
    spec = importlib.util.spec_from_file_location("own_questions", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_both_files_hold_the_same_questions(example: ModuleType, tmp_path: Path) -> None:
    questions = example.draw_questions(60, seed=1)
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(question) + "\n" for question in questions))
    example.embed(questions, seed=1).to_parquet(tmp_path / "o.parquet")
    asked, embedded = load_dataset(tmp_path / "q.jsonl"), load_dataset(tmp_path / "o.parquet")

    def said(e: object) -> list[object]:
        return [getattr(e, name) for name in ("id", "question", "options", "answer", "group")]

    assert [said(e) for e in asked.examples] == [said(e) for e in embedded.examples]
    table = option_table(embedded.examples)
    assert table.blocks["embeddings"] == ["embeddings:embedding", "embeddings:n_letters"]
    assert np.stack(table.frame["embeddings:embedding"]).shape == (240, example.WIDTH)


def test_records_of_the_docs_are_read(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "your_own_data.md").read_text()
    question, options, *_ = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    (tmp_path / "q.jsonl").write_text(question)
    (tmp_path / "o.jsonl").write_text(options)
    (one,) = load_dataset(tmp_path / "q.jsonl").examples
    (two,) = load_dataset(tmp_path / "o.jsonl").examples
    assert (one.options, one.answer) == (two.options, two.answer) == (("tyre", "kettle"), 1)
    assert np.shape(two.extra["embedding"]) == (2, 3)
