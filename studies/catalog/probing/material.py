"""What a run probes: items, their families and parts, stages and targets."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llava_core.data.example import Example
from studies.catalog import audit
from studies.catalog.probing.stages import StageInfo
from studies.catalog.probing.targets import Target
from studies.pipeline import Checkpoints


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Material:
    """Items, their families and parts, the stages and the targets."""

    name: str
    unit: str
    """What an item is, in the plural: questions or rows."""
    fingerprint: str | None
    """Of the data set, or of one's own file."""
    origin: Mapping[str, object]
    """What tells the vectors, for the keys of steps."""
    ids: NDArray[np.str_]
    """(n_items,)"""
    families: NDArray[np.str_]
    """(n_items,)"""
    has_families: bool
    """Whether somebody named them; otherwise rows with equal vectors are one."""
    parts: NDArray[np.str_] | None
    """(n_items,) names of the data's parts; None where it has none."""
    stages: tuple[StageInfo, ...]
    targets: tuple[Target, ...]
    examples: tuple[Example, ...] = ()
    """(n_items,) the questions, where their texts are known."""
    seen: NDArray[np.bool_] | None = None
    """(n_items,) whether LLaVA was trained on the item; None where that is not known."""
    checkpoints: Checkpoints | None = None
    """LLaVA, where it is at hand."""
    checks: tuple[audit.Check, ...] = ()

    @property
    def n_items(self) -> int:
        """Number of items."""
        return len(self.ids)
