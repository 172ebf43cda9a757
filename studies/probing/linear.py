"""Linear probe: ridge-penalised logistic regression on standardised vectors (`ensembles.members.linear`)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensembles.members.linear import BlockLogistic
from studies.probing.family import ProbeFamily, Settings


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Linear:
    model: Any

    @property
    def n_bytes(self) -> int:
        """Coefficients, intercepts, means and spreads."""
        scaled = self.model.standardised_
        return int(
            sum(a.nbytes for a in (self.model.coef_, self.model.intercept_, scaled.mean_, scaled.scale_))
        )

    def prob(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability of each class, (n_rows, n_classes)."""
        return np.asarray(self.model.predict_proba(X))


def fit(
    X: NDArray[np.float64], y: NDArray[np.int64], settings: Settings, *, seed: int, n_jobs: int
) -> _Linear:
    """Fit with weight ``C`` on the log-loss; one thread beside those of BLAS."""
    return _Linear(model=BlockLogistic(**settings, seed=seed).fit(X, y))


FAMILY = ProbeFamily(label="linear", grid=tuple({"C": 10.0**power} for power in (-4, -3, -2, -1, 0)), fit=fit)
