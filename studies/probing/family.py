"""What a family of probes is: a name, few settings to choose from, and a way to fit one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Settings = Mapping[str, Any]


class Fitted(Protocol):
    """A fitted probe."""

    @property
    def n_bytes(self) -> int:
        """Size of what was learned, in bytes."""

    def prob(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability of each class, (n_rows, n_classes)."""


class Fit(Protocol):
    """Fits a probe on classes 0 to n_classes - 1, two or more, all of them present."""

    def __call__(
        self, X: NDArray[np.float64], y: NDArray[np.int64], settings: Settings, *, seed: int, n_jobs: int
    ) -> Fitted:
        """Return the fitted probe; ``n_jobs`` threads change its cost only."""


Along = Callable[
    [NDArray[np.float64], NDArray[np.int64], NDArray[np.float64], Sequence[Settings], int, int],
    list[NDArray[np.float64]],
]
"""From X, y, new X, settings, seed and n_jobs to the probabilities of new X for each of the settings."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbeFamily:
    """One kind of probe."""

    label: str
    """For tables."""
    grid: tuple[Settings, ...]
    """Settings to choose from, from the simplest to the most flexible."""
    fit: Fit
    along: Along | None = None
    """Cheaper than a fit for each of the settings, with the same outcome; none: each is fitted by itself."""

    def middle(self) -> Settings:
        """Return the settings where nothing can be chosen: the middle of the grid."""
        return self.grid[len(self.grid) // 2]
