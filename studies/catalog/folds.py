"""The folds of a ground as matrices, encoded once and shared by all members, whatever blocks they see."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ensembles.oof import EncodedFold, rows_of
from studies.catalog.ground import Fold, Ground


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FoldMatrices:
    """Folds encoded with all blocks of a ground."""

    folds: tuple[EncodedFold, ...]
    feature_blocks: tuple[NDArray[np.str_], ...]
    """Block of each feature, per fold: a fold of few rows may have fewer components."""

    def of(self, blocks: Sequence[str]) -> list[EncodedFold]:
        """Return the folds with the features of some blocks only."""
        chosen = []
        for fold, held in zip(self.folds, self.feature_blocks, strict=True):
            columns = np.flatnonzero(np.isin(held, list(blocks)))
            chosen.append(
                replace(fold, X_train=fold.X_train[:, columns], X_held_out=fold.X_held_out[:, columns])
            )
        return chosen


def encode_ground_folds(ground: Ground, folds: Sequence[Fold]) -> FoldMatrices:
    """Encode folds, each with an encoder that learned from its training rows only.

    Not `ensembles.oof.encode_folds`: the one fold of an official split shares families, which that refuses.
    """
    rows, encoded, held = ground.fitted, [], []
    for train, held_out in folds:
        encoder = ground.encoder()
        learned = encoder.fit_transform(rows_of(rows.frame, train), rows.y[train], groups=rows.groups[train])
        encoded.append(
            EncodedFold(
                train=train,
                held_out=held_out,
                X_train=learned,
                X_held_out=encoder.transform(rows_of(rows.frame, held_out)),
            )
        )
        held.append(np.array(encoder.feature_blocks_, dtype=str))
    return FoldMatrices(folds=tuple(encoded), feature_blocks=tuple(held))
