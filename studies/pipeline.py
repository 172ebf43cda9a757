"""Brings a run to the data, the checkpoint and the feature store it needs: the only door to torch [edge].

Starts at whatever the run is given: a feature store, a checkpoint, a data set, or nothing. torch is
imported by the steps that train, extract or answer, and only when they are not done already.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from llava_core.backends.budget import Budget
from llava_core.backends.chat import Backend, Request
from llava_core.data.example import Dataset, Example
from llava_core.data.load import load_dataset
from llava_core.data.mini import VERSION as GENERATOR_VERSION
from llava_core.errors import InputError
from llava_core.features.store import FeatureStore
from studies.files import remove, write_json, write_parquet
from studies.progress import Progress, Tick
from studies.rundir import Facts, RunDir, digest
from studies.spec.base import DEFAULT_RECIPE, StudySpec
from studies.spec.ensemble import EnsembleSpec

if TYPE_CHECKING:
    from llava_core.inference.logprob import OptionLogprobs

DATA_SEED = 0
"""The bundled data is frozen: every run uses the same, whatever its own seed."""
BUNDLED_NAME = "Mini-ScienceQA"
STAGES = ("align", "finetune")


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoints:
    """LLaVA as the run uses it."""

    paths: Mapping[str, Path]
    """Stage to checkpoint; ``finetune`` answers, ``align`` is there where this run trained it."""
    hashes: Mapping[str, str]
    """Stage to what its checkpoint is told by."""
    stages: tuple[dict[str, Any], ...] = ()
    """Loss curve, steps and seconds of each stage that this run trained."""

    @property
    def costs(self) -> Facts:
        """Seconds of the training, None where this run trained nothing, and bytes of the last weights."""
        folder = self.paths["finetune"]
        weights = [*folder.glob("*.safetensors")] or [*folder.glob("*.bin")]
        return {
            "fit_s": sum(stage["seconds"] for stage in self.stages) if self.stages else None,
            "size_bytes": sum(file.stat().st_size for file in weights),
        }


def check_recipe(spec: StudySpec) -> None:
    """Check the recipe of a run that would train, before anything is drawn; the default is not in question.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if spec.features is None and spec.llava is None and spec.recipe != DEFAULT_RECIPE:
        from llava_core.recipes import find_recipe

        find_recipe(spec.recipe)


def load_data(spec: StudySpec, run: RunDir, progress: Progress) -> Dataset:
    """Return the data set of the run, writing the bundled one into the run folder where none is given."""
    if spec.data is not None:
        return load_file(spec.data, progress)
    folder = run.path / "data"

    def write() -> None:
        from llava_core.data.mini import write_mini

        remove(folder)
        write_mini(folder, seed=DATA_SEED, progress=tick)

    tick = progress.stage("draw the bundled data")
    run.step("data", inputs={"seed": DATA_SEED, "version": GENERATOR_VERSION}, outputs=["data"], do=write)
    return replace(load_file(folder, progress), name=BUNDLED_NAME)


def load_file(path: Path, progress: Progress) -> Dataset:
    """Return the data set in a folder or file."""
    progress.stage(f"read {path.name}")
    return load_dataset(path)


def bring_checkpoints(
    spec: StudySpec, run: RunDir, train_llm: Sequence[Example], *, fingerprint: str, progress: Progress
) -> Checkpoints | None:
    """Return the LLaVA of the run: the given one, one trained here, or None without either.

    Parameters
    ----------
    spec : StudySpec
    run : RunDir
    train_llm : sequence of Example
        What LLaVA may learn from; empty where the data declares no such part.
    fingerprint : str
        Of the data set.
    progress : Progress

    Raises
    ------
    InputError
        If the given checkpoint is none.
    """
    if spec.features is not None:
        return None
    if spec.llava is not None:
        return _given(spec.llava)
    if not train_llm:
        return None
    out = run.path / "checkpoint"

    def train() -> Facts:
        from llava_core.recipes import train_llava

        bars: dict[str, Tick] = {}

        def tick(stage: str, done: int, total: int) -> None:
            if stage not in bars:
                bars[stage] = progress.stage(f"train LLaVA: {stage}")
            bars[stage](done, total)

        paths = train_llava(
            train_llm, out, seed=spec.seed, recipe=spec.recipe, progress=tick, tell=progress.note
        )
        return {"stages": [_stage_facts(name, path) for name, path in paths.items()]}

    facts = run.step(
        "checkpoint",
        inputs={
            "data": fingerprint,
            "ids": digest_ids(train_llm),
            "recipe": spec.recipe,
            "recipes": (files("llava_core") / "recipes.py").read_text(encoding="utf-8"),
            "version": version("llava-ensembles"),
            "base": (files("llava_core") / "weights" / "mini" / "manifest.json").read_text(),
            "seed": spec.seed,
        },
        outputs=[f"checkpoint/{stage}" for stage in STAGES],
        do=train,
    )
    return _trained(out, stages=tuple(facts["stages"]))


