"""Which conversations make which batch, and in what order.

Two ways. Without packing, an epoch's conversations are drawn and encoded, sorted by length into batches that
need little padding, and the batches shuffled. With packing there is no padding to save: batches are random,
and their conversations are encoded when their turn comes, so that a large data set starts at once; what is
drawn for a conversation depends on seed, epoch and its place in the data alone.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any

import numpy as np

from llava_core.checkpoint import LlavaBundle
from llava_core.data.collate import length_grouped_batches
from llava_core.data.conversation import Turn, encode
from llava_core.data.template import TEMPLATES
from llava_core.errors import InputError
from llava_core.train.batches import Row
from llava_core.train.loop import epochs
from llava_core.train.stage import (
    Item,
    Items,
    StageConfig,
    conversation,
    described,
    description,
    images_of,
)

MakeRows = Callable[[], list[Row]]
"""A batch, encoded when it is asked for."""
Make = Callable[[StageConfig, Any, np.random.Generator], Sequence[Turn]]


def batches_of(
    config: StageConfig, bundle: LlavaBundle, examples: Items, *, seed: int
) -> tuple[int, Iterator[MakeRows]]:
    """Return the number of steps of a stage and its batches: descriptions first, where the stage has them."""
    rng = np.random.default_rng(seed)

    def passes(taken: Items, make: Make, n_epochs: float, part: int) -> tuple[int, Iterator[MakeRows]]:
        """Return the steps that so many passes take, and their batches."""
        wanted = n_epochs * -(-len(taken) // config.batch_size)
        n_steps = max(1, round(wanted)) if wanted else 0

        def one_pass(epoch: int) -> Iterator[MakeRows]:
            if config.packing:
                return _drawn_later(config, bundle, taken, make, key=(seed, part, epoch))
            return _drawn_now(config, bundle, taken, make, rng)

        return n_steps, epochs(one_pass, n_steps)

    captioned = described(examples) if config.describe_epochs else []
    n_before, before = passes(captioned, description, config.describe_epochs, 0)
    n_own, own = passes(examples, conversation, config.n_epochs, 1)
    return n_before + n_own, chain(before, own)


def sample_rows(
    config: StageConfig, bundle: LlavaBundle, examples: Items, *, seed: int, n_rows: int = 64
) -> list[Row]:
    """Return conversations from all over the data, to plan with."""
    picked = np.linspace(0, len(examples) - 1, min(n_rows, len(examples))).astype(int)
    rng = np.random.default_rng(seed)
    return [
        _row(config, bundle, examples[index], conversation(config, examples[index], rng)) for index in picked
    ]


def _drawn_now(
    config: StageConfig,
    bundle: LlavaBundle,
    taken: Items,
    make: Make,
    rng: np.random.Generator,
) -> Iterator[MakeRows]:
    rows = [_row(config, bundle, item, make(config, item, rng)) for item in taken]
    lengths = [row.n_tokens for row in rows]
    for batch in length_grouped_batches(lengths, config.batch_size, rng):
        yield partial(_taken, rows, batch.tolist())


def _drawn_later(
    config: StageConfig,
    bundle: LlavaBundle,
    taken: Items,
    make: Make,
    *,
    key: tuple[int, ...],
) -> Iterator[MakeRows]:
    order = np.random.default_rng(key).permutation(len(taken))

    def row(index: int) -> Row:
        rng = np.random.default_rng((*key, index))
        return _row(config, bundle, taken[index], make(config, taken[index], rng))

    for start in range(0, len(order), config.batch_size):
        yield partial(_made, row, order[start : start + config.batch_size].tolist())


def _taken(rows: Sequence[Row], indices: Sequence[int]) -> list[Row]:
    return [rows[index] for index in indices]


def _made(row: Callable[[int], Row], indices: Sequence[int]) -> list[Row]:
    return [row(index) for index in indices]


def _row(config: StageConfig, bundle: LlavaBundle, item: Item, turns: Sequence[Turn]) -> Row:
    try:
        encoded = encode(
            turns,
            bundle.tokenizer,
            TEMPLATES[config.template],
            bundle.n_image_tokens,
            max_tokens=config.max_tokens,
        )
    except ValueError as error:
        raise InputError(str(error), record=item.id, field="max_tokens") from None
    return Row(encoded=encoded, images=images_of(item))
