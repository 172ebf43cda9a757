"""The phrases of one chunk of captions: what a process computes, kept for resuming [edge]."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llava_core.concepts.finders import load_finder
from llava_core.concepts.phrases import PhraseForm, phrase_text
from llava_core.drafts import whole_file

_SEPARATOR = "\n"
"""Phrases are made of tokens, none of which holds white space."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ChunkPhrases:
    """Which phrases each caption of a chunk has."""

    phrases: list[str]
    """The different ones of this chunk, in the order that they were met."""
    codes: NDArray[np.int32]
    """Positions in ``phrases``; caption after caption, each phrase once in a caption."""
    n_phrases: NDArray[np.int32]
    """(n_captions,): how many of the codes are a caption's."""
    caption_keys: NDArray[np.uint64]
    """(n_captions,): hash over a caption, its id, image and URL: what draws are made by."""
    text_keys: NDArray[np.uint64]
    """(n_captions,): hash over the caption without regard to upper case: what duplicates are told by."""

    def write(self, path: Path) -> None:
        """Write the chunk; the file appears under its name only when it is whole."""
        # A worker whose run was killed may still be at it.
        with whole_file(path, shared=True) as draft, draft.open("wb") as file:
            np.savez(
                file,
                allow_pickle=False,
                phrases=np.frombuffer(_SEPARATOR.join(self.phrases).encode(), dtype=np.uint8),
                codes=self.codes,
                n_phrases=self.n_phrases,
                caption_keys=self.caption_keys,
                text_keys=self.text_keys,
            )

    @classmethod
    def read(cls, path: Path) -> "ChunkPhrases":
        """Read what `write` has written."""
        with np.load(path, allow_pickle=False) as told:
            text = told["phrases"].tobytes().decode()
            return cls(
                phrases=text.split(_SEPARATOR) if text else [],
                codes=told["codes"],
                n_phrases=told["n_phrases"],
                caption_keys=told["caption_keys"],
                text_keys=told["text_keys"],
            )


def find_in_chunk(
    captions: Sequence[str], sources: Sequence[str], *, finder: str, form: PhraseForm
) -> ChunkPhrases:
    """Find the phrases of some captions.

    Parameters
    ----------
    captions : sequence of str
    sources : sequence of str
        What tells a caption from another one with the same words: its id, image and URL.
    finder : str
        Name of a finder, see `llava_core.concepts.finders.load_finder`.
    form : PhraseForm
    """
    find = load_finder(finder)
    code_of: dict[str, int] = {}
    text_of: dict[tuple[str, ...], str] = {}
    codes: list[int] = []
    n_phrases: list[int] = []
    for found in find(captions):
        mine: dict[int, None] = {}
        for words in found:
            tokens = tuple(words)
            text = text_of.get(tokens)
            if text is None:
                text = text_of[tokens] = phrase_text(words, form)
            if text:
                mine[code_of.setdefault(text, len(code_of))] = None
        codes.extend(mine)
        n_phrases.append(len(mine))
    identities = [f"{caption}\0{source}" for caption, source in zip(captions, sources, strict=True)]
    return ChunkPhrases(
        phrases=list(code_of),
        codes=np.array(codes, dtype=np.int32),
        n_phrases=np.array(n_phrases, dtype=np.int32),
        caption_keys=text_hashes(identities),
        text_keys=text_hashes([caption.lower() for caption in captions]),
    )


def text_hashes(texts: Sequence[str]) -> NDArray[np.uint64]:
    """Return 64 bits of BLAKE2 for each text, the same on every machine."""
    digests = b"".join(hashlib.blake2b(text.encode(), digest_size=8).digest() for text in texts)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)
