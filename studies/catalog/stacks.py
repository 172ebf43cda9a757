"""Stacks: members of several kinds joined on their out-of-fold predictions, without and with LLaVA [edge].

A stack encodes within its own folds, so it is fitted on raw rows and carries its encoder; its level-1 model
sees out-of-fold predictions only.
"""

from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any

from ensembles.registry import MEMBERS
from ensembles.stacking import OptionStacking
from studies.catalog.ground import Ground, save_prediction
from studies.catalog.ladder import try_method
from studies.catalog.saved import Needs, save_method
from studies.rundir import Facts

LEVEL0 = ("random_forest", "xgboost", "lightgbm", "neighbours", "linear")
"""Members of every stack."""


def build_stack(
    ground: Ground,
    params: Mapping[str, Mapping[str, Any]],
    *,
    blocks: Sequence[str] | None,
    passthrough: Sequence[str] = (),
) -> OptionStacking:
    """Return an unfitted stack of the members of `LEVEL0`.

    Parameters
    ----------
    ground : Ground
    params : mapping of str to mapping
        Tuned parameters; members that are not in it take their defaults.
    blocks : sequence of str, optional
        Blocks that the members see; all of the table if None.
    passthrough : sequence of str
        Blocks that level 1 sees as well.
    """
    spec = ground.spec
    members = [
        (name, MEMBERS[name].make(params.get(name, MEMBERS[name].defaults), seed=spec.seed, n_jobs=spec.jobs))
        for name in LEVEL0
    ]
    return OptionStacking(
        members=members,
        n_folds=spec.folds,
        seed=spec.seed,
        encoder=ground.encoder(blocks),
        passthrough=passthrough,
    )


def fit_stack(
    ground: Ground,
    name: str,
    *,
    params: Mapping[str, Mapping[str, Any]],
    blocks: Sequence[str],
    passthrough: Sequence[str] = (),
) -> Facts:
    """Fit a stack, write its predictions and, in the first figure, its model."""
    folder = "" if ground.tag else ground.place("models", name)

    def do() -> Facts:
        fitted, scored = ground.fitted, ground.scored
        stack = build_stack(ground, params, blocks=blocks, passthrough=passthrough)
        begun = perf_counter()
        stack.fit(fitted.frame, fitted.y, questions=fitted.questions, groups=fitted.groups)
        done = perf_counter()
        prob = stack.predict_proba(scored.frame, questions=scored.questions)[:, 1]
        predict_s = perf_counter() - done
        save_prediction(ground, name, prob=prob)
        facts = {
            "fit_s": done - begun,
            "predict_s": predict_s,
            "n_features": int(stack.n_features_in_),
            "size_bytes": None,
        }
        if folder:
            needs = Needs(captions=ground.captions, store=ground.has_store)
            facts["size_bytes"] = save_method(ground.run.path / folder, stack, needs)
        return facts

    return try_method(
        ground,
        name,
        do,
        models=[folder] if folder else [],
        members={member: dict(params[member]) for member in LEVEL0 if member in params},
        blocks=list(blocks),
        passthrough=list(passthrough),
    )
