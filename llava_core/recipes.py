"""Named complete configurations, and the runs made of them [edge].

A recipe is two stages, how they run, and what they start from. `mini_cpu` trains the shipped tiny models live
on two cores; the others hold the published hyperparameters for a CLIP and a Vicuna of full size, in the same
types. Each names its source: LLaVA's paper (Liu et al. 2023a), its improved baselines (2023b), or a script of
its repository.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.resources import as_file, files
from pathlib import Path
from typing import Literal

from llava_core.checkpoint import LlavaBundle, load_checkpoint
from llava_core.data.example import Example
from llava_core.drafts import whole_file
from llava_core.errors import InputError
from llava_core.folders import check_replaceable, scratch_folder
from llava_core.train.loop import OptimConfig, Progress
from llava_core.train.lora import LoraSettings
from llava_core.train.run import run_stage
from llava_core.train.run_config import RunConfig
from llava_core.train.stage import StageConfig

Size = Literal["7b", "13b"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """The published weights that a recipe starts from, by hub name or folder."""

    clip: str
    llm: str
    projector: str
    """Kind, of `llava_core.model.projector.PROJECTORS`."""
    template: str
    """Template that the finished model is asked with."""
    pad_to_square: bool
    """Whether images are padded to a square, rather than cropped to one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StagePlan:
    """A stage and how it runs: what ``--set`` changes."""

    stage: StageConfig
    run: RunConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """Both stages of LLaVA."""

    align: StageConfig
    """Stage 1: the projector learns captions."""
    finetune: StageConfig
    """Stage 2: projector and language model learn questions."""
    align_run: RunConfig = RunConfig(device="cpu")
    finetune_run: RunConfig = RunConfig(device="cpu")
    parts: Parts | None = None
    """None for the shipped tiny models."""

    def plan(self, stage: Literal["align", "finetune"]) -> StagePlan:
        """Return one stage and how it runs."""
        if stage == "align":
            return StagePlan(stage=self.align, run=self.align_run)
        return StagePlan(stage=self.finetune, run=self.finetune_run)


def mini_cpu() -> Recipe:
    """Return the recipe of the tiny model: minutes on two cores, from the shipped weights.

    Chosen on val of the bundled data. Stage 2 begins with descriptions: without them the language model does
    not learn within minutes which patch a colour stands in (image questions of val 57 %, with them 66 to 69).
    """
    return Recipe(
        align=StageConfig(
            name="align",
            trains=("projector",),
            tasks="captions",
            template="mini_plain",
            n_epochs=0.5,
            batch_size=32,
            optim=OptimConfig(lr=2e-3),
            new_projector=True,
        ),
        finetune=StageConfig(
            name="finetune",
            trains=("projector", "llm"),
            tasks="questions",
            template="mini_v1",
            describe_epochs=0.7,
            n_epochs=3.5,
            batch_size=16,
            optim=OptimConfig(lr=2.5e-3, betas=(0.9, 0.98)),
        ),
    )


def llava_v1(size: Size) -> Recipe:
    """Return LLaVA v1: linear projector, 224 pixels, CC-595K or LCS-558K, then Instruct-158K.

    References
    ----------
    Liu et al. (2023a), Visual Instruction Tuning, section 4.2 and appendix; the reference repository's
    ``pretrain.sh`` and ``finetune_full_schedule.sh``.
    """
    return Recipe(
        align=StageConfig(
            name="align",
            trains=("projector",),
            tasks="captions",
            template="plain",
            n_epochs=1,
            batch_size=128,
            optim=OptimConfig(lr=2e-3),
            new_projector=True,
            packing=True,
        ),
        finetune=StageConfig(
            name="finetune",
            trains=("projector", "llm"),
            tasks="questions",
            template="v1",
            n_epochs=3,
            batch_size=32,
            optim=OptimConfig(lr=2e-5),
            shuffle_options=False,
            packing=True,
        ),
        align_run=RunConfig(precision="bf16", tokens_per_piece=8192, vision="live"),
        finetune_run=RunConfig(precision="bf16", strategy="fsdp", tokens_per_piece=4096, vision="disk"),
        parts=Parts(
            clip="openai/clip-vit-large-patch14",
            llm=f"lmsys/vicuna-{size}-v1.3",
            projector="linear",
            template="v1",
            pad_to_square=False,
        ),
    )


