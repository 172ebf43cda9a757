"""The jobs under fault: one command for each stage, small, on material that all runs share.

A job says what it runs in a folder, what of its output must be the same however often it was disturbed, and
which units of work have been finished so far, so that a run that goes on can be asked to leave them alone.
A run is started in a folder of its own and writes ``out`` in it, and nothing but what belongs to it beside.
"""

import fcntl
import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from studies.catalog.same_results import ASIDE
from tests.chat_server import ChatServer, serve
from tests.llava_core.instructions.conftest import good_reply

ROOT = Path(__file__).resolve().parents[2]
HOOK = Path(__file__).parent / "hook"
PARTS = {"train_llm": 24, "train_ensemble": 48, "val": 12, "test": 20}
"""Questions of each part of the data."""
N_SCENES, N_CAPTIONS = 8, 60
TIMES = ("seconds", "cpu_seconds")


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A command under fault."""

    name: str
    stages: tuple[str, ...]
    """What a run of it goes through."""
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
        done = subprocess.run(command, cwd=folder, env=hooked, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{job.name}: {done.stderr}"

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


# Material -------------------------------------------------------------------------------------------------


def write_questions(folder: Path) -> None:
    """Write the first bundled questions of each part."""
    from llava_core.data.mini.parts import generate
    from llava_core.data.mini.write import record

    problems: dict[str, Any] = {}
    captions: dict[str, str | None] = {}
    splits: dict[str, list[str]] = {}
    for part, n in PARTS.items():
        for number, item in enumerate(islice(generate(part), n)):
            id_ = f"{part}_{number:03d}"
            problems[id_] = record(item)
            splits.setdefault(part, []).append(id_)
            if item.image is not None:
                captions[id_] = item.caption
                (folder / "images" / part / id_).mkdir(parents=True)
                item.image.save(folder / "images" / part / id_ / "image.png")
    (folder / "pid_splits.json").write_text(json.dumps(splits))
    (folder / "captions.json").write_text(json.dumps({"captions": captions}))
    (folder / "problems.json").write_text(json.dumps(problems))


def write_scenes(file: Path) -> None:
    """Write scenes of two captions each, some with a box."""
    scenes = [
        {
            "id": f"{n:03d}",
            "image": f"{n:03d}.jpg",
            "captions": [f"Scene number {n} with a dog.", "A dog outside."],
            "instances": [{"category": "dog", "bbox": [0.1, 0.2, 0.5, 0.75]}] if n % 3 else [],
        }
        for n in range(N_SCENES)
    ]
    file.write_text("".join(f"{json.dumps(scene)}\n" for scene in scenes))


def write_captions(file: Path) -> None:
    """Write captions with an address each, of things that are seen more or less often."""
    things = ("dog", "red car", "small house", "green tree", "black cat")
    lines = [
        f"a {things[n % 5]} beside a {things[n * n % 4]}\thttp://{file.stem}/{n}" for n in range(N_CAPTIONS)
    ]
    file.write_text("\n".join(lines) + "\n")


# Commands -------------------------------------------------------------------------------------------------


def llava(*words: object, before: str = "") -> list[str]:
    """Return the `llava` command; ``before`` is said first, to cut a small job into several units."""
    return ["-c", f"{before}\nfrom llava_core.cli import main\nmain()", *map(str, words)]


def studies(*words: object) -> list[str]:
    """Return the `studies` command."""
    return ["-c", "from studies.cli import main\nmain()", *map(str, words)]


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


def extract(made: Material) -> list[str]:
    return llava(
        "extract", "--data", made.data, "--checkpoint", made.finetuned, "--stage1", made.aligned,
        "--device", "cpu", "--out", "out",
        before="import llava_core.features.extract as e; e.MOST_QUESTIONS = e.FEWEST_QUESTIONS = 16",
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


# Results --------------------------------------------------------------------------------------------------


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def files_of(folder: Path, *patterns: str, but: Sequence[str] = ()) -> dict[str, str]:
    """Return the digest of each file that matches."""
    found = sorted({file for pattern in patterns for file in folder.glob(pattern) if file.is_file()})
    return {
        str(file.relative_to(folder)): digest(file.read_bytes()) for file in found if file.name not in but
    }


def plain(value: Any, aside: frozenset[str] | tuple[str, ...]) -> Any:
    """Return plain values without some fields, at whatever depth."""
    if isinstance(value, Mapping):
        return {key: plain(each, aside) for key, each in value.items() if key not in aside}
    return [plain(each, aside) for each in value] if isinstance(value, list) else value


def json_digest(file: Path, aside: frozenset[str] | tuple[str, ...]) -> str:
    return digest(json.dumps(plain(json.loads(file.read_text()), aside), sort_keys=True).encode())


def generated(folder: Path) -> dict[str, str]:
    out = folder / "out"
    return files_of(out, "*", but=["replies.sqlite"]) | {name: "reply" for name in replies(folder)}


def filtered(folder: Path) -> dict[str, str]:
    return files_of(folder / "out", "*")


def trained(folder: Path) -> dict[str, str]:
    out = folder / "out"
    training = json_digest(out / "training.json", TIMES)
    return files_of(out, "*", but=["training.json", "manifest.json"]) | {"training.json": training}


def extracted(folder: Path) -> dict[str, str]:
    return files_of(folder / "out", "**/*")


def studied(folder: Path) -> dict[str, str]:
    out = folder / "out"
    found = files_of(out, "predictions.parquet", "questions.parquet", "oof/*.npy", "cells/*.npz")
    return found | {"summary.json": json_digest(out / "summary.json", ASIDE)}


# Units ----------------------------------------------------------------------------------------------------


def marks_of(folder: Path, *patterns: str) -> dict[str, str]:
    """Return, for each file that matches, what changes when it is written again."""
    found = {}
    for pattern in patterns:
        for file in folder.glob(pattern):
            status = file.stat()
            found[str(file.relative_to(folder))] = f"{status.st_ino} {status.st_mtime_ns}"
    return found


def replies(folder: Path) -> dict[str, str]:
    """Return the replies that are kept, each with its row, which is another if it was asked for again."""
    file = folder / "out" / "replies.sqlite"
    if not file.is_file():
        return {}
    with sqlite3.connect(file) as base:
        try:
            rows = base.execute("SELECT key, rowid FROM replies").fetchall()
        except sqlite3.OperationalError:  # the run was killed before it made the table
            rows = []
    base.close()
    return {key: str(row) for key, row in rows}


def chunks(folder: Path) -> dict[str, str]:
    return marks_of(folder, "out.parts/*/chunk-*", "out/manifest.json", "out/summary.json")


def states(folder: Path) -> dict[str, str]:
    found = marks_of(folder, "out.training/*/step-*", "out/manifest.json", "vision_features/*/features-*")
    return found


def steps(folder: Path) -> dict[str, str]:
    """Return what a study has done: steps, folds of estimators, and trials."""
    out = folder / "out"
    found = marks_of(folder, "out/oof/folds/[!.]*.npz", "out/models/*/method.json")
    for marker in sorted((out / "steps").glob("[!.]*.json")):
        told = json.loads(marker.read_text())
        if told["state"] == "done":
            found[f"step {told['name']}"] = marks_of(folder, str(marker.relative_to(folder))).popitem()[1]
    for journal in sorted((out / "optuna").glob("*.journal")):
        found |= {f"trial {number} of {journal.stem}": ended for number, ended in trials(journal).items()}
    return found


def trials(journal: Path) -> dict[int, str]:
    """Return when each trial of a journal ended; a line that was torn off at the end is no line."""
    ended = {}
    for line in journal.read_text().splitlines(keepends=True):
        told = json.loads(line) if line.endswith("\n") else {}
        if told.get("datetime_complete"):
            ended[told["trial_id"]] = told["datetime_complete"]
    return ended


JOBS: Mapping[str, Job] = {
    job.name: job
    for job in (
        Job(
            name="generate", stages=("data generation",), command=generate, results=generated,
            finished=replies,
        ),
        Job(
            name="filter", stages=("data generation",), command=filter_captions, results=filtered,
            finished=chunks,
        ),
        Job(name="align", stages=("stage 1",), command=align, results=trained, finished=states),
        Job(name="finetune", stages=("stage 2",), command=finetune, results=trained, finished=states),
        Job(name="extract", stages=("extraction",), command=extract, results=extracted, finished=chunks),
        Job(
            name="ensemble_vs_llm", stages=("tuning", "stacking", "report"), command=ensemble_vs_llm,
            results=studied, finished=steps, resume=("--resume",),
        ),
        Job(
            name="embedding_probe", stages=("probing", "report"), command=embedding_probe, results=studied,
            finished=steps, resume=("--resume",),
        ),
    )
}  # fmt: skip
"""By name, in the order in which a project runs them."""
