"""All cells of a run: a step per target and stage, several at a time, each kept in the run folder [edge]."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from llava_core.workers import done_by_workers
from studies.catalog.probing.cells import Bench, Cell, probe_cell
from studies.catalog.probing.ground import Ground
from studies.catalog.probing.material import Material
from studies.catalog.probing.stages import PATCHES, PROJECTED, StageInfo
from studies.catalog.probing.targets import Target
from studies.files import write_npz
from studies.probing import Task, random_projection
from studies.progress import Progress
from studies.rundir import Facts, RunDir, digest
from studies.spec.probing import ProbingSpec

FOLDER = "cells"
RANDOM = "random_projector"
"""Stage of the vectors before the projector through a random linear map."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Probed:
    """A target, its items, and what was read off each stage."""

    target: Target
    ground: Ground
    task: Task
    """Of the ground's items."""
    cells: Mapping[str, Mapping[str, Cell]]
    """Stage to family of probes to cell; `RANDOM` among the stages where there is a projector."""

    def cell(self, stage: str, probe: str) -> Cell:
        """Return a cell."""
        return self.cells[stage][probe]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Job:
    """What one step needs; small enough to be sent to another process."""

    run: RunDir
    name: str
    file: str
    inputs: Mapping[str, object]
    bench: Bench
    probes: Sequence[str]
    whole: bool


def probe_targets(
    spec: ProbingSpec, run: RunDir, material: Material, grounds: Mapping[str, Ground], progress: Progress
) -> list[Probed]:
    """Probe every target at every stage of its ground; what is done already is read.

    Parameters
    ----------
    spec : ProbingSpec
    run : RunDir
    material : Material
    grounds : mapping
        Target to its items.
    progress : Progress
    """
    jobs = {
        (target.name, name): job
        for target in material.targets
        for name, job in _jobs(spec, run, material, target, grounds[target.name]).items()
    }
    tick = progress.stage("probe the stages")
    work = done_by_workers(_do, jobs.values(), n_processes=min(spec.jobs, len(jobs)))
    for done, _ in enumerate(work, start=1):
        tick(done, len(jobs))
    return [
        Probed(
            target=target,
            ground=grounds[target.name],
            task=target.task.take(grounds[target.name].items),
            cells={name: _read(job) for (told, name), job in jobs.items() if told == target.name},
        )
        for target in material.targets
    ]


def step_key(spec: ProbingSpec, material: Material, ground: Ground, task: Task) -> dict[str, object]:
    """Return what a result on some items depends on beside the stage, as plain values."""
    division = ground.division
    return {
        "origin": digest(material.origin),
        "items": digest({"ids": material.ids[ground.items].tolist()}),
        "families": digest({"families": ground.families.tolist()}),
        "division": digest({"train": division.train.tolist(), "test": division.test.tolist()}),
        "task": digest({"kind": task.kind, "content": content_of(task)}),
        "seed": spec.seed,
        "version": version("llava-ensembles"),
    }


def file_name(*parts: str) -> str:
    """Return a name for a step or a file, of whatever names; different ones stay different."""
    plain = [re.sub(r"[^\w-]+", "_", part)[:60] for part in parts]
    mark = "" if plain == list(parts) else f"-{digest({'': parts})[:8]}"
    return ".".join(plain) + mark


def content_of(task: Task) -> list[object]:
    """Return all that a task says, as plain values."""
    if task.kind == "class":
        return [task.labels.tolist()]  # type: ignore[union-attr]
    return [task.question.tolist(), task.option.tolist(), task.is_right.tolist()]  # type: ignore[union-attr]


def _jobs(
    spec: ProbingSpec, run: RunDir, material: Material, target: Target, ground: Ground
) -> dict[str, _Job]:
    """Return the steps of a target by stage."""
    task = target.task.take(ground.items)
    key = step_key(spec, material, ground, task)
    stages = [(info.stage, True) for info in ground.stages]
    random = random_stage(ground.stages, seed=spec.seed)
    if random is not None:
        stages.append((random.stage, False))
    found = {}
    for stage, whole in stages:
        name = file_name("probe", target.name, stage.name)
        found[stage.name] = _Job(
            run=run,
            name=name,
            file=f"{FOLDER}/{name.removeprefix('probe.')}.npz",
            inputs={**key, "stage": stage.name, "probes": list(spec.probes), "rank": spec.rank},
            bench=Bench(
                stage=stage,
                task=task,
                groups=ground.families,
                train=ground.train,
                test=ground.test,
                seed=spec.seed,
                rank=spec.rank,
            ),
            probes=spec.probes,
            whole=whole,
        )
    return found


def random_stage(stages: Sequence[StageInfo], *, seed: int) -> StageInfo | None:
    """Return what an untrained projector would give; None where there is no trained one."""
    by_name = {info.name: info for info in stages}
    trained = next((by_name[name] for name in PROJECTED if name in by_name), None)
    if PATCHES not in by_name or trained is None:
        return None
    stage = random_projection(by_name[PATCHES].stage, dim=trained.stage.dim, seed=seed, name=RANDOM)
    return StageInfo(stage=stage, label="Random projector", block=RANDOM, compared_with=PATCHES)


def _do(job: _Job) -> None:
    """Do a step unless it is done, in whatever process."""

    def do() -> Facts:
        with threadpool_limits(1):
            cells = {probe: probe_cell(job.bench, probe, whole=job.whole) for probe in job.probes}
        write_npz(
            job.run.path / job.file,
            {
                f"{probe}/{name}": array
                for probe, cell in cells.items()
                for name, array in cell.arrays.items()
            },
        )
        return {"cells": {probe: cell.facts for probe, cell in cells.items()}}

    job.run.step(job.name, inputs=job.inputs, outputs=[job.file], do=do)


def _read(job: _Job) -> dict[str, Cell]:
    """Return the cells of a step that is done."""
    facts = job.run.step(job.name, inputs=job.inputs, outputs=[job.file], do=_never)
    with np.load(job.run.path / job.file, allow_pickle=False) as kept:
        arrays: dict[str, NDArray[np.float64]] = {name: kept[name] for name in kept.files}
    return {
        probe: Cell(
            facts=told,
            arrays={
                name.removeprefix(f"{probe}/"): array
                for name, array in arrays.items()
                if name.startswith(f"{probe}/")
            },
        )
        for probe, told in facts["cells"].items()
    }


def _never() -> Facts:
    raise AssertionError("the step was done a moment ago")
