"""What one family of probes makes of one target at one stage, with the controls that keep it honest.

Settings are chosen once, on training items, for the real labels at the whole stage; floor, selectivity, code
length and learning curve take them over. At another width (matched rank) they are chosen anew. Nothing but
the score, the curve and the controls on the same items reads a test item.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llava_core.errors import InputError
from studies.catalog.probing.division import random_split
from studies.probing import (
    ClassTask,
    Stage,
    Task,
    control_task,
    matched_rank,
    online_code,
    prior_log_prob,
    read_out,
    shuffled_task,
)
from studies.probing.tasks import Items
from studies.rundir import Facts

N_SHUFFLES = 3
"""Shufflings that the floor is the mean of: where classes lie in few clusters, one of them says little."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Bench:
    """A target at a stage, and what all families of probes there have in common."""

    stage: Stage
    task: Task
    groups: NDArray[np.int64]
    """(n_items,) family of each item."""
    train: Items
    test: Items
    seed: int
    rank: int
    """Dimensions of the comparison at one rank."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Cell:
    """A family of probes on a bench."""

    facts: Facts
    """Plain values: status, settings, costs, code length."""
    arrays: Mapping[str, NDArray[np.float64]]
    """``credit`` and ``log_prob`` of the test items; where all went well ``floor`` and ``rank`` of the same,
    ``curve_K`` for K training items, ``real`` and ``control`` of `selectivity_split`."""

    @property
    def is_ok(self) -> bool:
        """Whether it came to its end."""
        return bool(self.facts["status"] == "ok")


def probe_cell(bench: Bench, probe: str, *, whole: bool = True) -> Cell:
    """Probe; what fails is told and scored as one that sees nothing.

    Parameters
    ----------
    bench : Bench
    probe : str
        Key of `studies.probing.PROBES`.
    whole : bool
        With all controls; otherwise the score only.
    """
    try:
        return _cell(bench, probe, whole=whole)
    except (OSError, InputError, MemoryError):
        raise
    except Exception as error:
        return _failed(bench, f"{type(error).__name__}: {error}")


def selectivity_split(train: Items, *, seed: int) -> tuple[Items, Items]:
    """Return training items to learn from and to score, dealt whatever their families."""
    return random_split(train, rng=np.random.default_rng([seed, 7]))


def _cell(bench: Bench, probe: str, *, whole: bool) -> Cell:
    stage, task, train, test, seed = bench.stage, bench.task, bench.train, bench.test, bench.seed

    def read(stage: Stage, task: Task, train: Items, test: Items, settings: Any = None) -> Any:
        return read_out(
            probe, stage, task, groups=bench.groups, train=train, test=test, seed=seed, settings=settings
        )

    found = read(stage, task, train, test)
    arrays = {"credit": found.credit, "log_prob": found.log_prob}
    facts: Facts = {
        "status": "ok",
        "error": None,
        "chosen": dict(found.chosen),
        "fit_s": found.fit_s,
        "predict_s": found.predict_s,
        "size_bytes": found.size_bytes,
    }
    if not whole:
        return Cell(facts=facts, arrays=arrays)
    arrays["floor"] = np.mean(
        [
            read(stage, shuffled_task(task, train, seed=seed + draw), train, test, found.chosen).credit
            for draw in range(N_SHUFFLES)
        ],
        axis=0,
    )
    inside, outside = selectivity_split(train, seed=seed)
    control = control_task(task, bench.groups, seed=seed)
    arrays["real"] = read(stage, task, inside, outside, found.chosen).credit
    arrays["control"] = read(stage, control, inside, outside, found.chosen).credit
    rank = min(bench.rank, stage.dim, len(train) // 2)
    if rank < stage.dim:
        arrays["rank"] = read(matched_rank(stage, rank=rank, train=train), task, train, test).credit
    else:
        arrays["rank"] = found.credit
    code = online_code(
        probe, stage, task,
        groups=bench.groups, train=train, test=test, settings=found.chosen, seed=seed,
    )  # fmt: skip
    arrays |= {f"curve_{n_known}": credit for n_known, credit in code.curve}
    facts |= {
        "rank": rank,
        "bits": {
            "total": code.total_bits,
            "uniform": code.uniform_bits,
            "prior": code.prior_bits,
            "compression": code.compression,
            "per_item": code.total_bits / code.n,
        },
    }
    return Cell(facts=facts, arrays=arrays)


def _failed(bench: Bench, error: str) -> Cell:
    """Return what a probe that sees nothing says: the commonest label, or any option."""
    task, train, test = bench.task, bench.train, bench.test
    log_prob = prior_log_prob(task, train, test)
    return Cell(
        facts={"status": "failed", "error": error},
        arrays={"credit": chance_credit(task, train, test), "log_prob": log_prob},
    )


def chance_credit(task: Task, train: Items, test: Items) -> NDArray[np.float64]:
    """Return what each test item earns from who says the commonest training label, or any option."""
    if isinstance(task, ClassTask):
        classes, counts = np.unique(task.labels[train], return_counts=True)
        return np.asarray(task.labels[test] == classes[np.argmax(counts)], dtype=np.float64)
    return np.asarray(1.0 / np.bincount(task.question)[test], dtype=np.float64)
