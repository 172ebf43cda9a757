"""TF-IDF vectors without a vocabulary: words or character n-grams are hashed to columns.

The fitted state is one array of rarities, small to store and safe to load; a text that was never seen costs
nothing extra. Collisions are the price: with 2^16 columns and ten thousand words about one word in seven
shares its column.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.preprocessing import normalize

from studies.design.wording import distinct


class HashedTfIdf(BaseEstimator):
    """Sublinear TF-IDF of texts, (n_texts, n_columns), sparse float32.

    Parameters
    ----------
    grams : tuple of int, optional
        Lengths of character n-grams within words; None for words.
    binary : bool
        Whether a repeated word counts once.
    unit : bool
        Whether vectors have length 1.
    n_columns : int
        Columns to hash to.
    """

    def __init__(
        self,
        *,
        grams: tuple[int, int] | None = None,
        binary: bool = False,
        unit: bool = True,
        n_columns: int = 2**16,
    ) -> None:
        self.grams = grams
        self.binary = binary
        self.unit = unit
        self.n_columns = n_columns

    def fit(self, texts: Sequence[str]) -> Self:
        """Learn how rare each column is among the distinct texts: log((1 + n) / (1 + n with it)) + 1."""
        unique, _ = distinct(texts)
        present = np.bincount(self._counts(unique).indices, minlength=self.n_columns)
        self.rarity_ = (np.log((1.0 + len(unique)) / (1.0 + present)) + 1.0).astype(np.float32)
        return self

    def transform(self, texts: Sequence[str]) -> sparse.csr_matrix:
        """Return the vectors; a text without words is an empty row."""
        unique, place = distinct(texts)
        vectors = self._counts(unique)
        vectors.data = (np.float32(1.0) + np.log(vectors.data)) * self.rarity_[vectors.indices]
        if self.unit:
            vectors = normalize(vectors, copy=False)
        return vectors[place]

    def columns_in(self, texts: Sequence[str]) -> sparse.csr_matrix:
        """Return 1 where a text has the column: (n_texts, n_columns)."""
        unique, place = distinct(texts)
        present = self._counts(unique)
        present.data[:] = 1.0
        return present[place]

    def _counts(self, texts: Sequence[str]) -> sparse.csr_matrix:
        words = self.grams is None
        hasher = HashingVectorizer(
            analyzer="word" if words else "char_wb",
            token_pattern=r"(?u)\b\w+\b" if words else None,
            ngram_range=(1, 1) if self.grams is None else self.grams,
            n_features=self.n_columns,
            alternate_sign=False,
            norm=None,
            binary=self.binary,
            dtype=np.float32,
        )
        return hasher.transform(texts)


def text_keys(texts: Sequence[str]) -> NDArray[np.int64]:
    """Return a 64-bit key of each text, equal for equal texts in every process."""
    unique, place = distinct(texts)
    keys = [int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little") for text in unique]
    return np.array(keys, dtype=np.uint64).view(np.int64)[place]
