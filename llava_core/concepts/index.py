"""Which captions have which phrases: chunks that were read in order, joined to arrays.

Phrases are numbered by how rare they are, so that the walk from the rarest on is the walk over 0, 1, 2 ...
Both directions are kept in compressed rows of int32: 3.3 million captions with 4 phrases each take 0.1 GB a
direction.
"""

from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from llava_core.concepts.chunk_phrases import ChunkPhrases, text_hashes
from llava_core.concepts.draw import mix

Ties = Literal["alphabet", "seeded"]
Duplicates = Literal["keep", "drop"]
Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PhraseIndex:
    """All phrases that are frequent enough, and the captions that have them."""

    phrases: list[str]
    """From the rarest to the most frequent one."""
    counts: NDArray[np.int64]
    """(n_phrases,): captions that have a phrase."""
    phrase_keys: NDArray[np.uint64]
    """(n_phrases,): hash of each phrase."""
    caption_starts: NDArray[np.int64]
    """(n_phrases + 1,): phrase i has ``captions[caption_starts[i]:caption_starts[i + 1]]``."""
    captions: NDArray[np.int32]
    """In the order of the file within a phrase."""
    phrase_starts: NDArray[np.int64]
    """(n_captions + 1,): the same for the phrases of a caption."""
    phrase_ids: NDArray[np.int32]
    caption_keys: NDArray[np.uint64]
    """(n_captions,)."""
    n_found: int
    """Different phrases, the rare ones included."""
    n_without: int
    """Captions in which no phrase was found at all."""
    n_duplicates: int
    """Captions that were left out because one with the same words stands before them."""
    spectrum: dict[int, int]
    """How many phrases are in one caption, in two ..., below the least count."""

    @property
    def n_captions(self) -> int:
        """Captions, with or without a phrase."""
        return len(self.phrase_starts) - 1

    def captions_of(self, phrase: int) -> NDArray[np.int32]:
        """Return the captions that have a phrase."""
        return self.captions[self.caption_starts[phrase] : self.caption_starts[phrase + 1]]


class IndexBuilder:
    """Takes chunks in the order of the captions."""

    def __init__(self) -> None:
        self._id_of: dict[str, int] = {}
        self._codes: list[NDArray[np.int32]] = []
        self._n_phrases: list[NDArray[np.int32]] = []
        self._caption_keys: list[NDArray[np.uint64]] = []
        self._text_keys: list[NDArray[np.uint64]] = []

    def add(self, chunk: ChunkPhrases) -> None:
        """Take the next chunk."""
        id_of = self._id_of
        ids = np.array([id_of.setdefault(text, len(id_of)) for text in chunk.phrases], dtype=np.int32)
        self._codes.append(ids[chunk.codes] if len(ids) else chunk.codes)
        self._n_phrases.append(chunk.n_phrases)
        self._caption_keys.append(chunk.caption_keys)
        self._text_keys.append(chunk.text_keys)

    def build(self, *, min_count: int, ties: Ties, duplicates: Duplicates, seed: int) -> PhraseIndex:
        """Return the index of what was added; the builder is empty afterwards.

        Parameters
        ----------
        min_count : int
            Phrases in fewer captions are left out.
        ties : {"alphabet", "seeded"}
            Order among phrases that are equally frequent.
        duplicates : {"keep", "drop"}
            Whether a caption counts if one with the same words stands before it.
        seed : int
            For seeded ties.
        """
        codes, n_phrases = _joined(self._codes, np.int32), _joined(self._n_phrases, np.int32)
        n_without = int((n_phrases == 0).sum())
        n_duplicates = 0
        if duplicates == "drop":
            text_keys = _joined(self._text_keys, np.uint64)
            again = np.ones(len(text_keys), dtype=bool)
            again[np.unique(text_keys, return_index=True)[1]] = False
            n_duplicates = int(again.sum())
            codes = codes[~np.repeat(again, n_phrases)]
            n_phrases = np.where(again, 0, n_phrases).astype(np.int32)
        self._text_keys.clear()
        texts = list(self._id_of)
        self._id_of = {}
        counts = np.bincount(codes, minlength=len(texts))
        kept = np.flatnonzero(counts >= min_count)
        kept_texts = [texts[i] for i in kept]
        keys = text_hashes(kept_texts)
        alphabet = np.empty(len(kept), dtype=np.int64)
        alphabet[sorted(range(len(kept)), key=kept_texts.__getitem__)] = np.arange(len(kept))
        by = alphabet if ties == "alphabet" else mix(keys ^ mix(np.array([seed], dtype=np.uint64)))
        order = np.lexsort((alphabet, by, counts[kept]))
        rank_of = np.full(len(texts), -1, dtype=np.int32)
        rank_of[kept[order]] = np.arange(len(kept), dtype=np.int32)

        ranks = rank_of[codes]
        caption_of = np.repeat(np.arange(len(n_phrases), dtype=np.int32), n_phrases)[ranks >= 0]
        ranks = ranks[ranks >= 0]
        below = np.bincount(counts[counts < min_count], minlength=1)
        return PhraseIndex(
            phrases=[kept_texts[i] for i in order],
            counts=counts[kept][order],
            phrase_keys=keys[order],
            caption_starts=_starts(ranks, len(kept)),
            captions=caption_of[np.argsort(ranks, kind="stable")],
            phrase_starts=_starts(caption_of, len(n_phrases)),
            phrase_ids=ranks,
            caption_keys=_joined(self._caption_keys, np.uint64),
            n_found=int((counts > 0).sum()),
            n_without=n_without,
            n_duplicates=n_duplicates,
            spectrum={count: int(n) for count, n in enumerate(below) if count and n},
        )


def _joined(parts: list[NDArray[Scalar]], dtype: type[Scalar]) -> NDArray[Scalar]:
    """Return the parts as one array, and let go of them."""
    whole = np.concatenate(parts) if parts else np.empty(0, dtype=dtype)
    parts.clear()
    return whole


def _starts(rows: NDArray[np.int32], n_rows: int) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n_rows))]).astype(np.int64)
