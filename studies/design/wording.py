"""Texts as the design matrix reads them: normalised, split into words, and one entry per distinct text.

What is left out: stemming, stop words and any list of words of our own; nothing here knows a data set.
"""

import re
import unicodedata
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_NOT_WORD = re.compile(r"[^\w\s]+")


def texts_of(frame: pd.DataFrame, column: str) -> list[str]:
    """Return a text column as strings, the empty string where unknown."""
    return [
        "" if isinstance(text, float) or text is None or text is pd.NA else str(text)
        for text in frame[column]
    ]


def normalised(text: str) -> str:
    """Return the text in lower case, without punctuation and with single spaces.

    Examples
    --------
    >>> normalised("  Is it  Saturn's?")
    'is it saturns'
    """
    return " ".join(_NOT_WORD.sub("", unicodedata.normalize("NFKC", text).lower()).split())


def distinct(texts: Sequence[str]) -> tuple[list[str], NDArray[np.int64]]:
    """Return the distinct texts in sorted order, and for every text its place among them."""
    unique = sorted(set(texts))
    place = {text: index for index, text in enumerate(unique)}
    return unique, np.array([place[text] for text in texts], dtype=np.int64)
