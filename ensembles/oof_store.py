"""Out-of-fold predictions that last: one place that stacks, greedy selection, calibration and tuning read.

An entry is what one estimator says of one fold. Its key is the SHA-256 of all that the prediction depends
on: the fold's matrices and rows, their labels, questions and families, the estimator's kind, parameters and
seed, and the versions of what fits it. The number of workers is no part of it, since no prediction depends on
that. Entries are files ``KEY.npz`` without pickle, written beside their place and renamed, so that any number
of processes may share a folder; without a folder they are kept in memory.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ensembles.drafts import whole_file
from ensembles.oof import EncodedFold, FoldPrediction, predict_fold

FITTED_BY = ("llava-ensembles", "scikit-learn", "xgboost-cpu", "xgboost", "lightgbm")
"""Packages whose version a prediction depends on."""


@cache
def version(name: str) -> str | None:
    """Return the version of a package, None where it is not installed."""
    try:
        return installed(name)
    except PackageNotFoundError:
        return None


class OofStore:
    """Keeps predictions of folds and fits only what is not kept.

    Parameters
    ----------
    path : Path, optional
        Folder, made when the first entry is written; entries are kept in memory without one.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self._entries: dict[str, FoldPrediction] = {}

    def __deepcopy__(self, memo: object) -> "OofStore":
        """Return the store itself: a clone of what reads it reads the same entries."""
        return self

    def __getstate__(self) -> dict[str, Any]:
        """Return where the entries are; those in memory stay with this process."""
        return {"path": None if self.path is None else str(self.path)}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__init__(None if state["path"] is None else Path(state["path"]))  # type: ignore[misc]

    def predict_fold(
        self, estimator: Any, fold: EncodedFold, *, with_model: bool = False, **of_rows: Any
    ) -> FoldPrediction:
        """Return what is kept, or fit, keep and return; see `ensembles.oof.predict_fold`.

        Models are not kept: ``with_model`` fits one whatever is there.

        Raises
        ------
        ValueError
            If the entry's file is not whole.
        """
        key = entry_key(estimator, fold, **of_rows)
        kept = None if with_model else self._read(key)
        if kept is not None and kept.prob.shape[:1] != np.shape(fold.held_out):
            raise ValueError(f"the entry {key} holds {kept.prob.shape} predictions, of other rows")
        if kept is not None:
            return kept
        found = predict_fold(estimator, fold, **of_rows)
        self._write(key, found)
        return found

    def _read(self, key: str) -> FoldPrediction | None:
        if self.path is None:
            return self._entries.get(key)
        file = self.path / f"{key}.npz"
        if not file.exists():
            return None
        if not file.is_file():
            raise ValueError(f"{file} is no file")
        try:
            with file.open("rb") as opened, np.load(opened, allow_pickle=False) as entry:
                prob = entry["prob"].astype(np.float64, casting="safe")
                return FoldPrediction(prob=prob, fit_s=float(entry["fit_s"]))
        except Exception as error:  # whatever broken bytes lead numpy and zipfile to
            raise ValueError(f"{file} is no whole entry of out-of-fold predictions: {error}") from error

    def _write(self, key: str, found: FoldPrediction) -> None:
        if self.path is None:
            self._entries[key] = FoldPrediction(prob=found.prob, fit_s=found.fit_s)
            return
        with whole_file(self.path / f"{key}.npz") as draft, draft.open("wb") as file:
            np.savez(file, allow_pickle=False, prob=found.prob, fit_s=found.fit_s)


def entry_key(
    estimator: Any,
    fold: EncodedFold,
    *,
    y: ArrayLike,
    questions: ArrayLike | None,
    groups: ArrayLike,
    sample_weight: ArrayLike | None = None,
) -> str:
    """Return the key of what an estimator says of a fold: features, split, parameters and seed."""
    told = [_told(estimator), int(np.max(y)), {name: version(name) for name in FITTED_BY}]
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    for array in (fold.X_train, fold.X_held_out, fold.train, fold.held_out):
        _add(digest, array)
    for name, of_rows in (("", y), ("", questions), ("", groups), ("weight", sample_weight)):
        if of_rows is not None:
            digest.update(name.encode())
            _add(digest, np.asarray(of_rows)[fold.train])
    if questions is not None:
        _add(digest, np.asarray(questions)[fold.held_out])
    return digest.hexdigest()


def _told(value: Any) -> Any:
    """Return an estimator as plain values, the number of its workers left out."""
    if hasattr(value, "get_params"):
        params = value.get_params(deep=False)
        return [
            f"{type(value).__module__}.{type(value).__qualname__}",
            {name: _told(param) for name, param in params.items() if name != "n_jobs"},
        ]
    if isinstance(value, Mapping):
        return {str(name): _told(item) for name, item in value.items() if name != "n_jobs"}
    if isinstance(value, list | tuple):
        return [_told(item) for item in value]
    return repr(value)


def _add(digest: Any, array: np.ndarray[Any, Any]) -> None:
    whole = np.ascontiguousarray(array)
    digest.update(f"{whole.dtype.str}{whole.shape}".encode())
    digest.update(whole.data.cast("B") if whole.size else b"")
