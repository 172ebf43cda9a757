"""The questions that a run is scored on, by id and family: what a comparison of runs pairs them by [edge].

No text of a question is written: data sets have licences of their own. A family is a digest of its name, the
same in every run on the same data.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from llava_core.data.example import Example
from llava_core.data.parquet_file import reading_parquet
from llava_core.errors import InputError
from studies.files import write_parquet

COLUMNS = ("example_id", "family", "n_options", "has_image", "subject", "skill")


def question_table(examples: Sequence[Example]) -> pd.DataFrame:
    """Return a row per question."""
    return pd.DataFrame(
        {
            "example_id": [example.id for example in examples],
            "family": [hashlib.sha256(example.group.encode()).hexdigest()[:16] for example in examples],
            "n_options": [len(example.options) for example in examples],
            "has_image": [example.has_image for example in examples],
            "subject": [example.subject for example in examples],
            "skill": [example.skill for example in examples],
        }
    ).astype({"example_id": "str", "family": "str", "subject": "str", "skill": "str"})


def write_questions(examples: Sequence[Example], path: Path) -> Path:
    """Write the table as parquet, whole or not at all."""
    return write_parquet(path, question_table(examples))


def read_questions(path: Path) -> pd.DataFrame | None:
    """Read the table; None where a run, of an earlier version, has none.

    Raises
    ------
    InputError
        If the file is no such table.
    """
    if not path.exists():
        return None
    with reading_parquet(path):
        frame = pd.read_parquet(path)
    if tuple(frame.columns) != COLUMNS or frame["example_id"].duplicated().any():
        raise InputError(
            f"got columns {', '.join(map(str, frame.columns))}, allowed are {', '.join(COLUMNS)}",
            path=path,
        )
    return frame
