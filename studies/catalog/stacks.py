"""Stacks: members of several kinds joined on their out-of-fold predictions, without and with LLaVA [edge].

Nothing is fitted twice: level 1 reads the out-of-fold predictions that tuning kept, and predicts from what
the members, fitted once on all rows, say of new ones.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from time import perf_counter
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ensembles.greedy import GreedySelection
from ensembles.level_one import LevelOne
from studies.catalog.ground import MEMBERS_BLOCK, Ground, save_prediction, with_members
from studies.catalog.ladder import try_method
from studies.catalog.saved import Needs, save_method
from studies.design import OptionTable
from studies.rundir import Facts

LEVEL0 = ("random_forest", "xgboost", "lightgbm", "neighbours", "linear")
"""Members of every stack."""
LEVEL0_WITH_LLAVA: Mapping[str, str] = {"xgboost_with_llava": "xgboost", "lightgbm_with_llava": "lightgbm"}
"""Further members that see LLaVA's blocks: method to kind of member, whose parameters it shares."""
CONTEXT = "has_image"
"""Column that level 1's weights depend on: whom to trust differs with and without an image."""
LIKELIHOODS_BLOCK = "likelihoods"
LIKELIHOODS = {"sum_logprob": 0, "mean_logprob": 1}
"""What level 1 sees of the block ``option_logprob``, by its place there."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Level0:
    """A member of a stack, fitted and predicted."""

    name: str
    """Method whose model and test predictions the run holds."""
    oof_prob: NDArray[np.float64]
    """(n_fitted_rows,), NaN where no fold judges the row."""
    seconds: float
    """Of all its fits: in folds and on all rows."""
    size_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StackPlan:
    """A stack before it is fitted."""

    name: str
    members: Sequence[Level0]
    joined_by: Literal["logit", "greedy"] = "logit"
    """`ensembles.level_one.LevelOne`, or `ensembles.greedy.GreedySelection`."""
    with_llava: bool = False
    """Whether the members, or the logit, see features of LLaVA."""

    def without(self, member: str, *, name: str) -> "StackPlan":
        """Return the plan of the same stack without a member."""
        left = [other for other in self.members if other.name != member]
        return replace(self, name=name, members=left)


def fit_stack(ground: Ground, plan: StackPlan, *, save: bool = True) -> Facts:
    """Fit what joins the members, write its predictions and, in the first figure, its model.

    Parameters
    ----------
    ground : Ground
    plan : StackPlan
    save : bool
        Whether `studies predict` is to offer it.
    """
    name, members, joined_by = plan.name, plan.members, plan.joined_by
    with_llava = plan.with_llava
    folder = "" if ground.tag or not save else ground.place("models", name)
    names = [member.name for member in members]
    likelihoods = with_llava and joined_by == "logit" and "option_logprob" in ground.fitted.frame

    def do() -> Facts:
        oof = {member.name: member.oof_prob for member in members}
        judged = np.asarray(np.isfinite(np.stack(list(oof.values()))).all(axis=0), dtype=np.bool_)
        fitted = ground.fitted.with_columns(MEMBERS_BLOCK, oof).take(judged)
        scored = with_members(ground, ground.scored, names)
        if likelihoods:
            fitted, scored = with_likelihoods(fitted), with_likelihoods(scored)
        joined = _joiner(ground, fitted, names, joined_by=joined_by, likelihoods=likelihoods)
        begun = perf_counter()
        joined.fit(fitted.frame, fitted.y, questions=fitted.questions, groups=fitted.groups)
        done = perf_counter()
        prob = joined.predict_proba(scored.frame, questions=scored.questions)[:, 1]
        save_prediction(ground, name, prob=prob)
        facts: Facts = {
            "fit_s": done - begun + sum(member.seconds for member in members),
            "predict_s": perf_counter() - done,
            "n_features": len(joined.weights_),
            "weights": {column.split(":")[-1]: weight for column, weight in joined.weights_.items()},
            "size_bytes": None,
        }
        if folder:
            origin = ground.store_origin if likelihoods else None
            needs = Needs(captions=ground.captions, store=origin, members=tuple(names))
            own = save_method(ground.run.path / folder, joined, needs)
            facts["size_bytes"] = own + sum(member.size_bytes for member in members)
        return facts

    return try_method(
        ground,
        name,
        do,
        models=[folder] if folder else [],
        oof={member.name: sha256(member.oof_prob.tobytes()).hexdigest() for member in members},
        joined_by=joined_by,
        with_llava=with_llava,
    )


def _joiner(
    ground: Ground, fitted: OptionTable, names: Sequence[str], *, joined_by: str, likelihoods: bool
) -> LevelOne | GreedySelection:
    probs = [f"{MEMBERS_BLOCK}:{name}" for name in names]
    if joined_by == "greedy":
        return GreedySelection(probs=probs, seed=ground.spec.seed)
    return LevelOne(
        probs=probs,
        scores=[f"{LIKELIHOODS_BLOCK}:{score}" for score in LIKELIHOODS] if likelihoods else [],
        context=CONTEXT if fitted.frame[CONTEXT].nunique() > 1 else None,
        n_folds=ground.spec.folds,
        seed=ground.spec.seed,
    )


def with_likelihoods(table: OptionTable) -> OptionTable:
    """Add LLaVA's log-likelihoods of each option as plain columns."""
    array = np.stack(table.frame["option_logprob"].to_list())
    columns = {name: array[:, place] for name, place in LIKELIHOODS.items()}
    return table.with_columns(LIKELIHOODS_BLOCK, columns)
