"""From a batch of conversations to what each process computes: balanced shares, cut into pieces.

A batch is the unit of the optimiser and does not depend on the number of processes. Its conversations are
dealt into ``processes x pieces`` bins of nearly equal length, longest first into the emptiest bin (Graham's
LPT rule); each process works off its bins one by one. A bin becomes one packed row without any padding, or a
padded matrix. The loss of every piece is divided by the supervised tokens of the whole batch, so that the
pieces add up to the loss of the batch, however it is cut.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from llava_core.data.collate import pad_batch
from llava_core.data.conversation import IGNORE_INDEX, Encoded


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One conversation as ids, and its images in reading order."""

    encoded: Encoded
    images: tuple[Path, ...] = ()

    @property
    def n_tokens(self) -> int:
        """Tokens, image tokens included."""
        return len(self.encoded.input_ids)

    @property
    def n_supervised(self) -> int:
        """Tokens that carry loss; a first token is predicted from nothing and has none."""
        return sum(label != IGNORE_INDEX for label in self.encoded.labels[1:])


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Piece:
    """What one process computes in one go."""

    input_ids: Tensor
    """(conversations, tokens), or (1, tokens) if packed."""
    attention_mask: Tensor | None
    """None if packed."""
    labels: Tensor
    lengths: tuple[int, ...] | None
    """Tokens of each conversation if packed."""
    images: tuple[Path, ...]
    n_tokens: int
    """Tokens that are no padding."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Step:
    """The part of a batch that one process computes."""

    pieces: tuple[Piece, ...]
    n_supervised: int
    """Supervised tokens of the whole batch, all processes together."""
    has_image: bool
    """Whether any conversation of the whole batch shows an image."""


def deal(
    rows: Sequence[Row], *, rank: int, world: int, packing: bool, max_tokens: int | None, pad_token_id: int
) -> Step:
    """Return what the process ``rank`` of ``world`` computes of a batch.

    Parameters
    ----------
    rows : sequence of Row
        The whole batch.
    rank, world : int
    packing : bool
        One row without padding per piece, or a padded matrix.
    max_tokens : int, optional
        Most tokens of a piece, padding included; None for one piece.
    pad_token_id : int

    Returns
    -------
    Step
        All processes get the same number of pieces; where there are fewer conversations than pieces, a piece
        repeats the shortest one without any loss.

    Raises
    ------
    ValueError
        If a conversation alone is longer than ``max_tokens``.
    """
    longest = max(row.n_tokens for row in rows)
    if max_tokens is not None and longest > max_tokens:
        raise ValueError(f"got a conversation of {longest} tokens, a piece holds {max_tokens}")
    n_pieces = 1
    bins = balanced_bins([row.n_tokens for row in rows], world)
    while max_tokens is not None and max(_size(rows, bin_, packing) for bin_ in bins) > max_tokens:
        n_pieces += 1
        bins = balanced_bins([row.n_tokens for row in rows], world * n_pieces)
    mine = []
    for bin_ in bins[rank::world]:
        part = [rows[index] for index in bin_] or [_silent(min(rows, key=lambda row: row.n_tokens))]
        mine.append(_pack(part) if packing else _pad(part, pad_token_id))
    return Step(
        pieces=tuple(mine),
        n_supervised=max(1, sum(row.n_supervised for row in rows)),
        has_image=any(row.images for row in rows),
    )


def balanced_bins(lengths: Sequence[int], n_bins: int) -> list[list[int]]:
    """Return indices dealt into bins of nearly equal total length, in ascending order inside each bin.

    References
    ----------
    Graham, R. L. (1969), Bounds on multiprocessing timing anomalies: the longest goes first, always into the
    emptiest bin; no bin exceeds 4/3 of the best possible maximum.

    Examples
    --------
    >>> balanced_bins([7, 5, 4, 4], 2)
    [[0, 3], [1, 2]]
    """
    bins: list[list[int]] = [[] for _ in range(n_bins)]
    filled = [0] * n_bins
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        emptiest = filled.index(min(filled))
        bins[emptiest].append(index)
        filled[emptiest] += lengths[index]
    return [sorted(bin_) for bin_ in bins]


def _size(rows: Sequence[Row], bin_: Sequence[int], packing: bool) -> int:
    """Tokens that a bin takes, padding included."""
    lengths = [rows[index].n_tokens for index in bin_] or [0]
    return sum(lengths) if packing else max(lengths) * len(lengths)


def _silent(row: Row) -> Row:
    """Return the conversation with nothing supervised."""
    ids = row.encoded.input_ids
    return Row(encoded=Encoded(input_ids=ids, labels=(IGNORE_INDEX,) * len(ids)), images=row.images)


def _pad(rows: Sequence[Row], pad_token_id: int) -> Piece:
    input_ids, mask, labels = pad_batch([row.encoded for row in rows], pad_token_id)
    return Piece(
        input_ids=input_ids,
        attention_mask=mask,
        labels=labels,
        lengths=None,
        images=tuple(image for row in rows for image in row.images),
        n_tokens=sum(row.n_tokens for row in rows),
    )


def _pack(rows: Sequence[Row]) -> Piece:
    labels = [label for row in rows for label in (IGNORE_INDEX, *row.encoded.labels[1:])]
    return Piece(
        input_ids=torch.tensor([[token for row in rows for token in row.encoded.input_ids]]),
        attention_mask=None,
        labels=torch.tensor([labels]),
        lengths=tuple(row.n_tokens for row in rows),
        images=tuple(image for row in rows for image in row.images),
        n_tokens=sum(row.n_tokens for row in rows),
    )