def scienceqa(size: Size) -> Recipe:
    """Return LLaVA on ScienceQA: stage 1 of v1, then 12 epochs of questions, lecture and solution first.

    References
    ----------
    Liu et al. (2023a), section 5.2; prompt and template of the reference repository from August 2023 on
    (``finetune_sqa.sh``, format QCM-LEA).
    """
    base = llava_v1(size)
    assert base.parts is not None
    return replace(
        base,
        finetune=replace(
            base.finetune,
            prompt="QCM-LEA",
            template="llava_v1",
            n_epochs=12,
        ),
        parts=replace(base.parts, template="llava_v1"),
    )


def llava_v1_5(size: Size) -> Recipe:
    """Return LLaVA 1.5: two-layer MLP, 336 pixels, padded images, LCS-558K, then the mix of 665K.

    References
    ----------
    Liu et al. (2023b), Improved Baselines with Visual Instruction Tuning, table 9; ``scripts/v1_5``.
    """
    base = llava_v1(size)
    return replace(
        base,
        align=replace(base.align, batch_size=256, optim=OptimConfig(lr=1e-3)),
        finetune=replace(base.finetune, batch_size=128, n_epochs=1),
        finetune_run=replace(base.finetune_run, vision="live"),
        parts=Parts(
            clip="openai/clip-vit-large-patch14-336",
            llm=f"lmsys/vicuna-{size}-v1.5",
            projector="mlp2x_gelu",
            template="v1",
            pad_to_square=True,
        ),
    )


def llava_v1_5_lora(size: Size) -> Recipe:
    """Return LLaVA 1.5 with adapters in place of the language model's weights in stage 2.

    References
    ----------
    The reference repository's ``scripts/v1_5/finetune_lora.sh``: rank 128, alpha 256, dropout 0.05, rate
    2e-4, projector at 2e-5.
    """
    base = llava_v1_5(size)
    return replace(
        base,
        finetune=replace(base.finetune, lora=LoraSettings(), optim=OptimConfig(lr=2e-4, projector_lr=2e-5)),
        finetune_run=replace(base.finetune_run, strategy="ddp"),
    )


RECIPES: Mapping[str, Callable[[], Recipe]] = {
    "mini_cpu": mini_cpu,
    "llava_v1_7b": partial(llava_v1, "7b"),
    "llava_v1_13b": partial(llava_v1, "13b"),
    "scienceqa_7b": partial(scienceqa, "7b"),
    "scienceqa_13b": partial(scienceqa, "13b"),
    "llava_v1_5_7b": partial(llava_v1_5, "7b"),
    "llava_v1_5_13b": partial(llava_v1_5, "13b"),
    "llava_v1_5_lora_7b": partial(llava_v1_5_lora, "7b"),
    "llava_v1_5_lora_13b": partial(llava_v1_5_lora, "13b"),
}


