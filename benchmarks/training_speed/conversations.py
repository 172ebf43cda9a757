"""Conversations of drawn ids, as long as those of LLaVA's data, and the histogram of their lengths.

Stage 1 has captions: text lengths are log-normal with mean 20, all supervised but the start token. Stage 2
mixes the three kinds of LLaVA-Instruct-158K by their published numbers (58, 23 and 77 thousand). Their mean
lengths follow from the sizes of the published files (about 350, 160 and 195 tokens); all are 5 % longer here,
so that with the system prompt's 40 tokens the mean is 300. The spread within a kind, a factor of about 1.4 up
or down, and the supervised shares are estimates: a conversation's many questions are a third of it, the one
question before a long answer a tenth. Which ids are drawn does not matter for time.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import numpy as np

from llava_core.data.conversation import IGNORE_INDEX, Encoded
from llava_core.train.batches import Row

MAX_TOKENS = 2048
START = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """Conversations of one kind."""

    share: float
    mean_tokens: float
    """Of the text, system prompt apart."""
    log_spread: float
    """Standard deviation of the logarithm."""
    supervised_frac: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Mixture:
    """Text of one stage."""

    kinds: tuple[Kind, ...]
    n_before: int
    """Tokens of the start token and the system prompt, which stand before the image and carry no loss."""


MIXTURES = {
    "align": Mixture(kinds=(Kind(share=1, mean_tokens=19, log_spread=0.4, supervised_frac=1.0),), n_before=1),
    "finetune": Mixture(
        kinds=(
            Kind(share=58 / 158, mean_tokens=1.054 * 350, log_spread=0.35, supervised_frac=0.65),
            Kind(share=23 / 158, mean_tokens=1.054 * 160, log_spread=0.35, supervised_frac=0.9),
            Kind(share=77 / 158, mean_tokens=1.054 * 195, log_spread=0.35, supervised_frac=0.85),
        ),
        n_before=40,
    ),
}


def draw(
    stage: str, n_rows: int, *, seed: int, n_image_tokens: int, image_token_id: int, n_images: int
) -> list[Row]:
    """Return conversations with one image each, in random order.

    Parameters
    ----------
    stage : {"align", "finetune"}
    n_rows : int
    seed : int
    n_image_tokens : int
    image_token_id : int
        Text ids are drawn from those below.
    n_images : int
        Different images; they are named by number.
    """
    mixture, rng = MIXTURES[stage], np.random.default_rng(seed)
    room = MAX_TOKENS - mixture.n_before - n_image_tokens
    rows = []
    for kind, n_text in _lengths(mixture, n_rows):
        n_text = min(max(n_text, 4), room)
        n_answer = round(kind.supervised_frac * n_text)
        text = rng.integers(START + 1, image_token_id, mixture.n_before - 1 + n_text).tolist()
        before, after = text[: mixture.n_before - 1], text[mixture.n_before - 1 :]
        ids = (START, *before, *[image_token_id] * n_image_tokens, *after)
        answer = after[n_text - n_answer :]
        labels = (*[IGNORE_INDEX] * (len(ids) - len(answer)), *answer)
        image = Path(str(len(rows) % n_images))
        rows.append(Row(encoded=Encoded(input_ids=ids, labels=labels), images=(image,)))
    return [rows[index] for index in rng.permutation(n_rows)]


def histogram(rows: Sequence[Row], n_image_tokens: int, *, n_bins: int = 10) -> list[tuple[int, int, int]]:
    """Return (first, last, conversations) by number of text tokens."""
    lengths = np.array([row.n_tokens - n_image_tokens for row in rows])
    edges = np.unique(np.linspace(lengths.min(), lengths.max() + 1, n_bins + 1).astype(int))
    counts, _ = np.histogram(lengths, edges)
    return [
        (int(first), int(last) - 1, int(count))
        for first, last, count in zip(edges[:-1], edges[1:], counts, strict=True)
    ]


def drawn_histogram(bins: Sequence[tuple[int, int, int]], *, width: int = 50) -> str:
    """Return the histogram as lines of at most 80 columns."""
    most = max(count for _, _, count in bins)
    lines = ["text tokens  conversations"]
    for first, last, count in bins:
        lines.append(f"{first:5d} - {last:<5d} {count:5d} {'#' * round(width * count / most)}".rstrip())
    return "\n".join(lines)


def _lengths(mixture: Mixture, n_rows: int) -> list[tuple[Kind, int]]:
    """Return kind and text length per conversation: evenly spaced quantiles, typical even of a few."""
    ends = np.round(np.cumsum([kind.share for kind in mixture.kinds]) * n_rows).astype(int)
    found = []
    for kind, begin, end in zip(mixture.kinds, [0, *ends[:-1]], ends, strict=True):
        middle = math.log(kind.mean_tokens) - kind.log_spread**2 / 2
        length = NormalDist(middle, kind.log_spread)
        found += [
            (kind, round(math.exp(length.inv_cdf((n + 0.5) / (end - begin))))) for n in range(end - begin)
        ]
    return found
