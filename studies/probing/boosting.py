"""Boosted trees: XGBoost (Chen and Guestrin 2016) of few rounds, whose number is chosen along one fit.

A round has one tree per class, of two classes one. So that many classes do not make a probe of hours, rounds
end where `MOST_TREES` stand.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensembles.members import xgb
from studies.probing.family import ProbeFamily, Settings

MOST_TREES = 2000
_FIXED = {
    "learning_rate": 0.15,
    "max_depth": 4,
    "min_child_weight": 1.0,
    "colsample_bytree": 0.4,
    "reg_lambda": 1.0,
}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Boosting:
    model: Any

    @property
    def n_bytes(self) -> int:
        """The trees in XGBoost's own binary form."""
        return len(self.model.get_booster().save_raw("ubj"))

    def prob(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability of each class, (n_rows, n_classes)."""
        return np.asarray(self.model.predict_proba(X.astype(np.float32)), dtype=np.float64)


def fit(
    X: NDArray[np.float64], y: NDArray[np.int64], settings: Settings, *, seed: int, n_jobs: int
) -> _Boosting:
    """Fit ``n_rounds`` rounds with ``n_jobs`` threads."""
    rounds = _rounds(settings, y)
    model = xgb.booster({**_FIXED, "n_estimators": rounds}, seed=seed, n_jobs=n_jobs)
    return _Boosting(model=model.fit(X.astype(np.float32), y))


def along(
    X: NDArray[np.float64],
    y: NDArray[np.int64],
    X_new: NDArray[np.float64],
    grid: Sequence[Settings],
    seed: int,
    n_jobs: int,
) -> list[NDArray[np.float64]]:
    """Return the probabilities after each number of rounds."""
    longest = max(grid, key=lambda settings: int(settings["n_rounds"]))
    model = fit(X, y, longest, seed=seed, n_jobs=n_jobs).model
    single = X_new.astype(np.float32)
    return [
        np.asarray(model.predict_proba(single, iteration_range=(0, _rounds(settings, y))), dtype=np.float64)
        for settings in grid
    ]


def _rounds(settings: Settings, y: NDArray[np.int64]) -> int:
    """Return the number of rounds that the number of classes leaves."""
    n_classes = int(y.max()) + 1
    return min(int(settings["n_rounds"]), max(1, MOST_TREES // (1 if n_classes == 2 else n_classes)))


FAMILY = ProbeFamily(
    label="boosting", grid=tuple({"n_rounds": number} for number in (10, 30, 90)), fit=fit, along=along
)