def bring_store(
    spec: StudySpec,
    run: RunDir,
    checkpoints: Checkpoints | None,
    examples: Sequence[Example],
    *,
    fingerprint: str,
    progress: Progress,
    clip_layers: Sequence[int] = (),
) -> FeatureStore | None:
    """Return the feature store of the examples: the given one, one extracted here, or None without LLaVA.

    Parameters
    ----------
    spec : StudySpec
    run : RunDir
    checkpoints : Checkpoints or None
    examples : sequence of Example
    fingerprint : str
        Of the data set.
    progress : Progress
    clip_layers : sequence of int
        Hidden states of the vision tower for the block clip_layers of a store extracted here; a given store
        has the blocks that it has.

    Raises
    ------
    InputError
        If the given store is half written, changed, or of another data set.
    """
    if spec.features is not None:
        store = FeatureStore.open(spec.features, data_fingerprint=fingerprint)
        held = set(store.rows["example_id"])
        lacking = [example.id for example in examples if example.id not in held]
        if lacking:
            problem = f"the store lacks {len(lacking)} of {len(examples)} questions, first {lacking[0]}"
            raise InputError(problem, path=spec.features)
        return store
    if checkpoints is None:
        return None
    out = run.path / "features"

    def extract() -> None:
        extract_with(
            spec, checkpoints, examples, out,
            fingerprint=fingerprint, progress=progress, clip_layers=clip_layers,
        )  # fmt: skip

    run.step(
        "features",
        inputs={
            "data": fingerprint,
            "ids": digest_ids(examples),
            "checkpoints": checkpoints.hashes,
            "dtype": spec.llava_dtype,
            "clip": spec.llava_clip,
            **({"clip_layers": list(clip_layers)} if clip_layers else {}),
        },
        outputs=["features"],
        do=extract,
    )
    return FeatureStore.open(out)


def extract_with(
    spec: StudySpec,
    checkpoints: Checkpoints,
    examples: Sequence[Example],
    out: Path,
    *,
    fingerprint: str,
    progress: Progress,
    clip_layers: Sequence[int] = (),
) -> FeatureStore:
    """Extract the features of examples into a store and return it; one that was cut off goes on."""
    from llava_core.features.extract import extract_features

    device, dtype = llava_place(spec)
    extract_features(
        checkpoints.paths,
        examples,
        out,
        data_fingerprint=fingerprint,
        device=device,
        dtype=dtype,
        clip=spec.llava_clip,
        clip_layers=clip_layers,
        progress=progress.stage("extract features"),
        tell=progress.note,
    )
    return FeatureStore.open(out)


def score_variants(
    spec: StudySpec,
    run: RunDir,
    checkpoints: Checkpoints,
    examples: Sequence[Example],
    *,
    fingerprint: str,
    progress: Progress,
) -> pd.DataFrame:
    """Return LLaVA's option likelihoods under what should break it: a blank image, and stage 1 alone.

    Returns
    -------
    DataFrame
        ``variant example_id option_index mean_logprob``; only the variants that the checkpoints allow.
    """
    file = "steps/llava_variants.parquet"

    def score() -> None:
        from llava_core.checkpoint import load_checkpoint
        from llava_core.inference.logprob import option_logprobs

        device, dtype = llava_place(spec)
        variants = {"blank_image": ("finetune", True), "stage1_only": ("align", False)}
        tables = []
        for variant, (stage, blank) in variants.items():
            if stage not in checkpoints.paths:
                continue
            found = option_logprobs(
                load_checkpoint(checkpoints.paths[stage], device=device, dtype=dtype),
                examples,
                blank_image=blank,
                progress=progress.stage(f"LLaVA: {variant}"),
            )
            tables.append(variant_rows(variant, examples, found))
        write_parquet(run.path / file, pd.concat(tables, ignore_index=True))

    run.step(
        "llava_variants",
        inputs={
            "data": fingerprint,
            "ids": digest_ids(examples),
            "checkpoints": checkpoints.hashes,
            "dtype": spec.llava_dtype,
        },
        outputs=[file],
        do=score,
    )
    return pd.read_parquet(run.path / file)


def variant_rows(
    variant: str, examples: Sequence[Example], found: Sequence["OptionLogprobs"]
) -> pd.DataFrame:
    """Return option likelihoods of a variant as rows ``variant example_id option_index mean_logprob``."""
    tables = [
        pd.DataFrame(
            {
                "variant": variant,
                "example_id": example.id,
                "option_index": range(len(example.options)),
                "mean_logprob": scores.mean,
            }
        )
        for example, scores in zip(examples, found, strict=True)
    ]
    return pd.concat(tables, ignore_index=True)


