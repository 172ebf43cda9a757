from itertools import product

import numpy as np
import pytest

from llava_core.concepts.chunk_phrases import ChunkPhrases, text_hashes
from llava_core.concepts.draw import draw, mix
from llava_core.concepts.index import IndexBuilder, PhraseIndex
from llava_core.concepts.walk import WalkConfig, walk

Captions = list[list[str]]
CONFIGS = [
    WalkConfig(max_per_phrase=cap, pooled=pooled, order=order, seed=seed)
    for cap, pooled, order, seed in product(
        (1, 4, 1000), ("ignored", "counted"), ("initial", "remaining"), (0, 1)
    )
]


def zipf_captions(seed: int, n_captions: int = 400, n_phrases: int = 120) -> Captions:
    rng = np.random.default_rng(seed)
    weights = 1 / (np.arange(n_phrases) + 1.5)
    return [
        [
            f"p{i}"
            for i in rng.choice(n_phrases, size=rng.integers(0, 5), replace=False, p=weights / weights.sum())
        ]
        for _ in range(n_captions)
    ]


def index_of(
    captions: Captions,
    *,
    chunk: int = 50,
    min_count: int = 3,
    names: list[str] | None = None,
    **named,
) -> PhraseIndex:
    builder = IndexBuilder()
    names = names if names is not None else [str(row) for row in range(len(captions))]
    for begin in range(0, len(captions), chunk):
        part = captions[begin : begin + chunk]
        code_of: dict[str, int] = {}
        codes = [code_of.setdefault(phrase, len(code_of)) for phrases in part for phrase in phrases]
        builder.add(
            ChunkPhrases(
                phrases=list(code_of),
                codes=np.array(codes, dtype=np.int32),
                n_phrases=np.array([len(phrases) for phrases in part], dtype=np.int32),
                caption_keys=text_hashes(names[begin : begin + chunk]),
                text_keys=text_hashes([" ".join(phrases) for phrases in part]),
            )
        )
    return builder.build(
        min_count=min_count, **{"ties": "alphabet", "duplicates": "keep", "seed": 0, **named}
    )


def plain_walk(captions: Captions, config: WalkConfig, *, min_count: int) -> tuple[list[str], list]:
    """The same in dictionaries and sets, without a heap: the lowest is looked for each time."""

    def mixed(value: int) -> int:
        return int(mix(np.array([value], dtype=np.uint64))[0])

    holders: dict[str, list[int]] = {}
    for row, phrases in enumerate(captions):
        for phrase in phrases:
            holders.setdefault(phrase, []).append(row)
    left = {phrase: rows for phrase, rows in holders.items() if len(rows) >= min_count}
    keys = [int(key) for key in text_hashes([str(row) for row in range(len(captions))])]
    pool: dict[int, str] = {}
    visited = []
    while left:

        def place(phrase: str) -> tuple:
            rows = left[phrase]
            remaining = len([row for row in rows if row not in pool])
            first = (remaining,) if config.order == "remaining" else ()
            return (*first, len(rows), phrase)

        phrase = min(left, key=place)
        rows = left.pop(phrase)
        wanted = config.max_per_phrase
        if config.pooled == "counted" and len(rows) > wanted:
            wanted = max(0, wanted - len([row for row in rows if row in pool]))
            rows = [row for row in rows if row not in pool]
        if len(rows) > wanted:
            salt = mixed(mixed(config.seed) ^ int(text_hashes([phrase])[0]))
            rows = sorted(rows, key=lambda row: (mixed(keys[row] ^ salt), row))[:wanted]
        for row in rows:
            pool.setdefault(row, phrase)
        visited.append(phrase)
    return visited, [pool.get(row) for row in range(len(captions))]


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_the_walk_is_that_of_plain_python(config: WalkConfig) -> None:
    captions = zipf_captions(3)
    index = index_of(captions)
    pool = walk(index, config)
    _, added_for = plain_walk(captions, config, min_count=3)
    assert [None if p < 0 else index.phrases[p] for p in pool.added_for] == added_for


