"""The jobs under fault: one command for each stage, small, on material that all runs share.

A job says what it runs in a folder, what of its output must be the same however often it was disturbed, and
which units of work have been finished so far, so that a run that goes on can be asked to leave them alone.
A run is started in a folder of its own and writes ``out`` in it, and nothing but what belongs to it beside.
"""

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.chat_server import ChatServer, serve
from tests.faults.inputs import write_captions, write_questions, write_scenes
from tests.faults.results import (
    ablated,
    answered,
    answers,
    chunks,
    converted,
    drawn,
    extracted,
    filtered,
    generated,
    nothing,
    parts_of_ablation,
    pretrained,
    replies,
    states,
    steps,
    studied,
    trained,
)
from tests.llava_core.instructions.conftest import good_reply

ROOT = Path(__file__).resolve().parents[2]
HOOK = Path(__file__).parent / "hook"


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A command under fault."""

    name: str
    stages: Mapping[str, tuple[str, ...]]
    """What a run goes through, in order; each with patterns of the files that it alone changes."""
    command: Callable[["Material"], list[str]]
    """Arguments of the interpreter, which is started in the run's own folder; the output is ``out`` there."""
    results: Callable[[Path], dict[str, str]]
    """Digests, by name, of what stands at the end in the run's folder, times aside."""
    finished: Callable[[Path], dict[str, str]]
    """Units of work that are finished in a run's folder: name to what changes if one is done again."""
    resume: tuple[str, ...] = ()
    """Added to a command that goes on; most go on without being told."""


class Material:
    """What runs read: made on demand in a folder, once, by the same commands.

    Parameters
    ----------
    folder : Path
        Processes may share it; what is there already is taken up.
    server : ChatServer
    """

    def __init__(self, folder: Path, server: ChatServer) -> None:
        self.folder = folder
        self.server = server

    @cached_property
    def data(self) -> Path:
        """Bundled questions, a few of each part, in the official layout."""
        return self._once("data", write_questions)

    @cached_property
    def scenes(self) -> Path:
        """Scenes to write instruction data about."""
        return self._once("scenes.jsonl", write_scenes)

    @cached_property
    def captions(self) -> list[Path]:
        """Files of captions to be filtered."""
        return [self._once(f"captions_{n}.tsv", write_captions) for n in range(3)]

    @cached_property
    def aligned(self) -> Path:
        """Checkpoint of stage 1."""
        return self.undisturbed(JOBS["align"]) / "out"

    @cached_property
    def finetuned(self) -> Path:
        """Checkpoint of stage 2."""
        return self.undisturbed(JOBS["finetune"]) / "out"

    @cached_property
    def features(self) -> Path:
        """Feature store of the data."""
        return self.undisturbed(JOBS["extract"]) / "out"

    def undisturbed(self, job: Job) -> Path:
        """Return the folder of a run that nothing disturbed."""
        return self._once(job.name, lambda folder: self._run(job, folder))

    def events(self, job: Job) -> Path:
        """Return the file events of the undisturbed run, see `tests.faults.hook`."""
        return self.undisturbed(job).with_suffix(".events")

    def _run(self, job: Job, folder: Path) -> None:
        command = [sys.executable, *job.command(self)]
        folder.mkdir()
        hooked = environment(**watching(folder, folder.with_suffix(".events")))
        words = folder.with_suffix(".words")
        with words.open("w") as file:  # a pipe would be waited for as long as orphans hold it
            code = subprocess.call(command, cwd=folder, env=hooked, stdout=subprocess.DEVNULL, stderr=file)
        assert code == 0, f"{job.name}: {words.read_text()}"

    def _once(self, name: str, make: Callable[[Path], object]) -> Path:
        path = self.folder / name
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f".{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                make(path)
        return path


