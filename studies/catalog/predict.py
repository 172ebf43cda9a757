"""`studies predict`: the models of a run on other questions, labelled or not [edge]."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llava_core.data.example import Dataset
from llava_core.errors import InputError
from llava_core.evaluation.answers import PublishedAnswers, read_answers
from llava_core.features.store import FeatureStore
from studies.catalog.ground import MEMBERS_BLOCK
from studies.catalog.outputs import read_summary
from studies.catalog.saved import ENCODER, MODELS, SavedMethod, read_method, saved_methods
from studies.catalog.stacks import with_likelihoods
from studies.design import OptionTable, option_table
from studies.pipeline import extract_with, load_file, run_checkpoints
from studies.predictions import build_predictions, write_predictions
from studies.progress import Progress
from studies.rundir import SPEC_FILE
from studies.spec.base import from_json
from studies.spec.ensemble import EnsembleSpec
from studies.verified import checked, checked_folder


def predict_with(
    run_path: Path,
    *,
    data: Path,
    out: Path,
    progress: Progress,
    llm_answers: Sequence[Path] = (),
    features: Path | None = None,
    method: str | None = None,
) -> Path:
    """Apply a saved method of a run to questions and write a predictions table.

    Parameters
    ----------
    run_path : Path
        Folder of a finished run.
    data : Path
        Data set; labels are not looked at, only noted in the table.
    out : Path
        Parquet file to write.
    progress : Progress
    llm_answers : sequence of Path
        For a method that reads published answers: files of the same names as in the run.
    features : Path, optional
        Feature store, for a method that reads LLaVA's features: the questions that it holds are predicted.
        Without it, features are extracted with the run's own LLaVA.
    method : str, optional
        The run's own choice if not given.

    Raises
    ------
    InputError
        If the run, the method, or something the method needs is missing, or was changed after the run.
    """
    summary = read_summary(run_path)
    name = method or summary["choice"]["method"]
    saved = _read_checked(run_path, name)
    dataset = load_file(data, progress)
    needs = saved.needs
    answers = _needed_answers(needs.answers, [read_answers(path, dataset) for path in llm_answers])
    examples = dataset.examples
    if not needs.captions:
        examples = tuple(replace(example, caption=None) for example in examples)
    members = {member: _read_checked(run_path, member) for member in needs.members}
    store = None
    origins = {fitted.needs.store for fitted in (saved, *members.values())} - {None}
    if origins:
        store = _features(run_path, dataset, features, out=out, progress=progress)
        if store.origin not in origins:
            raise InputError(
                "got features of another LLaVA or extractor than the run's, allowed are features that the "
                "run's own checkpoint gives",
                path=store.path,
            )
        held = set(store.rows["example_id"])
        n_all, examples = len(examples), tuple(example for example in examples if example.id in held)
        if len(examples) < n_all:
            progress.note(f"{len(examples)} of {n_all} questions are in the store; the others are left out")
    plain = option_table(examples, store=store)
    table = option_table(examples, store=store if needs.store else None, answers=answers)
    if members:
        tick = progress.stage("predict with the members")
        probs = {}
        for place, (member, fitted) in enumerate(members.items()):
            probs[member] = _predict(fitted, plain, name=member, data=data)
            tick(place + 1, len(members))
        table = table.with_columns(MEMBERS_BLOCK, probs)
    if needs.store and "option_logprob" in table.frame:
        table = with_likelihoods(table)
    progress.stage(f"predict with {name}")
    frame = build_predictions(
        name,
        example_ids=table.example_ids,
        option_index=table.option_index,
        y=table.y,
        prob=_predict(saved, table, name=name, data=data),
        seed=int(summary["provenance"]["seed"]),
    )
    return write_predictions(frame, out)


def _read_checked(run_path: Path, name: str) -> SavedMethod:
    if name in saved_methods(run_path):
        checked_folder(run_path, f"{MODELS}/{name}")
        if (run_path / MODELS / ENCODER).is_dir():
            checked_folder(run_path, f"{MODELS}/{ENCODER}")
    return read_method(run_path, name)


def _predict(saved: SavedMethod, table: OptionTable, *, name: str, data: Path) -> NDArray[np.float64]:
    try:
        return saved.predict(table.frame, table.questions)
    except (KeyError, ValueError) as error:
        raise InputError(f"method {name} cannot read these questions: {error}", path=data) from None


def _needed_answers(names: Sequence[str], given: Sequence[PublishedAnswers]) -> list[PublishedAnswers]:
    """Return the answers that a method reads, in its order."""
    by_name = {file.name: file for file in given}
    lacking = [name for name in names if name not in by_name]
    if lacking:
        raise InputError(
            f"got answers of {', '.join(by_name) or 'no model'}, the method reads {', '.join(names)}",
            field="llm-answers",
        )
    return [by_name[name] for name in names]


def _features(
    run_path: Path, dataset: Dataset, features: Path | None, *, out: Path, progress: Progress
) -> FeatureStore:
    """Return the features of the questions: the given store, or one extracted beside the output."""
    if features is not None:
        return FeatureStore.open(features, data_fingerprint=dataset.fingerprint)
    spec_file = checked(run_path, SPEC_FILE)
    spec = from_json(EnsembleSpec, spec_file.read_text(encoding="utf-8"), path=spec_file)
    checkpoints = run_checkpoints(spec, run_path)
    if checkpoints is None:
        raise InputError(
            "the method reads LLaVA's features and the run has no LLaVA to extract them with: "
            "allowed is --features STORE",
            path=run_path,
        )
    return extract_with(
        spec,
        checkpoints,
        dataset.examples,
        out.with_name(f"{out.stem}.features"),
        fingerprint=dataset.fingerprint,
        progress=progress,
    )
