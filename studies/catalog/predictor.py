"""A saved method of a run, ready for new questions [edge].

``models/NAME/method.json`` says what stands before the estimator: the run's shared encoder and the columns
it sees, or nothing, where the estimator carries an encoder of its own.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ensembles.choice import question_probabilities
from ensembles.persist import load_model
from llava_core.errors import InputError

MODELS, MODEL_FILE, METHOD_FILE = "models", "model", "method.json"
Predict = Callable[[pd.DataFrame, NDArray[np.int64]], NDArray[np.float64]]
"""From raw option rows and the question of each to probabilities, (n_rows,)."""


def saved_methods(run_path: Path) -> list[str]:
    """Return the methods of a run that can predict."""
    return sorted(file.parent.name for file in (run_path / MODELS).glob(f"*/{METHOD_FILE}"))


def read_method(run_path: Path, name: str) -> Predict:
    """Load a method of a run.

    Raises
    ------
    InputError
        If the run saved no such method, or its files are not whole.
    """
    allowed = saved_methods(run_path)
    if name not in allowed:
        raise InputError(
            f"got {name!r}, allowed are {', '.join(allowed) or 'none: the run saved no model'}",
            field="method",
        )
    folder = run_path / MODELS / name
    try:
        told = json.loads((folder / METHOD_FILE).read_text(encoding="utf-8"))
        model = load_model(folder / MODEL_FILE)
        encoder = load_model(run_path / MODELS / told["encoder"]) if told["encoder"] else None
        columns = told["columns"]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"got a model that is not whole: {error}", path=folder) from None

    def predict(frame: pd.DataFrame, questions: NDArray[np.int64]) -> NDArray[np.float64]:
        if encoder is None:
            return np.asarray(model.predict_proba(frame, questions=questions)[:, 1], dtype=np.float64)
        matrix = encoder.transform(frame)[:, columns]
        return np.asarray(
            question_probabilities(model.predict_proba(matrix)[:, 1], questions), dtype=np.float64
        )

    return predict