def find_recipe(name: str) -> Recipe:
    """Return a recipe by its name.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if name not in RECIPES:
        raise InputError(f"got recipe {name!r}, allowed are {', '.join(sorted(RECIPES))}", field="recipe")
    return RECIPES[name]()


def start(
    recipe: Recipe,
    plan: StagePlan,
    *,
    base: str | None = None,
    clip: str | None = None,
    llm: str | None = None,
    seed: int = 0,
) -> LlavaBundle:
    """Return what a stage starts from: a checkpoint, a pair of published models, or the shipped tiny ones.

    Parameters
    ----------
    recipe : Recipe
    plan : StagePlan
        In bf16 weights are loaded in bfloat16: what learns becomes float32 on its device.
    base : str, optional
        Checkpoint, folder or hub name.
    clip, llm : str, optional
        In place of the recipe's own parts.
    seed : int
        Of a fresh projector.

    Raises
    ------
    InputError
        If there is no such model, or parts are named beside a checkpoint or for a recipe without any.
    """
    import torch

    from llava_core.checkpoint import join_models

    dtype = torch.bfloat16 if plan.run.precision == "bf16" else torch.float32
    if base is not None:
        if clip or llm:
            raise InputError("got --base beside --clip or --llm, allowed is one of both", field="base")
        return load_checkpoint(base, dtype=dtype)
    if recipe.parts is None:
        if clip or llm:
            raise InputError("got --clip or --llm for the recipe of the shipped models", field="recipe")
        return load_mini()
    return join_models(
        clip or recipe.parts.clip,
        llm or recipe.parts.llm,
        projector=recipe.parts.projector,
        template=recipe.parts.template,
        pad_to_square=recipe.parts.pad_to_square,
        dtype=dtype,
        seed=seed,
    )


def load_mini() -> LlavaBundle:
    """Return the shipped tiny models: pre-trained CLIP and language model, an untrained projector."""
    with as_file(files("llava_core") / "weights" / "mini") as path:
        return load_checkpoint(path)


def train_llava(
    examples: Sequence[Example],
    out: Path,
    *,
    seed: int,
    recipe: str | Recipe = "mini_cpu",
    base: Path | None = None,
    n_threads: int | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    tell: Callable[[str], None] | None = None,
) -> dict[str, Path]:
    """Train both stages and return their checkpoints; a finished stage of the same inputs is reused.

    Parameters
    ----------
    examples : sequence of Example
        Captioned images teach stage 1, answered questions stage 2.
    out : Path
        Folder for the checkpoints, one sub-folder per stage.
    seed : int
    recipe : str or Recipe
    base : Path, optional
        Checkpoint to start from; the shipped tiny models if not given.
    n_threads : int, optional
        Threads of torch; all cores this process may use if not given.
    progress : callable, optional
        Called with (stage, steps done, steps in all).
    tell : callable, optional
        Called with a line that a person should see, as by `llava_core.train.run.run_stage`.

    Returns
    -------
    dict
        Name of the stage to its checkpoint, in order of training.

    Raises
    ------
    InputError
        If the recipe is unknown, no example can be learned from, or an image cannot be read.
    """
    chosen = find_recipe(recipe) if isinstance(recipe, str) else recipe
    bundle = load_mini() if base is None else load_checkpoint(base)
    paths: dict[str, Path] = {}
    for stage, run in ((chosen.align, chosen.align_run), (chosen.finetune, chosen.finetune_run)):
        paths[stage.name] = run_stage(
            stage,
            bundle,
            examples,
            out=Path(out) / stage.name,
            seed=seed,
            run=run,
            n_threads=n_threads,
            progress=_named(stage.name, progress),
            tell=tell,
        )
        bundle = load_checkpoint(paths[stage.name])
    return paths


def pretrain_mini(out: Path, *, seed: int = 0, progress: Progress | None = None) -> Path:
    """Make the shipped tiny models anew: generate the pre-training part, train on it, write weights and card.

    About an hour on two cores (`training.json` has the seconds). The same seed on the same machine gives the
    same weights.

    Parameters
    ----------
    out : Path
        Folder of the checkpoint; ``card.json`` in it says what was done and measured.
    seed : int
    progress : callable, optional

    Returns
    -------
    Path
        ``out``.
    """
    import torch

    from llava_core.checkpoint import checkpoint_hash, save_checkpoint
    from llava_core.checkpoint.folder import MARKS
    from llava_core.data.mini import mini_fingerprint, pretrain_texts, texts_fingerprint, write_mini
    from llava_core.data.scienceqa import load_scienceqa
    from llava_core.train.pretrain import PretrainConfig, pretrain

    check_replaceable(out, marks=MARKS)
    with scratch_folder(out) as scratch:
        root = scratch / "pretrain"
        write_mini(root, seed=seed, parts=("pretrain",))
        data = load_scienceqa(root)
        texts = list(pretrain_texts(seed))
        bundle = pretrain(
            data.examples, texts, PretrainConfig(), scratch=scratch, seed=seed, progress=progress
        )
    save_checkpoint(bundle, out, stage="pretrained", seen_ids=(), dtype=torch.float16)
    card = {
        "what": "tiny CLIP and tiny Llama for the bundled data; they play CLIP's and Vicuna's part",
        "command": f"llava pretrain-mini --out DIR --seed {seed}",
        "trained_on": "pretrain part of the bundled data and its texts, nothing else",
        "data_fingerprint": {
            "pretrain": mini_fingerprint("pretrain", seed=seed),
            "pretrain_texts": texts_fingerprint(seed),
        },
        "checkpoint_hash": checkpoint_hash(out),
        "files": json.loads((Path(out) / "manifest.json").read_text())["files"],
        "n_weights": {
            "clip": sum(p.numel() for p in bundle.whole_clip.parameters()),
            "llm": sum(p.numel() for p in bundle.model.llm.parameters()),
        },
        "auxiliary_loss": "beside CLIP's loss, a captioner, thrown away, reads the patches (as in CoCa)",
        "limits": "knows the bundled drawings and texts only; of no use on other images or questions",
    }
    with whole_file(Path(out) / "card.json") as draft:
        draft.write_text(json.dumps(card, indent=1) + "\n")
    return Path(out)


def _named(stage: str, progress: Callable[[str, int, int], None] | None) -> Progress | None:
    if progress is None:
        return None
    return lambda done, total: progress(stage, done, total)
