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
    defaults: Mapping[str, Any]


MEMBERS: Mapping[str, Member] = {
    "decision_tree": Member(make=tree.make, suggest=tree.suggest, defaults=tree.DEFAULTS),
    "random_forest": Member(make=forest.make, suggest=forest.suggest, defaults=forest.DEFAULTS),
    "xgboost": Member(make=xgb.make, suggest=xgb.suggest, defaults=xgb.DEFAULTS),
    "lightgbm": Member(make=lgbm.make, suggest=lgbm.suggest, defaults=lgbm.DEFAULTS),
    "forest_of_xgboost": Member(
        make=forest_of_xgb.make, suggest=forest_of_xgb.suggest, defaults=forest_of_xgb.DEFAULTS
    ),
    "extra_trees": Member(make=extra_trees.make, suggest=extra_trees.suggest, defaults=extra_trees.DEFAULTS),
    "xgboost_parallel_trees": Member(
        make=xgb_parallel.make, suggest=xgb_parallel.suggest, defaults=xgb_parallel.DEFAULTS
    ),
    "xgboost_ranker": Member(make=rankers.make_xgb, suggest=xgb.suggest, defaults=xgb.DEFAULTS),
    "lightgbm_ranker": Member(make=rankers.make_lgbm, suggest=lgbm.suggest, defaults=lgbm.DEFAULTS),
    "conditional_logit": Member(
        make=conditional_logit.make, suggest=conditional_logit.suggest, defaults=conditional_logit.DEFAULTS
    ),
    "neighbours": Member(make=neighbours.make, suggest=neighbours.suggest, defaults=neighbours.DEFAULTS),
    "linear": Member(make=linear.make, suggest=linear.suggest, defaults=linear.DEFAULTS),
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
