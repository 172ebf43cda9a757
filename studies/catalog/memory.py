"""How much memory a study will hold at most, told before its fits begin, and what workers have room [edge].

A bound: what the process holds when it is told, and the sums below, whose factors were measured on Linux with
room to spare (docs/results.md, Load). LLaVA that is trained or gives features in the run tells its own bound
before it begins (`llava_core.train.memory_plan`, `llava_core.features.extract`).
Left out: the memory of GPUs, and what CUDA takes of main memory.
"""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from llava_core.data.example import Example
from llava_core.features.store import FeatureStore
from llava_core.memory import free_bytes, held_bytes, told_bytes, told_free
from studies.catalog.probing.material import Material
from studies.catalog.provenance import Peak
from studies.pipeline import Checkpoints
from studies.progress import Progress
from studies.spec.base import StudySpec
from studies.spec.ensemble import EnsembleSpec

LIBRARIES = 350e6
"""What fits, tunes and draws, loaded, with its buffers."""
PROBING_LIBRARIES = 150e6
"""Less is loaded where nothing is tuned."""
PROCESS = 280e6
"""A worker process before it has any data, libraries included."""
THREAD = 20e6
"""Of a fit, whatever its rows."""
ROW = 5e3
"""Texts of an option row and what is counted in them."""
FEATURES = 256
"""Encoded features at most, in float32: 16 components of each block, and what texts tell."""
FOLDS_BESIDE = 3
"""Encoded matrices beside those of the folds: all rows, those of the stacks, one that is shuffled."""
OF_STORE = 5
"""Times the stored vectors: mapped, in the table, and a block in double precision while it is reduced."""
OF_VECTORS = 4
"""Times the vectors of all stages: mapped, as they are probed, and a stage while it is compared."""
OF_STAGE = 6
"""Times the largest stage, in a worker: double precision, and what a probe makes of it."""
SMALL_LLAVA = 300e6
"""The shipped small LLaVA, trained and asked."""
IMAGE = 16e3
"""Of an image of its: patch features, and the path."""
TORCH = 500e6
"""torch and transformers, where they are not loaded yet."""
OF_WEIGHTS = 40
"""Times the weights of a small LLaVA that is asked on a CPU, batches included."""
MOST_ASKED = 16e9
"""Batches of a large one are cut to so much (`llava_core.inference.asking`)."""

Spec = TypeVar("Spec", bound=StudySpec)


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """Bytes beyond what the process holds."""

    fixed: float
    per_worker: float = 0.0
    """0 where there are none."""


def ensemble_need(
    spec: EnsembleSpec,
    examples: Sequence[Example],
    store: FeatureStore | None,
    asked: Checkpoints | None,
    *,
    on_gpu: bool,
) -> Need:
    """Return what fits on these questions need.

    Parameters
    ----------
    spec : EnsembleSpec
    examples : sequence of Example
        All that are fitted on or scored.
    store : FeatureStore or None
    asked : Checkpoints or None
        LLaVA where it is asked again.
    on_gpu : bool
        Whether there.
    """
    n_rows = sum(len(example.options) for example in examples)
    encoded = 4 * FEATURES * n_rows
    fixed = LIBRARIES + ROW * n_rows + 2 * encoded * (spec.folds + FOLDS_BESIDE)
    fixed += OF_STORE * (0 if store is None else _stored_bytes(store))
    return Need(fixed=fixed + _asked_bytes(asked, on_gpu), per_worker=THREAD + 4 * encoded)


def probing_need(material: Material, asked: Checkpoints | None, *, on_gpu: bool) -> Need:
    """Return what probing needs; ``asked`` and ``on_gpu`` as for `ensemble_need`."""
    stages = [info.stage.vectors.nbytes for info in material.stages]
    texts = ROW * sum(len(example.options) for example in material.examples)
    fixed = PROBING_LIBRARIES + texts + OF_VECTORS * sum(stages)
    return Need(fixed=fixed + _asked_bytes(asked, on_gpu), per_worker=PROCESS + OF_STAGE * max(stages))


def ablation_need(examples: Sequence[Example]) -> Need:
    """Return what it needs to train variants of the shipped LLaVA on questions, and to ask each."""
    n_images = len({example.image for example in examples})
    n_rows = sum(len(example.options) for example in examples)
    return Need(fixed=LIBRARIES + TORCH + SMALL_LLAVA + IMAGE * n_images + ROW * n_rows)


def with_room(spec: Spec, need: Need, peak: Peak, progress: Progress) -> Spec:
    """Tell what the run will hold at most, and return its spec with as many workers as there is room for.

    One at least: what is told is a bound, and a run that is ended for want of memory can go on.

    Parameters
    ----------
    spec : StudySpec
    need : Need
    peak : Peak
        Keeps what is told.
    progress : Progress
    """
    held, free = held_bytes(), free_bytes()
    least = held + need.fixed + need.per_worker
    n_workers, workers = spec.jobs, ""
    if need.per_worker:
        n_workers = min(spec.jobs, 1 + max(0, int((free - least) / need.per_worker)))
        workers = f" with {n_workers} worker{'s' * (n_workers > 1)}"
    if n_workers < spec.jobs:
        workers += f", {spec.jobs} were asked for"
    peak.announced_bytes = round(held + need.fixed + n_workers * need.per_worker)
    need_told, free_told = told_bytes(peak.announced_bytes), told_free(free, peak.announced_bytes)
    progress.note(f"the study needs at most {need_told} of memory{workers}; {free_told}")
    return replace(spec, jobs=n_workers)


def _stored_bytes(store: FeatureStore) -> int:
    """Return the bytes of the vectors in a store."""
    return sum(math.prod(block.shape) * np.dtype(block.dtype).itemsize for block in store.blocks.values())


def _asked_bytes(llava: Checkpoints | None, on_gpu: bool) -> float:
    if llava is None:
        return 0.0
    libraries = 0.0 if "torch" in sys.modules else TORCH
    if on_gpu:
        return libraries
    weights = float(llava.costs["size_bytes"])
    return libraries + 2 * weights + min(MOST_ASKED, OF_WEIGHTS * weights)
