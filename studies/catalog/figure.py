"""One figure of the study: every method fitted on one ground, from the decision tree to the stacks [edge]."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pandas as pd

from ensembles.oof import EncodedFold
from studies.catalog.baselines import answer_with_llava, fit_baselines
from studies.catalog.curves import ABLATED, ablate, fit_curves
from studies.catalog.ground import LLAVA_BLOCKS, QUESTION_BLOCKS, Encoded, Ground, encode
from studies.catalog.ladder import LADDER, encode_tuning_folds, fit_member, tune_member
from studies.catalog.methods import describe
from studies.catalog.protocol import Protocol
from studies.catalog.scoring import question_scores
from studies.catalog.stacks import LEVEL0, fit_stack
from studies.progress import Progress
from studies.rundir import Facts


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
    temperature: float | None = None
    """Of LLaVA's option likelihoods, chosen on val."""

    @property
    def predicted(self) -> list[str]:
        """All names in the predictions table, points of curves and ablations included."""
        points = [point["name"] for curve in self.curves for point in curve["points"]]
        return [name + self.tag for name in self.methods] + points + [row["name"] for row in self.ablation]

    def is_ok(self, name: str) -> bool:
        """Whether a method ran without failing."""
        return name in self.methods and self.methods[name]["status"] == "ok"


def fit_figure(ground: Ground, progress: Progress) -> Figure:
    """Tune and fit every method that the ground allows, with curves and the ablation."""
    blocks = [block for block in ground.blocks if block not in LLAVA_BLOCKS]
    params: dict[str, Mapping[str, Any]] = {}
    tuning: dict[str, Facts] = {}

    @cache
    def folds() -> list[EncodedFold]:
        progress.stage("encode the folds")
        return encode_tuning_folds(ground, blocks)

    for member in dict.fromkeys((*LADDER, *LEVEL0)):
        tuning[member] = tune_member(ground, member, folds, progress, blocks=blocks)
        params[member] = tuning[member]["params"]
    progress.stage("encode")
    encoded = encode(ground)
    methods = _fit_methods(ground, encoded, params, progress, blocks=blocks)
    curves = fit_curves(ground, encoded, params, progress, blocks=blocks)
    ablation = []
    if ground.spec.ablation:
        ablation = ablate(ground, encoded, params[ABLATED], progress, blocks=blocks)
    return Figure(
        tag=ground.tag,
        methods=methods,
        params=params,
        tuning={member: facts for member, facts in tuning.items() if member in methods},
        curves=curves,
        ablation=ablation,
        temperature=methods.get("llava", {}).get("temperature"),
    )


def refit_figure(ground: Ground, params: Mapping[str, Mapping[str, Any]], progress: Progress) -> Figure:
    """Fit the same methods with the same parameters on another ground: nothing is tuned again."""
    blocks = [block for block in ground.blocks if block not in LLAVA_BLOCKS]
    progress.stage("encode, families removed")
    encoded = encode(ground)
    return Figure(tag=ground.tag, methods=_fit_methods(ground, encoded, params, progress, blocks=blocks))


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


def _fit_methods(
    ground: Ground,
    encoded: Encoded,
    params: Mapping[str, Mapping[str, Any]],
    progress: Progress,
    *,
    blocks: list[str],
) -> dict[str, Facts]:
    with_llava = [block for block in ground.blocks if block in LLAVA_BLOCKS]
    with_image = [block for block in blocks if block not in QUESTION_BLOCKS]
    tick = progress.stage(f"fit the ladder{ground.tag.replace('@', ', ').replace('_', ' ')}")
    methods: dict[str, Facts] = {}
    for place, member in enumerate(LADDER):
        methods[member] = fit_member(
            ground,
            encoded,
            member,
            member=member,
            params=params[member],
            blocks=blocks,
            save=not ground.tag,
        )
        tick(place + 1, len(LADDER))
    progress.stage("fit the stacks")
    methods["stacking"] = fit_stack(ground, "stacking", params=params, blocks=blocks)
    if with_llava:
        methods["stacking_with_llava"] = fit_stack(
            ground,
            "stacking_with_llava",
            params=params,
            blocks=[*blocks, *with_llava],
            passthrough=[block for block in with_llava if block == "option_logprob"],
        )
        methods |= answer_with_llava(ground)
    if with_image:
        methods["question_only"] = fit_member(
            ground,
            encoded,
            "question_only",
            member="xgboost",
            params=params["xgboost"],
            blocks=[block for block in blocks if block in QUESTION_BLOCKS],
            save=not ground.tag,
        )
    return methods | fit_baselines(ground)
