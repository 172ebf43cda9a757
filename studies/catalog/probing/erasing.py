"""A concept erased from a stage (LEACE): what linear probes and forests still find, what else is lost.

The eraser is fitted on training items only, for a stage of options on their mean per item, and applied to all
vectors. Probes keep the settings that they had before. Only a linear probe is sure to find nothing any more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from llava_core.workers import done_by_workers
from studies.catalog.probing.material import Material
from studies.catalog.probing.probed import FOLDER, Probed, file_name, step_key
from studies.files import write_npz
from studies.probing import ClassTask, Eraser, ReadOut, Stage, fit_leace, read_out
from studies.progress import Progress
from studies.rundir import Facts, RunDir
from studies.spec.probing import ProbingSpec

READ_AFTER = ("linear", "forest")
"""Families that read the concept before and after."""
READ_BESIDE = "linear"
"""Family that reads the other targets."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Erased:
    """A concept erased from a stage."""

    concept: Probed
    stage: str
    rank: int
    """Dimensions that were taken out."""
    before: Mapping[str, NDArray[np.float64]]
    """Family to credit of the concept's test items."""
    after: Mapping[str, NDArray[np.float64]]
    others: Sequence[tuple[Probed, NDArray[np.float64], NDArray[np.float64]]]
    """Another target with its credit before and after."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Job:
    run: RunDir
    name: str
    file: str
    inputs: Mapping[str, object]
    concept: Probed
    stage: str
    others: Sequence[Probed]
    seed: int


def erase_concepts(
    spec: ProbingSpec, run: RunDir, material: Material, probed: Sequence[Probed], progress: Progress
) -> list[Erased]:
    """Erase each target that has classes from every stage where it was read."""
    jobs = [
        _job(spec, run, material, concept, info.name, probed)
        for concept in probed
        if isinstance(concept.task, ClassTask)
        for info in concept.ground.stages
    ]
    if not jobs:
        return []
    tick = progress.stage("erase concepts")
    work = done_by_workers(_do, jobs, n_processes=min(spec.jobs, len(jobs)))
    for done, _ in enumerate(work, start=1):
        tick(done, len(jobs))
    return [_read(job) for job in jobs]


def eraser_of(concept: Probed, stage: str) -> Eraser:
    """Return what takes a concept out of a stage, fitted on the concept's training items."""
    assert isinstance(concept.task, ClassTask), "only classes can be erased"
    train = concept.ground.train
    vectors = concept.ground.stage(stage).stage.take(train).per_item()
    return fit_leace(vectors, concept.task.labels[train])


def _job(
    spec: ProbingSpec,
    run: RunDir,
    material: Material,
    concept: Probed,
    stage: str,
    probed: Sequence[Probed],
) -> _Job:
    others = [
        other
        for other in probed
        if other is not concept
        # Of another kind of ground, what is scored there may have been learned from here.
        and other.target.of_all == concept.target.of_all
        and other.cells[stage].get(READ_BESIDE) is not None
    ]
    name = file_name("erase", concept.target.name, stage)
    return _Job(
        run=run,
        name=name,
        file=f"{FOLDER}/{name}.npz",
        inputs={
            **step_key(spec, material, concept.ground, concept.task),
            "stage": stage,
            "probes": list(spec.probes),
            "others": [step_key(spec, material, other.ground, other.task) for other in others],
        },
        concept=concept,
        stage=stage,
        others=others,
        seed=spec.seed,
    )


def _do(job: _Job) -> None:
    def do() -> Facts:
        with threadpool_limits(1):
            eraser = eraser_of(job.concept, job.stage)
            arrays: dict[str, NDArray[np.float64]] = {}
            for probe in READ_AFTER:
                arrays[f"before/{probe}"], settings = _before(job, job.concept, probe)
                arrays[f"after/{probe}"] = _credit(job, job.concept, probe, settings, eraser)
            for other in job.others:
                name = other.target.name
                arrays[f"other_before/{name}"], settings = _before(job, other, READ_BESIDE)
                arrays[f"other_after/{name}"] = _credit(job, other, READ_BESIDE, settings, eraser)
        write_npz(job.run.path / job.file, arrays)
        return {"rank": eraser.rank}

    job.run.step(job.name, inputs=job.inputs, outputs=[job.file], do=do)


def _before(job: _Job, probed: Probed, probe: str) -> tuple[NDArray[np.float64], Mapping[str, object] | None]:
    """Return credit and settings before the erasure, from the cell where there is one."""
    cell = probed.cells[job.stage].get(probe)
    if cell is not None and cell.is_ok:
        return cell.arrays["credit"], cell.facts["chosen"]
    found = _read_out(job, probed, probe, probed.ground.stage(job.stage).stage, None)
    return found.credit, found.chosen


def _credit(
    job: _Job, probed: Probed, probe: str, settings: Mapping[str, object] | None, eraser: Eraser
) -> NDArray[np.float64]:
    stage = probed.ground.stage(job.stage).stage
    erased = Stage(
        name=stage.name, level=stage.level, vectors=eraser.apply(stage.vectors), question=stage.question
    )
    return _read_out(job, probed, probe, erased, settings).credit


def _read_out(
    job: _Job, probed: Probed, probe: str, stage: Stage, settings: Mapping[str, object] | None
) -> ReadOut:
    ground = probed.ground
    return read_out(
        probe,
        stage,
        probed.task,
        groups=ground.families,
        train=ground.train,
        test=ground.test,
        seed=job.seed,
        settings=settings,
    )


def _read(job: _Job) -> Erased:
    facts = job.run.step(job.name, inputs=job.inputs, outputs=[job.file], do=dict)
    with np.load(job.run.path / job.file, allow_pickle=False) as kept:
        arrays: dict[str, NDArray[np.float64]] = {name: kept[name] for name in kept.files}
    return Erased(
        concept=job.concept,
        stage=job.stage,
        rank=int(facts["rank"]),
        before={probe: arrays[f"before/{probe}"] for probe in READ_AFTER},
        after={probe: arrays[f"after/{probe}"] for probe in READ_AFTER},
        others=[
            (other, arrays[f"other_before/{other.target.name}"], arrays[f"other_after/{other.target.name}"])
            for other in job.others
        ],
    )
