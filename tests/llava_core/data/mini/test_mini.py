"""The bundled data: nothing of the scored parts occurs elsewhere, and nothing but the picture answers."""

import hashlib
import json
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from llava_core.data.load import load_dataset
from llava_core.data.mini import (
    PARTS,
    SKILLS,
    MiniItem,
    generate,
    mini_fingerprint,
    pretrain_texts,
    write_mini,
)
from llava_core.data.mini.parts import QUOTAS, question_key
from llava_core.data.mini.skills import FACT_SKILLS, IMAGE_SKILLS

FINGERPRINTS = json.loads((Path(__file__).parent / "fingerprints.json").read_text())


@pytest.fixture(scope="module")
def parts() -> dict[str, list[MiniItem]]:
    return {part: list(generate(part)) for part in PARTS}


def marks(items: list[MiniItem]) -> dict[str, set[str]]:
    """Return what must not be shared, by kind."""
    return {
        "question": {question_key(item.question, item.options) for item in items},
        "family": {item.family for item in items},
        "caption": {item.caption for item in items if item.caption},
        "image": {hashlib.sha256(item.image.tobytes()).hexdigest() for item in items if item.image},
    }


@pytest.mark.parametrize("scored", ["val", "test"])
def test_nothing_of_a_scored_part_occurs_elsewhere(parts: dict[str, list[MiniItem]], scored: str) -> None:
    own = marks(parts[scored])
    for part in PARTS:
        if part != scored:
            for kind, values in marks(parts[part]).items():
                assert own[kind] & values == set(), f"{kind} of {scored} in {part}"


def test_pretraining_texts_hold_no_scored_question(parts: dict[str, list[MiniItem]]) -> None:
    texts = {human for human, _ in pretrain_texts(0)}
    for part in ("val", "test"):
        for item in parts[part]:
            assert not any(
                f"{item.question}\n{context}{options}" in texts
                for context in ("", f"Context: {item.hint}\n")
                for options in ("Options: " + ", ".join(item.options), "\n".join(item.options))
            )
    hints = {item.hint for part in ("val", "test") for item in parts[part] if item.hint}
    assert [
        text for text in texts if any(line.removeprefix("Context: ") in hints for line in text.split("\n"))
    ] == []


def combinations(item: MiniItem) -> set[str]:
    found = SKILLS[item.skill].combinations
    return {f"{item.skill} {combination}" for combination in (found(item.scene) if found else ())}


def test_held_out_entities_and_combinations_occur_in_their_slice_only(
    parts: dict[str, list[MiniItem]],
) -> None:
    items = [item for part in parts.values() for item in part]
    elsewhere = {
        combination
        for item in items
        if item.slice not in ("composition", "facts")
        for combination in combinations(item)
    }
    held_out = [item for item in items if item.slice in ("composition", "facts")]
    assert len(held_out) > 400
    assert all(combinations(item) - elsewhere for item in held_out)


def test_seen_facts_are_facts_that_training_told(parts: dict[str, list[MiniItem]]) -> None:
    told = set().union(*(combinations(item) for item in parts["train_llm"] if item.skill in FACT_SKILLS))
    asked = set().union(*(combinations(item) for item in parts["test"] if item.slice == "seen_facts"))
    assert len(asked) > 30
    assert len(asked & told) > 0.95 * len(asked)


def test_sizes_options_and_gold_positions(parts: dict[str, list[MiniItem]]) -> None:
    for part, items in parts.items():
        assert len(items) == sum(quota.n for quota in QUOTAS[part])
        positions: dict[tuple[str, int], Counter[int]] = defaultdict(Counter)
        for item in items:
            assert len(set(item.options)) == len(item.options), item.options
            positions[item.skill, len(item.options)][item.answer] += 1
        for counts in positions.values():
            assert max(counts.values()) - min(counts.values()) <= 1
    assert len(IMAGE_SKILLS) >= 12
    assert len(SKILLS) - len(IMAGE_SKILLS) >= 8


def test_question_and_options_alone_give_chance_on_images(parts: dict[str, list[MiniItem]]) -> None:
    def rows(items: list[MiniItem]) -> tuple[list[str], np.ndarray]:
        texts, right = [], []
        for item in items:
            for k, option in enumerate(item.options):
                rest = " ".join(f"not={other.replace(' ', '_')}" for other in item.options if other != option)
                texts.append(f"{item.skill}={option.replace(' ', '_')} {item.question} {rest}")
                right.append(k == item.answer)
        return texts, np.array(right)

    train = [item for item in parts["train_llm"] if item.image]
    test = [item for item in parts["test"] if item.image and item.slice == "main"]
    vectorizer = CountVectorizer(token_pattern=r"\S+", ngram_range=(1, 1))
    texts, right = rows(train)
    model = LogisticRegression(max_iter=200, C=0.1).fit(vectorizer.fit_transform(texts), right)
    scores = model.decision_function(vectorizer.transform(rows(test)[0]))
    hits, start = [], 0
    for item in test:
        hits.append(int(np.argmax(scores[start : start + len(item.options)])) == item.answer)
        start += len(item.options)
    chance = np.mean([1 / len(item.options) for item in test])
    assert abs(np.mean(hits) - chance) < 0.06


def test_captions_name_every_attribute(parts: dict[str, list[MiniItem]]) -> None:
    families: dict[str, set[str]] = defaultdict(set)
    for item in parts["pretrain"]:
        if item.caption:
            families[item.caption].add(item.family)
    shared = {caption: found for caption, found in families.items() if len(found) > 1}
    assert shared == {}


def test_written_data_comes_back_through_the_reader_of_the_real_thing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        QUOTAS, "val", tuple(q for q in QUOTAS["val"] if q.slice == "seen_facts") + QUOTAS["val"][:1]
    )
    write_mini(tmp_path / "mini", parts=("val",))
    dataset = load_dataset(tmp_path / "mini")
    items = list(generate("val"))
    assert len(dataset.examples) == len(items)
    for example, item in zip(dataset.examples, items, strict=True):
        assert (example.question, example.options, example.answer) == (
            item.question,
            item.options,
            item.answer,
        )
        assert (example.group, example.slice, example.caption) == (item.family, item.slice, item.caption)
        assert (example.image is not None) == (item.image is not None)
    assert list((tmp_path / "mini").glob("*.partial")) == []


@pytest.mark.parametrize("part", ["val", "test"])
def test_the_generator_is_frozen(part: str) -> None:
    assert mini_fingerprint(part) == FINGERPRINTS[part]


def test_another_seed_gives_other_questions() -> None:
    first = [next(generate("test", seed=seed)).question for seed in (0, 1, 2, 3)]
    assert len(set(first)) > 1


def test_unknown_part() -> None:
    with pytest.raises(ValueError, match="got part 'dev', allowed are pretrain"):
        next(generate("dev"))