@contextmanager
def material(folder: Path) -> Iterator[Material]:
    """Open the material in a folder, with a language model behind an endpoint."""
    with serve(good_reply) as server:
        yield Material(folder, server)


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a command: this checkout, one thread, a key for the server."""
    paths = [more.pop("PYTHONPATH", ""), str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "OMP_NUM_THREADS": "1",
        "OPENAI_API_KEY": "sk-secret",
        "COLUMNS": "80",
        **more,
    }


def watching(folder: Path, events: Path, **more: str) -> dict[str, str]:
    """Return what lets a command write down its file events in a folder, see `tests.faults.hook`."""
    return {"PYTHONPATH": str(HOOK), "FAULTS_FOLDER": str(folder), "FAULTS_EVENTS": str(events), **more}


# Commands -------------------------------------------------------------------------------------------------


def llava(*words: object, before: str = "") -> list[str]:
    """Return the `llava` command; ``before`` is said first, to cut a small job into several units."""
    return ["-c", f"{before}\nfrom llava_core.cli import main\nmain()", *map(str, words)]


def studies(*words: object, before: str = "") -> list[str]:
    """Return the `studies` command; ``before`` as for `llava`."""
    return ["-c", f"{before}\nfrom studies.cli import main\nmain()", *map(str, words)]


def data_mini(made: Material) -> list[str]:
    return studies("data", "mini", "--out", "out", before=FEW_QUESTIONS)


FEW_QUESTIONS = """
from dataclasses import replace
from llava_core.data.mini.parts import QUOTAS
QUOTAS |= {part: tuple(replace(quota, n=8) for quota in QUOTAS[part]) for part in QUOTAS}
"""
"""Bundled data of a few questions in each slice."""


def pretrain_mini(made: Material) -> list[str]:
    return llava("pretrain-mini", "--out", "out", before=FEW_QUESTIONS + FEW_STEPS)


FEW_STEPS = """
import llava_core.data.mini as mini
import llava_core.train.pretrain as training
texts = list(mini.pretrain_texts(n=20))
mini.pretrain_texts = lambda seed: texts
config = training.PretrainConfig()
few = {name: replace(getattr(config, name), n_steps=4, batch_size=4) for name in ("clip", "llm")}
training.PretrainConfig.__init__.__kwdefaults__.update(few, held_out_frac=0.5)
"""
"""A pre-training that learns nothing."""


def generate(made: Material) -> list[str]:
    return llava(
        "generate", "--scenes", made.scenes, "--endpoint", made.server.url, "--model", "m",
        "--concurrency", 2, "--out", "out",
    )  # fmt: skip


def filter_captions(made: Material) -> list[str]:
    files = [word for file in made.captions for word in ("--captions", file)]
    return llava("filter", *files, "--min-count", 2, "--max-per-phrase", 9, "--out", "out")


def align(made: Material) -> list[str]:
    return llava("align", "--data", made.data, "--out", "out", *TRAINING)


def finetune(made: Material) -> list[str]:
    return llava("finetune", "--data", made.data, "--base", made.aligned, "--out", "out", *TRAINING)


TRAINING = (
    "--set", "stage.n_epochs=2", "--set", "stage.batch_size=8",
    "--set", "run.save_every_steps=1", "--set", "run.vision=disk",
)  # fmt: skip


def convert(made: Material) -> list[str]:
    return llava("convert", "--source", made.finetuned, "--dtype", "float16", "--out", "out")


def extract(made: Material) -> list[str]:
    return llava(
        "extract", "--data", made.data, "--checkpoint", made.finetuned, "--stage1", made.aligned,
        "--device", "cpu", "--out", "out",
        before="import llava_core.features.extract as e; e.MOST_QUESTIONS = e.FEWEST_QUESTIONS = 16",
    )  # fmt: skip


def answer(made: Material) -> list[str]:
    return llava(
        "answer", "--data", made.data, "--part", "test", "--checkpoint", made.finetuned, "--device", "cpu",
        "--batch-size", 1, "--max-new-tokens", 4, "--out", "out/answers.jsonl",
    )  # fmt: skip


def ensemble_vs_llm(made: Material) -> list[str]:
    return studies(
        "run", "ensemble_vs_llm", "--data", made.data, "--features", made.features, "--preset", "quick",
        "--limit", 16, "--set", "n_boot=20", "--set", "curve_trees=1", "--set", "curve_xgbs=1",
        "--out", "out",
    )  # fmt: skip


def embedding_probe(made: Material) -> list[str]:
    return studies(
        "run", "embedding_probe", "--data", made.data, "--features", made.features, "--preset", "quick",
        "--limit", 16, "--set", "n_boot=20", "--set", "probes=linear", "--set", "targets=skill",
        "--set", "blocks=projector,llm_hidden", "--out", "out",
    )  # fmt: skip


def stage_ablation(made: Material) -> list[str]:
    return studies(
        "run", "stage_ablation", "--preset", "quick", "--limit", 16, "--set", "n_boot=20",
        "--set", "variants=both,gated_cross_attention", "--out", "out",
        before=FEW_QUESTIONS + SMALL_BATCHES,
    )  # fmt: skip


SMALL_BATCHES = """
import llava_core.recipes as recipes
recipe = recipes.mini_cpu()
often = replace(recipe.align_run, save_every_steps=1)
stages = {"align": replace(recipe.align, batch_size=8), "finetune": replace(recipe.finetune, batch_size=8)}
recipe = replace(recipe, **stages, align_run=often, finetune_run=often)
recipes.RECIPES = {"mini_cpu": lambda: recipe}
"""
"""A training of several steps, each of which leaves a state."""

REPORT = ("out/*summary.json*", "out/*report.*", "out/tables/*", "out/*optuna.[chj]*", "out/*manifest.json*")
ENSEMBLE_STAGES = {
    "tuning": ("out/.lock", "out/optuna/*", "out/steps/*tune.*"),
    "stacking": ("out/models/*", "out/oof/*.npy*", "out/steps/*fit.*", "out/steps/*oof.*"),
    "report": (*REPORT, "out/*predictions.parquet*", "out/*questions.parquet*"),
}
ABLATION_STAGES = {
    "data generation": ("out/.lock", "out/*data*", "out/steps/*data.*"),
    "training": ("out/checkpoints/*", "out/steps/*train.*"),
    "answers": ("out/variants/*scores.*", "out/variants/*vectors.*", "out/steps/*answer.*"),
    "probing": ("out/variants/*probes.npz*", "out/steps/*probe.*"),
    "report": (*REPORT, "out/*.csv*", "out/*.parquet*"),
}
PROBING_STAGES = {"probing": ("out/.lock", "out/cells/*", "out/steps/*"), "report": REPORT}

JOBS: Mapping[str, Job] = {
    job.name: job
    for job in (
        Job(
            name="data_mini", stages={"data generation": ("*",)}, command=data_mini, results=drawn,
            finished=nothing,
        ),
        Job(
            name="pretrain_mini", stages={"pre-training": ("*",)}, command=pretrain_mini, results=pretrained,
            finished=nothing,
        ),
        Job(
            name="generate", stages={"data generation": ("*",)}, command=generate, results=generated,
            finished=replies,
        ),
        Job(
            name="filter", stages={"data generation": ("*",)}, command=filter_captions, results=filtered,
            finished=chunks,
        ),
        Job(name="align", stages={"stage 1": ("*",)}, command=align, results=trained, finished=states),
        Job(name="finetune", stages={"stage 2": ("*",)}, command=finetune, results=trained, finished=states),
        Job(
            name="convert", stages={"conversion": ("*",)}, command=convert, results=converted,
            finished=nothing,
        ),
        Job(
            name="extract", stages={"extraction": ("*",)}, command=extract, results=extracted,
            finished=chunks,
        ),
        Job(
            name="answer", stages={"answers": ("*",)}, command=answer, results=answered, finished=answers
        ),
        Job(
            name="ensemble_vs_llm", stages=ENSEMBLE_STAGES, command=ensemble_vs_llm,
            results=studied, finished=steps, resume=("--resume",),
        ),
        Job(
            name="embedding_probe", stages=PROBING_STAGES, command=embedding_probe, results=studied,
            finished=steps, resume=("--resume",),
        ),
        Job(
            name="stage_ablation", stages=ABLATION_STAGES, command=stage_ablation, results=ablated,
            finished=parts_of_ablation, resume=("--resume",),
        ),
    )
}  # fmt: skip
"""By name, in the order in which a project runs them."""