@pytest.mark.parametrize("config", CONFIGS, ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_every_frequent_phrase_is_covered(config: WalkConfig, seed: int) -> None:
    index = index_of(zipf_captions(seed))
    pool = walk(index, config)
    assert len(index.phrases) > 20
    assert (pool.counts >= np.minimum(index.counts, config.max_per_phrase)).all()
    assert (pool.counts <= index.counts).all()
    in_pool = [int((pool.added_for[index.captions_of(p)] >= 0).sum()) for p in range(len(index.phrases))]
    assert in_pool == pool.counts.tolist()
    if config.max_per_phrase == 1000:
        assert len(pool.rows) == (np.diff(index.phrase_starts) > 0).sum()


@pytest.mark.parametrize("order", ["initial", "remaining"])
def test_no_phrase_adds_above_the_cap(order) -> None:
    index = index_of(zipf_captions(4))
    ignored = walk(index, WalkConfig(max_per_phrase=4, order=order))
    counted = walk(index, WalkConfig(max_per_phrase=4, order=order, pooled="counted"))
    for pool in (ignored, counted):
        assert np.bincount(pool.added_for[pool.added_for >= 0]).max() <= 4
    assert len(counted.rows) < len(ignored.rows)


def test_captions_in_the_pool_count_where_that_is_asked_for() -> None:
    index = index_of(zipf_captions(4))
    pool = walk(index, WalkConfig(max_per_phrase=4, pooled="counted"))
    n_full = 0
    for phrase in np.flatnonzero(index.counts > 4):
        reasons = pool.added_for[index.captions_of(phrase)]
        n_before = int(((reasons >= 0) & (reasons < phrase)).sum())
        assert int((reasons == phrase).sum()) == max(0, 4 - n_before)
        n_full += n_before >= 4
    assert n_full > 5


@pytest.mark.parametrize("config", CONFIGS[::3], ids=str)
def test_neither_chunks_nor_the_order_of_rows_matter(config: WalkConfig) -> None:
    captions = zipf_captions(5)
    names = [f"caption {row}" for row in range(len(captions))]
    kept = walk(index_of(captions, names=names), config).rows
    for chunk in (1, 7, 1000):
        assert np.array_equal(walk(index_of(captions, names=names, chunk=chunk), config).rows, kept)
    moved = np.random.default_rng(0).permutation(len(captions))
    again = index_of([captions[i] for i in moved], names=[names[i] for i in moved])
    assert sorted(moved[walk(again, config).rows]) == kept.tolist()


def test_seeds_draw_other_captions_and_the_same_ones_again() -> None:
    index = index_of(zipf_captions(6))
    first, same, other = (walk(index, WalkConfig(max_per_phrase=4, seed=seed)).rows for seed in (0, 0, 1))
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


def test_draws_are_uniform_and_independent() -> None:
    keys = text_hashes([str(row) for row in range(40)])
    captions = np.arange(40, dtype=np.int32)
    phrases = text_hashes([f"phrase {i}" for i in range(4000)])
    drawn = np.array([draw(captions, keys, n_drawn=10, phrase_key=key, seed=3) for key in phrases])
    assert all(len(set(row)) == 10 for row in drawn.tolist())
    times = np.bincount(drawn.ravel(), minlength=40)
    expected, variance = 4000 * 0.25, 4000 * 0.25 * 0.75
    # Chi-square of 40 cells, one constraint, drawn without replacement: mean 39, standard deviation about 9.
    assert ((times - expected) ** 2 / variance).sum() * 39 / 40 < 39 + 5 * 9
    both = sum(len(set(a) & set(b)) for a, b in zip(drawn[::2].tolist(), drawn[1::2].tolist(), strict=True))
    assert abs(both / 2000 - 10 * 10 / 40) < 5 * 1.2 / np.sqrt(2000)


def test_ties_are_broken_by_the_alphabet_or_by_seed() -> None:
    captions = [[f"p{i:02d}"] for i in range(20) for _ in range(3)]
    alphabet = index_of(captions[::-1]).phrases
    assert alphabet == sorted(alphabet)
    seeded = [index_of(captions, ties="seeded", seed=seed).phrases for seed in (0, 0, 1)]
    assert seeded[0] == seeded[1] != alphabet
    assert seeded[2] != seeded[0]
    assert sorted(seeded[0]) == alphabet


def test_rare_phrases_and_duplicates_are_left_out_and_counted() -> None:
    captions = [["a", "b"], ["a"], ["a", "c"], [], ["a"], ["b"]]
    index = index_of(captions, min_count=2)
    assert (index.phrases, index.counts.tolist()) == (["b", "a"], [2, 4])
    assert (index.n_found, index.n_without, index.spectrum) == (3, 1, {1: 1})
    dropped = index_of(captions, min_count=2, duplicates="drop")
    assert dropped.counts.tolist() == [2, 3]
    assert dropped.n_duplicates == 1
    assert walk(dropped, WalkConfig()).rows.tolist() == [0, 1, 2, 5]


def test_a_cap_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="got max_per_phrase 0"):
        WalkConfig(max_per_phrase=0)
