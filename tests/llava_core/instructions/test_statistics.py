"""Statistics against slow, plain computations."""

from itertools import combinations, pairwise
from math import sqrt
from random import Random

import pytest

from llava_core.instructions.statistics import RecordStatistics, TextStatistics, words_of


def texts(n_texts: int) -> list[str]:
    rng = Random(1)
    words = ["dog", "cat", "What", "is", "the", "colour", "man's", "run-down", "?"]
    return [" ".join(rng.choices(words, k=rng.randrange(1, 9))) for _ in range(n_texts)] + ["?!"]


def told(of: list[str]) -> dict[str, object]:
    found = TextStatistics()
    for text in of:
        found.add(text)
    return found.told()


def cosine(left: list[str], right: list[str]) -> float:
    vocabulary = sorted({*left, *right})
    a, b = [left.count(word) for word in vocabulary], [right.count(word) for word in vocabulary]
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def test_diversity_is_what_all_pairs_and_all_words_give() -> None:
    sample = texts(40)
    words = [words_of(text) for text in sample]
    pairs = [cosine(left, right) for left, right in combinations([each for each in words if each], 2)]
    bigrams = [pair for each in words for pair in pairwise(each)]
    flat = [word for each in words for word in each]
    found = told(sample)
    assert found["self_similarity"] == pytest.approx(sum(pairs) / len(pairs), rel=1e-12)
    assert found["distinct_1"] == pytest.approx(len(set(flat)) / len(flat))
    assert found["distinct_2"] == pytest.approx(len(set(bigrams)) / len(bigrams))
    assert found["different_frac"] == pytest.approx(len({tuple(each) for each in words}) / len(sample))
    lengths = [len(each) for each in words]
    assert found["words"] == {
        "mean": pytest.approx(sum(lengths) / len(lengths)),
        "median": sorted(lengths)[20],
        "fewest": 0,
        "most": max(lengths),
    }


def test_the_order_of_texts_does_not_matter() -> None:
    sample = texts(30)
    assert told(sample[::-1]) == {
        name: pytest.approx(value) if isinstance(value, float) else value
        for name, value in told(sample).items()
    }


def test_extremes() -> None:
    assert told(["a b c"] * 5)["self_similarity"] == pytest.approx(1.0)
    assert told(["a b", "c d"])["self_similarity"] == 0.0
    assert told(["a"])["self_similarity"] is None
    assert told([]) == {
        "n": 0,
        "words": None,
        "different_frac": None,
        "distinct_1": None,
        "distinct_2": None,
        "self_similarity": None,
    }


def test_records_are_counted_by_turns_openings_verbs_and_nouns() -> None:
    found = RecordStatistics()
    for n in range(3):
        turns = [("human", "<image>\nWhat is the dog doing?"), ("gpt", "It sleeps.")] * (n + 1)
        record = {"conversations": [{"from": role, "value": value} for role, value in turns]}
        found.add(record)
    statistics = found.told()
    assert statistics["turns"] == {"mean": 2.0, "median": 2.0, "fewest": 1, "most": 3}
    assert statistics["question_openings"] == {"what is": 6}
    assert statistics["question_verbs"] == {"do": 6}
    assert statistics["question_nouns"] == {"dog": 6}
    assert statistics["image_first_frac"] == 1.0
    assert statistics["answers"]["n"] == 6
