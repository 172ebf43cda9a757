"""Named complete configurations, and the runs made of them [edge].

A recipe is two stages. `mini_cpu` trains the shipped tiny models live on two cores; `llava_v1` holds the
numbers of the paper for a full-size model, in the same type.
"""

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from llava_core.checkpoint import LlavaBundle, load_checkpoint
from llava_core.data.example import Example
from llava_core.errors import InputError
from llava_core.train.loop import OptimConfig, Progress
from llava_core.train.run import run_stage
from llava_core.train.stage import StageConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """Both stages of LLaVA."""

    align: StageConfig
    """Stage 1: the projector learns captions."""
    finetune: StageConfig
    """Stage 2: projector and language model learn questions."""


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


def llava_v1() -> Recipe:
    """Return the numbers of the LLaVA paper (section 4.2), for a CLIP and a Vicuna of full size."""
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
        ),
    )


RECIPES: Mapping[str, Callable[[], Recipe]] = {"mini_cpu": mini_cpu, "llava_v1": llava_v1}


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
    for stage in (chosen.align, chosen.finetune):
        paths[stage.name] = run_stage(
            stage,
            bundle,
            examples,
            out=Path(out) / stage.name,
            seed=seed,
            n_threads=n_threads,
            progress=_named(stage.name, progress),
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
    from llava_core.data.mini import mini_fingerprint, pretrain_texts, texts_fingerprint, write_mini
    from llava_core.data.scienceqa import load_scienceqa
    from llava_core.train.pretrain import PretrainConfig, pretrain

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "pretrain"
        write_mini(root, seed=seed, parts=("pretrain",))
        data = load_scienceqa(root)
        texts = list(pretrain_texts(seed))
        bundle = pretrain(data.examples, texts, PretrainConfig(), seed=seed, progress=progress)
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
    (Path(out) / "card.json").write_text(json.dumps(card, indent=1) + "\n")
    return Path(out)


def _named(stage: str, progress: Callable[[str, int, int], None] | None) -> Progress | None:
    if progress is None:
        return None
    return lambda done, total: progress(stage, done, total)
