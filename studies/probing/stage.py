"""A stage of a model: the vectors that stand there, one per item or one per option of an item."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from studies.probing.tasks import Items, check_ascending, rows_of


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Stage:
    """A named matrix of vectors. Items without one are NaN: the caller does not ask for these."""

    name: str
    level: Literal["example", "option"]
    vectors: NDArray[Any]
    """(n_items, dim) of an example-level stage, (n_rows, dim) of an option-level one."""
    question: NDArray[np.int64] | None = None
    """(n_rows,) item of each row, as in `ChoiceTask`; of option-level stages only."""

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2:
            raise ValueError(
                f"stage {self.name}: got shape {self.vectors.shape}, expected rows by dimensions"
            )
        if (self.level == "option") != (self.question is not None):
            raise ValueError(
                f"stage {self.name}: items of rows belong to option-level stages, and only there"
            )
        if self.question is not None:
            check_ascending(self.question)
            if len(self.question) != len(self.vectors):
                raise ValueError(
                    f"stage {self.name}: got {len(self.question)} items of {len(self.vectors)} rows"
                )

    @property
    def n_items(self) -> int:
        """Number of items."""
        return len(self.vectors) if self.question is None else int(self.question[-1]) + 1

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.vectors.shape[1])

    def take(self, items: Items) -> "Stage":
        """Return the stage of some items, in the order given."""
        if self.question is None:
            return replace(self, vectors=self.vectors[items])
        rows, question = rows_of(self.question, items)
        return replace(self, vectors=self.vectors[rows], question=question)

    def per_item(self) -> NDArray[np.float64]:
        """Return one vector per item, (n_items, dim): the mean over its options where it has several."""
        if self.question is None:
            return np.asarray(self.vectors, dtype=np.float64)
        starts = np.flatnonzero(np.diff(self.question, prepend=-1))
        sums = np.add.reduceat(np.asarray(self.vectors, dtype=np.float64), starts, axis=0)
        return np.asarray(sums / np.bincount(self.question)[:, None])


def matched_rank(stage: Stage, *, rank: int, train: Items) -> Stage:
    """Return a stage cut to its ``rank`` directions of most variance, so that widths no longer differ.

    The directions (PCA) are learned on the vectors of training items; a stage of fewer dimensions or training
    vectors than ``rank`` keeps what it has.

    Parameters
    ----------
    stage : Stage
    rank : int
        Dimensions to keep, above 0.
    train : (n_train,) array of int
        Items to learn from.
    """
    learned = stage.take(train).vectors
    assert np.isfinite(learned).all(), f"stage {stage.name} has training items without a vector"
    # Of vectors that are all alike no share of the variance exists, which is not needed.
    with np.errstate(invalid="ignore"):
        cut = PCA(min(rank, *learned.shape), random_state=0).fit(np.asarray(learned, dtype=np.float64))
    return replace(stage, vectors=(stage.vectors - cut.mean_) @ cut.components_.T)


def random_projection(stage: Stage, *, dim: int, seed: int, name: str) -> Stage:
    """Return a stage's vectors through a Gaussian linear map: what an untrained linear projector gives.

    Parameters
    ----------
    stage : Stage
    dim : int
        Width of the map's outcome.
    seed : int
    name : str
        Of the new stage.

    Notes
    -----
    Entries have variance ``1 / stage.dim``, so that the length of vectors stays about the same per dimension.
    """
    weights = np.random.default_rng(seed).normal(size=(stage.dim, dim)) / np.sqrt(stage.dim)
    return replace(stage, name=name, vectors=stage.vectors @ weights)
