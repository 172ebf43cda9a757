"""The walk of LLaVA's concept filter: from the rarest phrase to the most frequent one, captions are pooled.

All captions of a phrase are added, or, if it has more than the cap, as many as the cap says, drawn uniformly.
The published description leaves open whether captions that are already in the pool count against the cap, and
whether a phrase's place in the walk changes as captions are added; both are options here.

References
----------
Liu, Li, Wu and Lee (2023), "Visual instruction tuning", appendix on data: the filter of CC3M to 595,375
pairs.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from llava_core.concepts.draw import draw
from llava_core.concepts.index import PhraseIndex

Pooled = Literal["ignored", "counted"]
Order = Literal["initial", "remaining"]
_TELL_EVERY = 1000
"""Phrases between two calls of a progress callback."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WalkConfig:
    """How captions are pooled."""

    max_per_phrase: int = 100
    """Most captions that are added for one phrase."""
    pooled: Pooled = "ignored"
    """``ignored``: a phrase above the cap draws from all its captions, be they in the pool or not, as the
    published text has it. ``counted``: those in the pool count against the cap, and only what is missing is
    drawn, from the others; the pool is smaller."""
    order: Order = "initial"
    """``initial``: by the frequency in the whole file, as the published text has it. ``remaining``: next
    comes the phrase with the fewest captions that are not in the pool yet; of equals, the one that is first
    by the other order."""
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse a cap that would leave phrases without a caption."""
        if self.max_per_phrase < 1:
            raise ValueError(f"got max_per_phrase {self.max_per_phrase}, allowed is 1 or more")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Pool:
    """The captions that were kept."""

    added_for: NDArray[np.int32]
    """(n_captions,): the phrase that a caption was added for first; -1 if it was not added."""
    counts: NDArray[np.int64]
    """(n_phrases,): captions of the pool that have a phrase."""

    @property
    def rows(self) -> NDArray[np.int64]:
        """Return the kept captions in the order of the file."""
        return np.flatnonzero(self.added_for >= 0)


def walk(
    index: PhraseIndex, config: WalkConfig, *, progress: Callable[[int, int], None] | None = None
) -> Pool:
    """Pool captions until every phrase has been visited.

    Parameters
    ----------
    index : PhraseIndex
    config : WalkConfig
    progress : callable, optional
        Called with phrases visited and phrases in all.
    """
    added_for = np.full(index.n_captions, -1, dtype=np.int32)
    tell = progress or (lambda done, total: None)
    if config.order == "initial":
        _by_initial_frequency(index, config, added_for, tell)
    else:
        _by_remaining_frequency(index, config, added_for, tell)
    pooled = np.repeat(added_for >= 0, np.diff(index.phrase_starts))
    counts = np.bincount(index.phrase_ids[pooled], minlength=len(index.phrases)).astype(np.int64)
    return Pool(added_for=added_for, counts=counts)


def _by_initial_frequency(
    index: PhraseIndex, config: WalkConfig, added_for: NDArray[np.int32], tell: Callable[[int, int], None]
) -> None:
    n_phrases = len(index.phrases)
    # Phrases up to the cap come first and add all that they have, whatever is in the pool: all at once.
    n_whole = int(np.searchsorted(index.counts, config.max_per_phrase, side="right"))
    end = int(index.caption_starts[n_whole])
    whole = np.repeat(np.arange(n_whole, dtype=np.int32), index.counts[:n_whole])
    rarest = np.full(index.n_captions, n_phrases, dtype=np.int32)
    np.minimum.at(rarest, index.captions[:end], whole)
    np.copyto(added_for, rarest, where=rarest < n_phrases)
    for phrase in range(n_whole, n_phrases):
        _visit(index, config, added_for, phrase)
        if phrase % _TELL_EVERY == 0:
            tell(phrase, n_phrases)
    tell(n_phrases, n_phrases)


def _by_remaining_frequency(
    index: PhraseIndex, config: WalkConfig, added_for: NDArray[np.int32], tell: Callable[[int, int], None]
) -> None:
    n_phrases = len(index.phrases)
    remaining = index.counts.copy()
    visited = np.zeros(n_phrases, dtype=bool)
    # One number per entry, remaining frequency before rank; entries that are out of date are passed over.
    heap: list[int] = (remaining * n_phrases + np.arange(n_phrases)).tolist()
    heapq.heapify(heap)
    n_visited = 0
    while heap:
        left, phrase = divmod(heapq.heappop(heap), n_phrases)
        if visited[phrase] or remaining[phrase] != left:
            continue
        visited[phrase] = True
        n_visited += 1
        added = _visit(index, config, added_for, phrase)
        if len(added):
            held = [index.phrase_ids[index.phrase_starts[c] : index.phrase_starts[c + 1]] for c in added]
            changed, by = np.unique(np.concatenate(held), return_counts=True)
            remaining[changed] -= by
            changed = changed[~visited[changed]]
            for entry in (remaining[changed] * n_phrases + changed).tolist():
                heapq.heappush(heap, entry)
        if len(heap) > 4 * n_phrases + 1000:
            waiting = np.flatnonzero(~visited)
            heap = (remaining[waiting] * n_phrases + waiting).tolist()
            heapq.heapify(heap)
        if n_visited % _TELL_EVERY == 0:
            tell(n_visited, n_phrases)
    tell(n_phrases, n_phrases)


def _visit(
    index: PhraseIndex, config: WalkConfig, added_for: NDArray[np.int32], phrase: int
) -> NDArray[np.int32]:
    """Add captions of a phrase; return those that are new to the pool."""
    captions = index.captions_of(phrase)
    n_drawn = config.max_per_phrase
    if config.pooled == "counted" and len(captions) > n_drawn:
        outside = captions[added_for[captions] < 0]
        n_drawn = max(0, n_drawn - (len(captions) - len(outside)))
        captions = outside
    drawn = draw(
        captions,
        index.caption_keys,
        n_drawn=n_drawn,
        phrase_key=index.phrase_keys[phrase],
        seed=config.seed,
    )
    added = drawn[added_for[drawn] < 0]
    added_for[added] = phrase
    return added
