"""The items that a target is read off, the same for all stages, and how they are parted."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from llava_core.errors import InputError
from studies.catalog.probing.division import Division, divide
from studies.catalog.probing.material import Material
from studies.catalog.probing.stages import StageInfo, has_vectors
from studies.catalog.probing.targets import Target
from studies.catalog.protocol import PART_NAMES
from studies.probing import ClassTask


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Ground:
    """Items, their vectors at every stage, and their division."""

    items: NDArray[np.intp]
    """(n_items,) place of each in the material, ascending."""
    families: NDArray[np.int64]
    """(n_items,)"""
    stages: tuple[StageInfo, ...]
    division: Division
    """Places within this ground."""
    dropped: tuple[tuple[str, int], ...]
    """Why items of training and test part are left out, and how many."""

    @property
    def train(self) -> NDArray[np.intp]:
        """Items to learn from."""
        return self.division.train

    @property
    def test(self) -> NDArray[np.intp]:
        """Items to score."""
        return self.division.test

    def stage(self, name: str) -> StageInfo:
        """Return a stage by its name."""
        return next(info for info in self.stages if info.name == name)

    def take(self, keep: NDArray[np.bool_], why: str) -> "Ground":
        """Return the ground of the items that are kept; the division stays as it is.

        Raises
        ------
        InputError
            If too little is left to learn from and to score.
        """
        if keep.all():
            return self
        kept = np.flatnonzero(keep)
        place = np.cumsum(keep) - 1
        train, test = (place[items[keep[items]]] for items in (self.train, self.test))
        n_lost = len(self.train) + len(self.test) - len(train) - len(test)
        if not len(train) or not len(test):
            raise InputError(f"got no item to learn from or to score that has {why}")
        return Ground(
            items=self.items[kept],
            families=self.families[kept],
            stages=tuple(replace(info, stage=info.stage.take(kept)) for info in self.stages),
            division=replace(self.division, train=train, test=test),
            dropped=(*self.dropped, (f"without {why}", n_lost)),
        )


def lay_ground(
    material: Material, *, of_all: bool, split: str, seed: int, limit: int | None = None
) -> Ground:
    """Return the items that have a vector at every stage, divided.

    Parameters
    ----------
    material : Material
    of_all : bool
        Keep all items, and the stages that have a vector for each of them, instead.
    split, seed, limit
        As `divide`.

    Raises
    ------
    InputError
        If no item has all vectors, or no stage has a vector for all items.
    """
    whole = {info.name: has_vectors(info.stage) for info in material.stages}
    used = _in_parts(material.parts, material.n_items)
    stages: Sequence[StageInfo] = material.stages
    keep = used
    if of_all:
        stages = [info for info in stages if whole[info.name][used].all()]
        if not stages:
            raise InputError(
                f"got {', '.join(whole)}, none of which has a vector for every item, images or not",
                field="blocks",
            )
    else:
        keep = used & np.logical_and.reduce([whole[info.name] for info in stages])
        if not keep.any():
            raise InputError(f"got no item that has a vector in all of {', '.join(whole)}", field="blocks")
    kept = np.flatnonzero(keep)
    names = {info.name for info in stages}
    division = divide(
        material.families[kept],
        None if material.parts is None else material.parts[kept],
        split=split,
        seed=seed,
        limit=limit,
    )
    n_lost = int(used.sum()) - len(kept)
    return Ground(
        items=kept,
        families=np.unique(material.families[kept], return_inverse=True)[1].astype(np.int64),
        stages=tuple(
            replace(
                info,
                stage=info.stage.take(kept),
                compared_with=info.compared_with if info.compared_with in names else None,
            )
            for info in stages
        ),
        division=division,
        dropped=(("without a vector at every stage", n_lost),) if n_lost else (),
    )


def ground_of(target: Target, base: Ground) -> Ground:
    """Return the items of a ground that have a target.

    Raises
    ------
    InputError
        If none is left to learn from or to score, or all to learn from have the same label.
    """
    ground = base.take(target.known[base.items], f"a label of {target.name}")
    task = target.task
    if isinstance(task, ClassTask):
        labels = np.unique(task.labels[ground.items[ground.train]])
        if len(labels) < 2:
            raise InputError(
                f"got {str(labels[0])!r} for every item to learn from, allowed are two classes or more",
                field=target.name,
            )
    return ground


def _in_parts(parts: NDArray[np.str_] | None, n_items: int) -> NDArray[np.bool_]:
    """Whether each item stands in the training or the test part, (n_items,)."""
    if parts is None:
        return np.ones(n_items, dtype=np.bool_)
    names = (next((name for name in PART_NAMES[part] if name in parts), "") for part in ("train", "test"))
    return np.isin(parts, [name for name in names if name])
