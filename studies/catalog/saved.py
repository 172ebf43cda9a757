"""A fitted method on disk: ``models/NAME/`` holds the estimator and what has to stand before it [edge].

``method.json`` is written last, so a folder without it is no method.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ensembles.choice import question_probabilities
from ensembles.persist import load_model, save_model
from llava_core.data.json_file import read_json_object
from llava_core.errors import InputError, shown
from studies.files import write_json

MODELS, MODEL_FILE, METHOD_FILE = "models", "model", "method.json"
ENCODER = "encoder"
"""The encoder that the members of the ladder share."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Needs:
    """What a method needs to see."""

    columns: tuple[int, ...] | None = None
    """Columns of the shared encoder's matrix; None where the estimator carries an encoder of its own."""
    captions: bool = True
    """Whether captions are shown; the bundled data withholds them."""
    store: str | None = None
    """`FeatureStore.origin` of the features that are read; None for none."""
    answers: tuple[str, ...] = ()
    """Published answers by file stem."""
    members: tuple[str, ...] = ()
    """Methods of the same run whose probabilities are features."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SavedMethod:
    """A method of a run, ready for new rows."""

    needs: Needs
    estimator: Any
    encoder: Any
    """None where the estimator carries its own."""

    def predict(self, frame: pd.DataFrame, questions: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the probability of each raw option row, (n_rows,); sums to 1 within a question."""
        if self.encoder is None:
            return np.asarray(
                self.estimator.predict_proba(frame, questions=questions)[:, 1], dtype=np.float64
            )
        return self.predict_encoded(self.encoder.transform(frame), questions)

    def predict_encoded(
        self, matrix: NDArray[np.float32], questions: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return the probability of each row of the shared encoder's matrix, (n_rows,)."""
        assert self.needs.columns is not None, "only methods with columns read the shared matrix"
        score = self.estimator.predict_proba(matrix[:, list(self.needs.columns)], questions=questions)[:, 1]
        return np.asarray(question_probabilities(score, questions), dtype=np.float64)


def save_method(folder: Path, estimator: object, needs: Needs) -> int:
    """Write a method and return its size in bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    save_model(estimator, folder / MODEL_FILE)
    write_json(folder / METHOD_FILE, asdict(needs))
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def saved_methods(run_path: Path) -> list[str]:
    """Return the methods of a run that can predict."""
    return sorted(file.parent.name for file in (run_path / MODELS).glob(f"*/{METHOD_FILE}"))


def read_method(run_path: Path, name: str) -> SavedMethod:
    """Load a method of a run.

    Raises
    ------
    InputError
        If the run saved no such method, or its files are not whole.
    """
    allowed: Sequence[str] = saved_methods(run_path)
    if name not in allowed:
        known = ", ".join(allowed) or "none: the run saved no model"
        raise InputError(f"got {name!r}, allowed are {known}", path=run_path, field="method")
    folder = run_path / MODELS / name
    try:
        told = read_json_object(folder / METHOD_FILE)
        plain: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in told.items()
        }
        needs = Needs(**plain)
        _check_needs(needs)
        estimator = load_model(folder / MODEL_FILE)
        encoder = None if needs.columns is None else load_model(run_path / MODELS / ENCODER / MODEL_FILE)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"got a model that is not whole: {error}", path=folder) from None
    return SavedMethod(needs=needs, estimator=estimator, encoder=encoder)


def _check_needs(needs: Needs) -> None:
    for name, kind in (("columns", int), ("answers", str), ("members", str)):
        value = getattr(needs, name)
        lists = isinstance(value, tuple) and all(type(item) is kind for item in value)
        if not lists and not (name == "columns" and value is None):
            raise ValueError(f"{METHOD_FILE}, field {name}: got {shown(value)}")
    if not isinstance(needs.captions, bool) or not isinstance(needs.store, str | None):
        raise ValueError(
            f"{METHOD_FILE}: got {shown(needs.captions)} and {shown(needs.store)} for captions and store"
        )
