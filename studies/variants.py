"""Trains LLaVA in several variants and asks each the same questions: `stage_ablation`'s door to torch [edge].

A variant and a seed are two steps of the run: training (which goes on at the exact step where it was cut off)
and answering. torch is imported by the steps that are not done already.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from llava_core.data.example import Example
from studies.files import write_npz, write_parquet
from studies.progress import Progress
from studies.rundir import Facts, RunDir, digest
from studies.spec.ablation import REFERENCE, VARIANTS, AblationSpec, Variant

if TYPE_CHECKING:
    from llava_core.checkpoint import LlavaBundle
    from llava_core.recipes import StagePlan

STAGES = ("align", "finetune")


def train_variant(
    spec: AblationSpec,
    run: RunDir,
    name: str,
    seed: int,
    train_llm: Sequence[Example],
    *,
    fingerprint: str,
    progress: Progress,
) -> Facts:
    """Train a variant with a seed unless it is trained, and return what is told of its stages.

    Parameters
    ----------
    spec : AblationSpec
    run : RunDir
    name : str
        Key of `VARIANTS`.
    seed : int
        Of the fresh projector, the batches and the option order.
    train_llm : sequence of Example
    fingerprint : str
        Of the data set.
    progress : Progress

    Returns
    -------
    dict
        ``stages`` (steps, seconds, loss), ``n_connection`` (weights of what connects the parts) and
        ``n_image_tokens``.
    """
    variant = VARIANTS[name]
    if not variant.finetune:  # its one stage is the reference's first
        facts = train_variant(
            spec, run, REFERENCE, seed, train_llm, fingerprint=fingerprint, progress=progress
        )
        return {**facts, "stages": [stage for stage in facts["stages"] if stage["name"] == "align"]}
    out = _folder(name, seed)

    def train() -> Facts:
        return _train(spec, variant, run.path / out, train_llm, seed=seed, title=name, progress=progress)

    return run.step(
        f"train.{name}.{seed}",
        inputs={
            "data": fingerprint,
            "ids": digest({"ids": [example.id for example in train_llm]}),
            "variant": asdict(variant),
            "budget_frac": spec.budget_frac,
            "recipe": spec.recipe,
            "recipes": (files("llava_core") / "recipes.py").read_text(encoding="utf-8"),
            "version": version("llava-ensembles"),
            "base": (files("llava_core") / "weights" / "mini" / "manifest.json").read_text(),
            "seed": seed,
        },
        outputs=[f"{out}/{stage}" for stage in STAGES if stage == "finetune" or variant.align],
        do=train,
    )


def answer_variant(
    spec: AblationSpec,
    run: RunDir,
    name: str,
    seed: int,
    asked: Sequence[Example],
    *,
    fingerprint: str,
    progress: Progress,
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Return a trained variant's option likelihoods, and the vectors that probes read.

    Returns
    -------
    scores : DataFrame
        ``example_id option_index mean_logprob``.
    vectors : dict
        ``image_tokens`` (n_questions, dim_llm), mean over what the language model reads or looks at of the
        image, NaN without image; ``llm_hidden`` (n_options, dim_llm), last layer at the option's last token;
        both in the order of ``asked``.
    """
    stage = "finetune" if VARIANTS[name].finetune else "align"
    source = run.path / _folder(name if VARIANTS[name].finetune else REFERENCE, seed) / stage
    out = f"variants/{name}/{seed}"
    table, arrays = f"{out}/scores.parquet", f"{out}/vectors.npz"

    def answer() -> None:
        scores, vectors = _answer(spec, source, asked, title=name, progress=progress)
        write_parquet(run.path / table, scores)
        write_npz(run.path / arrays, vectors)

    run.step(
        f"answer.{name}.{seed}",
        inputs={
            "data": fingerprint,
            "ids": digest({"ids": [example.id for example in asked]}),
            "checkpoint": digest({"": (source / "manifest.json").read_text()}),
            "dtype": spec.llava_dtype,
        },
        outputs=[table, arrays],
        do=answer,
    )
    with np.load(run.path / arrays) as kept:
        return pd.read_parquet(run.path / table), {key: kept[key] for key in kept.files}


def _folder(name: str, seed: int) -> str:
    return f"checkpoints/{name}/{seed}"


def _train(
    spec: AblationSpec,
    variant: Variant,
    out: Path,
    examples: Sequence[Example],
    *,
    seed: int,
    title: str,
    progress: Progress,
) -> Facts:
    from llava_core.checkpoint import connect, load_checkpoint
    from llava_core.recipes import find_recipe, start
    from llava_core.train.run import run_stage

    recipe = find_recipe(spec.recipe)
    plans = {"align": recipe.plan("align"), "finetune": recipe.plan("finetune")}
    bundle = connect(
        start(recipe, plans["finetune"], seed=seed),
        variant.projector,
        settings=variant.settings,
        vision_layer=variant.vision_layer,
        seed=seed,
    )
    stages = []
    for name, plan in plans.items():
        if name == "align" and not variant.align:
            continue
        run_stage(
            _shortened(plan, variant, spec.budget_frac),
            bundle,
            examples,
            out=out / name,
            seed=seed,
            run=plan.run,
            progress=progress.stage(f"{title}, seed {seed}: {name}"),
        )
        bundle = load_checkpoint(out / name)
        stages.append(_told(bundle.meta, name))
    return {
        "stages": stages,
        "n_connection": sum(weights.numel() for weights in bundle.model.projector.parameters()),
        "n_image_tokens": bundle.n_image_tokens,
    }


def _shortened(plan: "StagePlan", variant: Variant, budget_frac: float) -> Any:
    """Return a stage of the variant: shorter, with a fresh projector where stage 1 does not bring one."""
    stage = plan.stage
    stage = replace(
        stage,
        n_epochs=budget_frac * stage.n_epochs,
        describe_epochs=budget_frac * stage.describe_epochs,
    )
    if stage.name == "finetune":
        stage = replace(stage, new_projector=not variant.align)
        if not variant.learns:
            stage = replace(stage, trains=("llm",))
    return stage


def _told(meta: Mapping[str, Any], name: str) -> Facts:
    kept = ("n_examples", "n_steps", "seconds", "cpu_seconds", "loss")
    return {"name": name, **{key: meta[key] for key in kept}}


def _answer(
    spec: AblationSpec, source: Path, asked: Sequence[Example], *, title: str, progress: Progress
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    from llava_core.checkpoint import load_checkpoint
    from llava_core.inference.logprob import option_logprobs
    from llava_core.inference.place import choose_place

    device, dtype = choose_place(spec.llava_device, spec.llava_dtype or "float32")
    bundle = load_checkpoint(source, device=device, dtype=dtype)
    found = option_logprobs(bundle, asked, layers=(-1,), progress=progress.stage(f"{title}: answers"))
    rows = [
        (example.id, index, float(value))
        for example, scores in zip(asked, found, strict=True)
        for index, value in enumerate(scores.mean)
    ]
    hidden = [scores.hidden[:, 0] for scores in found if scores.hidden is not None]
    vectors = {
        "image_tokens": _image_tokens(bundle, asked, progress.stage(f"{title}: images")),
        "llm_hidden": np.concatenate(hidden),
    }
    return pd.DataFrame(rows, columns=["example_id", "option_index", "mean_logprob"]), vectors


def _image_tokens(
    bundle: "LlavaBundle", asked: Sequence[Example], tick: Callable[[int, int], None]
) -> np.ndarray:
    from llava_core.features.images import show_images

    shown = show_images(bundle, asked, align=None, progress=tick)
    return shown.per_example(asked)["projector"]
