"""One figure of the study: every method fitted on one ground, from the decision tree to the stacks [edge]."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pandas as pd

from studies.catalog.anatomy import ablate_members, shuffle_blocks
from studies.catalog.baselines import answer_with_llava, fit_baselines
from studies.catalog.compared import compare_members
from studies.catalog.curves import ABLATED, ablate, fit_curves
from studies.catalog.folds import FoldMatrices, encode_ground_folds
from studies.catalog.ground import (
    QUESTION_BLOCKS,
    Encoded,
    Ground,
    blocks_without_llava,
    encode,
    encode_question_only,
    tells_of_images,
)
from studies.catalog.ladder import LADDER, fit_member, predict_out_of_fold, tune_member
from studies.catalog.methods import describe
from studies.catalog.protocol import Protocol
from studies.catalog.scoring import question_scores
from studies.catalog.sharing import end_of_searches
from studies.catalog.stacks import LEVEL0, LEVEL0_WITH_LLAVA, Level0, StackPlan, fit_stack
from studies.progress import Progress
from studies.rundir import Facts

MEMBERS_OF_THE_TABLE = tuple(dict.fromkeys((*LADDER, *LEVEL0)))
"""Kinds of members that are tuned and fitted by themselves."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """What the methods of one ground found; their predictions lie in the run folder."""

    tag: str
    methods: dict[str, Facts]
    """Method to status, error and costs, in the order of the table."""
    params: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """Tuned parameters of each member."""
    tuning: dict[str, Facts] = field(default_factory=dict)
    curves: list[dict[str, Any]] = field(default_factory=list)
    ablation: list[Facts] = field(default_factory=list)
    without_members: list[Facts] = field(default_factory=list)
    """Stacks without each member."""
    shuffled: list[Facts] = field(default_factory=list)
    """Methods with blocks shuffled."""
    temperature: float | None = None
    """Of LLaVA's option likelihoods, chosen on val."""

    @property
    def predicted(self) -> list[str]:
        """All names in the predictions table, points of curves and ablations included."""
        points = [point["name"] for curve in self.curves for point in curve["points"]]
        ablated = [row["name"] for row in (*self.ablation, *self.without_members)]
        return [name + self.tag for name in self.methods] + points + ablated

    def is_ok(self, name: str) -> bool:
        """Whether a method ran without failing."""
        return name in self.methods and self.methods[name]["status"] == "ok"


def fit_figure(ground: Ground, progress: Progress) -> Figure:
    """Tune and fit every method that the ground allows, with curves and the ablation."""
    blocks = blocks_without_llava(ground)
    params: dict[str, Mapping[str, Any]] = {}
    tuning: dict[str, Facts] = {}

    @cache
    def folds() -> FoldMatrices:
        progress.stage("encode the folds")
        return encode_ground_folds(ground, ground.folds)

    for member in MEMBERS_OF_THE_TABLE:
        tuning[member] = tune_member(ground, member, folds, progress, blocks=blocks)
        params[member] = tuning[member]["params"]
    if ground.spec.storage is not None:
        end_of_searches(ground.run.path)
    tuned = [member for member, facts in tuning.items() if facts["journal"] and "error" not in facts]
    compare_members(ground, tuned, folds, progress, blocks=blocks)
    progress.stage("encode")
    encoded = encode(ground)
    oof_folds = folds if ground.folds is ground.oof_folds else _oof_folds(ground, progress)
    methods, stacks = _fit_methods(ground, encoded, params, oof_folds, progress)
    curves = fit_curves(ground, encoded, params, progress, blocks=blocks)
    ablation, without_members, shuffled = [], [], []
    if ground.spec.ablation:
        ablation = ablate(ground, encoded, params[ABLATED], progress)
        without_members = ablate_members(ground, stacks, methods, progress)
        shuffled = shuffle_blocks(ground, encoded, stacks, methods, progress)
    return Figure(
        tag=ground.tag,
        methods=methods,
        params=params,
        tuning={member: facts for member, facts in tuning.items() if member in methods},
        curves=curves,
        ablation=ablation,
        without_members=without_members,
        shuffled=shuffled,
        temperature=methods.get("llava", {}).get("temperature"),
    )


def refit_figure(ground: Ground, params: Mapping[str, Mapping[str, Any]], progress: Progress) -> Figure:
    """Fit the same methods with the same parameters on another ground: nothing is tuned again."""
    progress.stage("encode, families removed")
    encoded = encode(ground)
    methods, _ = _fit_methods(ground, encoded, params, _oof_folds(ground, progress), progress)
    return Figure(tag=ground.tag, methods=methods)


