"""What a search space needs of a trial; Optuna's trials are of this shape."""

from typing import Protocol


class Trial(Protocol):
    """Draws parameter values."""

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        """Return an integer between ``low`` and ``high``, both included."""
        ...

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Return a number between ``low`` and ``high``."""
        ...