def ask_llm(
    spec: EnsembleSpec,
    run: RunDir,
    name: str,
    requests: Sequence[Request],
    *,
    progress: Progress,
) -> Path:
    """Ask the run's language model, and return the file of its words, in the format of published answers.

    Replies are kept in ``llm/replies.sqlite`` as they come; a run that was cut off asks for the others only.

    Raises
    ------
    InputError
        If there is no such model, or a request has no reply.
    """
    file = f"llm/{name}.json"
    tick = progress.stage(f"ask {spec.llm_model or spec.llm_local} ({name})")

    def ask() -> Facts:
        from llava_core.evaluation.text_llm import ask_texts

        budget = Budget(max_tokens=spec.llm_budget_tokens)
        cache = run.path / "llm" / "replies.sqlite"
        texts = ask_texts(
            _language_model(spec), requests, cache=cache, budget=budget,
            concurrency=spec.llm_concurrency if spec.llm_local is None else 1, progress=tick,
        )  # fmt: skip
        n_refused = sum(not text for text in texts.values())
        if n_refused:
            progress.note(
                f"{n_refused} of {len(texts)} questions were refused or left without a word ({name})"
            )
        write_json(run.path / file, {"outputs": texts})
        return {"n_requests": len(texts)}

    run.step(
        f"llm.{name}",
        inputs={
            "requests": digest({request.id: [m.text for m in request.messages] for request in requests}),
            "model": spec.llm_model or spec.llm_local,
            "endpoint": spec.llm_endpoint,
        },
        outputs=[file],
        do=ask,
    )
    return run.path / file


def run_checkpoints(spec: StudySpec, run_path: Path) -> Checkpoints | None:
    """Return the LLaVA that a finished run used: the given one, its own, or None."""
    if spec.llava is not None:
        return _given(spec.llava)
    out = run_path / "checkpoint"
    return _trained(out) if all((out / stage).is_dir() for stage in STAGES) else None


def llava_place(spec: StudySpec) -> tuple[Any, Any]:
    """Return torch's device and dtype for LLaVA."""
    from llava_core.inference.place import choose_place

    trained_here = spec.llava is None
    return choose_place(spec.llava_device, spec.llava_dtype or ("float32" if trained_here else None))


def digest_ids(examples: Iterable[Example]) -> str:
    """Return what tells a sequence of examples apart, by their ids alone."""
    return digest({"ids": [example.id for example in examples]})


def _language_model(spec: EnsembleSpec) -> Backend:
    if spec.llm_local is not None:
        from llava_core.inference.local_chat import LocalBackend

        return LocalBackend(spec.llm_local, device=spec.llava_device, dtype=spec.llava_dtype, seed=spec.seed)
    from llava_core.backends.openai_api import OpenAIBackend

    assert spec.llm_model is not None
    return OpenAIBackend(model=spec.llm_model, endpoint=spec.llm_endpoint)


def _given(source: str) -> Checkpoints:
    """Return a checkpoint of any layout, downloaded where it is a hub's."""
    from llava_core.checkpoint import checkpoint_hash
    from llava_core.checkpoint.sources import find_folder

    folder = find_folder(source)
    return Checkpoints(paths={"finetune": folder}, hashes={"finetune": checkpoint_hash(folder)})


def _trained(out: Path, *, stages: tuple[dict[str, Any], ...] = ()) -> Checkpoints:
    """Return both stages; a manifest has the hash of every file, so that its text tells the checkpoint."""
    paths = {stage: out / stage for stage in STAGES}
    hashes = {stage: digest({"": (path / "manifest.json").read_text()}) for stage, path in paths.items()}
    return Checkpoints(paths=paths, hashes=hashes, stages=stages)


def used_gpu(spec: StudySpec, run: RunDir) -> bool:
    """Whether LLaVA worked on a GPU in this run, whose sums need not come in the same order twice.

    Asked once and kept, so that a resumed run says the same and needs no torch for it.
    """

    def ask() -> dict[str, Any]:
        return {"on_gpu": str(llava_place(spec)[0].type) != "cpu"}

    return bool(run.step("place", inputs={"device": spec.llava_device}, outputs=[], do=ask)["on_gpu"])


def _stage_facts(name: str, path: Path) -> dict[str, Any]:
    meta = json.loads((path / "training.json").read_text())
    return {
        "name": name,
        "n_examples": meta["n_examples"],
        "steps": meta["n_steps"],
        "seconds": meta["seconds"],
        "cpu_seconds": meta["cpu_seconds"],
        "loss": meta["loss"],
    }