def choose_method(figure: Figure, predictions: pd.DataFrame, protocol: Protocol) -> Facts:
    """Return the method that `studies predict` uses by default, and why.

    The ensemble with the least log-loss on val. Where val is fitted on, or published answers come in that
    exist for test questions only, the last stack is declared in advance.
    """
    ensembles = [
        name for name in figure.methods if describe(name).kind in ("ladder", "stack") and figure.is_ok(name)
    ]
    val = [example.id for example in protocol.val]
    predicted = set(predictions["example_id"][predictions["method"].isin(ensembles)])
    if not ensembles:
        return {"method": "chance", "why": "no ensemble could be fitted"}
    if "stacking_with_llm" in ensembles or not val or not predicted.issuperset(val):
        return {"method": ensembles[-1], "why": "declared in advance"}
    losses = {}
    for name in ensembles:
        loss = question_scores(predictions[predictions["method"] == name], val).log_loss
        assert loss is not None, "ensembles give probabilities"
        losses[name] = float(loss.mean())
    best = min(losses, key=lambda name: losses[name])
    return {"method": best, "why": "least log-loss on val", "val_log_loss": losses}


def _oof_folds(ground: Ground, progress: Progress) -> Callable[[], FoldMatrices]:
    """Return a function that encodes the folds of out-of-fold predictions when first asked."""

    @cache
    def folds() -> FoldMatrices:
        progress.stage(f"encode the folds of the stack{_suffix(ground)}")
        return encode_ground_folds(ground, ground.oof_folds)

    return folds


def _fit_methods(
    ground: Ground,
    encoded: Encoded,
    params: Mapping[str, Mapping[str, Any]],
    folds: Callable[[], FoldMatrices],
    progress: Progress,
) -> tuple[dict[str, Facts], list[StackPlan]]:
    """Fit members, then stacks on their out-of-fold predictions, then what needs no fit."""
    blocks = blocks_without_llava(ground)
    has_llava = len(blocks) < len(ground.blocks)
    kinds = {member: member for member in MEMBERS_OF_THE_TABLE}
    kinds |= LEVEL0_WITH_LLAVA if has_llava else {}
    tick = progress.stage(f"fit the members{_suffix(ground)}")
    methods: dict[str, Facts] = {}
    for place, (name, member) in enumerate(kinds.items()):
        methods[name] = fit_member(
            ground,
            encoded,
            name,
            member=member,
            params=params[member],
            blocks=ground.blocks if name in LEVEL0_WITH_LLAVA else blocks,
            save=not ground.tag,
        )
        tick(place + 1, len(kinds))
    names = [name for name in kinds if name in LEVEL0 or name in LEVEL0_WITH_LLAVA]
    fitted = [name for name in names if methods[name]["status"] == "ok"]
    tick = progress.stage(f"stack{_suffix(ground)}")
    level0 = []
    for place, name in enumerate(fitted):
        prob, seconds = predict_out_of_fold(
            ground,
            name,
            folds,
            member=kinds[name],
            params=params[kinds[name]],
            blocks=ground.blocks if name in LEVEL0_WITH_LLAVA else blocks,
        )
        facts = methods[name]
        level0.append(
            Level0(
                name=name,
                oof_prob=prob,
                seconds=seconds + facts["fit_s"],
                size_bytes=facts["size_bytes"] or 0,
            )
        )
        tick(place + 1, len(fitted))
    without_llava = [member for member in level0 if member.name in LEVEL0]
    stacks = [
        StackPlan(name="greedy_selection", members=without_llava, joined_by="greedy"),
        StackPlan(name="stacking", members=without_llava),
    ]
    if has_llava:
        stacks.append(StackPlan(name="stacking_with_llava", members=level0, with_llava=True))
    methods |= {plan.name: fit_stack(ground, plan) for plan in stacks}
    if has_llava:
        methods |= answer_with_llava(ground)
    if any(block not in QUESTION_BLOCKS for block in blocks) or tells_of_images(ground):
        methods["question_only"] = fit_member(
            ground,
            encode_question_only(ground, encoded),
            "question_only",
            member="xgboost",
            params=params["xgboost"],
            blocks=[block for block in blocks if block in QUESTION_BLOCKS],
            save=False,
        )
    return methods | fit_baselines(ground), stacks


def _suffix(ground: Ground) -> str:
    return ground.tag.replace("@", ", ").replace("_", " ")
