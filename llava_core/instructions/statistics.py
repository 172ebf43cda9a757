"""Statistics of instruction data: lengths, openings, verbs and nouns of questions, diversity.

Everything is counted record by record in memory that grows with the vocabulary, not with the number of
records. distinct-n is from Li et al., 2016 (arXiv:1510.03055); verbs and nouns of instructions as a picture
of diversity from Wang et al., 2022 (Self-Instruct, arXiv:2212.10560), here without a parser, see
`question_words`. Left out: whether what is said is true.
"""

import re
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import pairwise
from math import sqrt
from typing import Any

import numpy as np

from llava_core.instructions.question_words import nouns, root_verb
from llava_core.instructions.records import answers_of, questions_of

N_SHOWN = 25
"""Most frequent openings, verbs, nouns that are kept."""
_WORD = re.compile(r"[a-z0-9]+(?:['\u2019-][a-z0-9]+)*")


def words_of(text: str) -> list[str]:
    """Return the words of a text, lower case.

    Examples
    --------
    >>> words_of("What's the man's T-shirt like?")
    ["what's", 'the', "man's", 't-shirt', 'like']
    """
    return _WORD.findall(text.lower())


@dataclass(kw_only=True, slots=True)
class TextStatistics:
    """Lengths and diversity of texts."""

    n_words: "array[int]" = field(default_factory=lambda: array("l"))
    unigrams: Counter[str] = field(default_factory=Counter)
    bigrams: set[tuple[str, str]] = field(default_factory=set)
    n_bigrams: int = 0
    different: set[bytes] = field(default_factory=set)
    """Hashes of the texts' words."""
    directions: dict[str, float] = field(default_factory=dict)
    """Sum of the texts' word counts, each scaled to length 1."""
    n_directions: int = 0

    def add(self, text: str) -> None:
        """Count one text."""
        words = words_of(text)
        self.n_words.append(len(words))
        self.different.add(blake2b(" ".join(words).encode(), digest_size=16).digest())
        self.bigrams.update(pairwise(words))
        self.n_bigrams += max(len(words) - 1, 0)
        counts = Counter(words)
        self.unigrams.update(counts)
        length = sqrt(sum(n * n for n in counts.values()))
        self.n_directions += bool(counts)
        for word, n in counts.items():
            self.directions[word] = self.directions.get(word, 0.0) + n / length

    def told(self) -> dict[str, Any]:
        """Return the figures; None where there is nothing to take a figure of."""
        n_texts = len(self.n_words)
        return {
            "n": n_texts,
            "words": lengths(self.n_words),
            "different_frac": len(self.different) / n_texts if n_texts else None,
            "distinct_1": _frac(len(self.unigrams), self.unigrams.total()),
            "distinct_2": _frac(len(self.bigrams), self.n_bigrams),
            "self_similarity": self.self_similarity(),
        }

    def self_similarity(self) -> float | None:
        """Return the mean cosine between the word counts of two different texts; None for fewer than two.

        The sum over all pairs is had from the sum of the unit vectors: its squared length counts every pair
        twice and every text once.
        """
        n = self.n_directions
        if n < 2:
            return None
        squared = sum(value * value for value in self.directions.values())
        return min(max((squared - n) / (n * (n - 1)), 0.0), 1.0)


@dataclass(kw_only=True, slots=True)
class RecordStatistics:
    """Statistics of records of one kind."""

    n_turns: "array[int]" = field(default_factory=lambda: array("l"))
    """Questions with their answers."""
    questions: TextStatistics = field(default_factory=TextStatistics)
    answers: TextStatistics = field(default_factory=TextStatistics)
    openings: Counter[str] = field(default_factory=Counter)
    verbs: Counter[str] = field(default_factory=Counter)
    nouns: Counter[str] = field(default_factory=Counter)
    n_first: int = 0
    """Records whose image stands before the first question."""

    def add(self, record: Mapping[str, Any]) -> None:
        """Count one record."""
        asked = questions_of(record)
        self.n_turns.append(len(asked))
        self.n_first += record["conversations"][0]["value"].startswith("<image>")
        for question in asked:
            self.questions.add(question)
            self.openings[" ".join(words_of(question)[:2])] += 1
            self.verbs[root_verb(question) or "(none found)"] += 1
            self.nouns.update(set(nouns(question)))
        for answer in answers_of(record):
            self.answers.add(answer)

    def told(self) -> dict[str, Any]:
        """Return the figures for the summary."""
        n_records = len(self.n_turns)
        return {
            "n_records": n_records,
            "turns": lengths(self.n_turns),
            "image_first_frac": _frac(self.n_first, n_records),
            "questions": self.questions.told(),
            "answers": self.answers.told(),
            "question_openings": dict(_top(self.openings)),
            "question_verbs": dict(_top(self.verbs)),
            "question_nouns": dict(_top(self.nouns)),
        }


def lengths(values: Sequence[int]) -> dict[str, float] | None:
    """Return mean, median, fewest and most; None for no values."""
    if not len(values):
        return None
    found = np.asarray(values)
    return {
        "mean": float(found.mean()),
        "median": float(np.median(found)),
        "fewest": int(found.min()),
        "most": int(found.max()),
    }


def _frac(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _top(counts: Counter[str]) -> list[tuple[str, int]]:
    """Return the most frequent, ties in the order of the alphabet."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:N_SHOWN]
