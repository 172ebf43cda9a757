"""All members by name; a new one is a module in `ensembles.members` and a line here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ensembles.members import (
    conditional_logit,
    extra_trees,
    forest,
    forest_of_xgb,
    lgbm,
    linear,
    neighbours,
    rankers,
    tree,
    xgb,
    xgb_parallel,
)
from ensembles.members.rows import RowClassifier
from ensembles.space import Trial


class Make(Protocol):
    """Builds an unfitted estimator."""

    def __call__(self, params: Mapping[str, Any], *, seed: int, n_jobs: int) -> RowClassifier:
        """Return the estimator; parameters that are not given take their defaults."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """A kind of estimator with its search space."""

    make: Make
    suggest: Callable[[Trial], dict[str, Any]]
    complexity: Callable[[Mapping[str, Any]], float]
    """Orders parameters of one member from simple to complex."""
    defaults: Mapping[str, Any]
    takes_device: bool
    """Whether ``device`` is a parameter: "cpu", or "cuda" where XGBoost was built for it."""


def _member(kind: Any, *, make: Make | None = None, takes_device: bool = False) -> Member:
    """Return the member of a module, with another ``make`` where two kinds share a space."""
    return Member(
        make=make or kind.make,
        suggest=kind.suggest,
        complexity=kind.complexity,
        defaults=kind.DEFAULTS,
        takes_device=takes_device,
    )


MEMBERS: Mapping[str, Member] = {
    "decision_tree": _member(tree),
    "random_forest": _member(forest),
    "xgboost": _member(xgb, takes_device=True),
    "lightgbm": _member(lgbm),
    "forest_of_xgboost": _member(forest_of_xgb, takes_device=True),
    "extra_trees": _member(extra_trees),
    "xgboost_parallel_trees": _member(xgb_parallel, takes_device=True),
    "xgboost_ranker": _member(xgb, make=rankers.make_xgb, takes_device=True),
    "lightgbm_ranker": _member(lgbm, make=rankers.make_lgbm),
    "conditional_logit": _member(conditional_logit),
    "neighbours": _member(neighbours),
    "linear": _member(linear),
}


def find_member(name: str) -> Member:
    """Return a member by its name.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    if name not in MEMBERS:
        raise ValueError(f"got member {name!r}, allowed are {', '.join(MEMBERS)}")
    return MEMBERS[name]
