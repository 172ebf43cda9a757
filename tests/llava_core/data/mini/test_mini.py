"""The bundled data: nothing of the scored parts occurs elsewhere, and nothing but the picture answers."""

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from random import Random

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from llava_core.data.conversation import question_prompt
from llava_core.data.example import Example
from llava_core.data.load import load_dataset
from llava_core.data.mini import (
    PARTS,
    SKILLS,
    MiniItem,
    generate,
    holds_mini,
    mini_fingerprint,
    pretrain_texts,
    texts_fingerprint,
    write_mini,
)
from llava_core.data.mini.canvas import Canvas
from llava_core.data.mini.parts import QUOTAS, question_key
from llava_core.data.mini.skills import FACT_SKILLS, IMAGE_SKILLS, RULE_SKILLS
from llava_core.data.mini.skills.facts import CAPITALS
from llava_core.data.mini.write import items_fingerprint

FINGERPRINTS = json.loads((Path(__file__).parent / "fingerprints.json").read_text())


@dataclass(frozen=True)
class Part:
    items: list[MiniItem]
    """Those of the pretrain part without their images: 21,000 of them take a gigabyte."""
    images: set[str]
    fingerprint: str


def made(part: str, *, seed: int = 0) -> Part:
    items, images = [], set()

    def passing() -> Iterator[MiniItem]:
        for item in generate(part, seed=seed):
            if item.image is not None:
                images.add(hashlib.sha256(item.image.tobytes()).hexdigest())
            items.append(replace(item, image=None) if part == "pretrain" else item)
            yield item

    return Part(fingerprint=items_fingerprint(passing()), items=items, images=images)


@pytest.fixture(scope="module")
def generated() -> dict[str, Part]:
    return {part: made(part) for part in PARTS}


@pytest.fixture(scope="module")
def parts(generated: dict[str, Part]) -> dict[str, list[MiniItem]]:
    return {name: part.items for name, part in generated.items()}


def marks(part: Part) -> dict[str, set[str]]:
    """Return what must not be shared, by kind."""
    items = part.items
    return {
        "question": {question_key(item.question, item.options) for item in items},
        "family": {item.family for item in items},
        "caption": {item.caption for item in items if item.caption},
        "hint": {item.hint for item in items if item.hint},
        "image": part.images,
    }


@pytest.mark.parametrize("scored", ["val", "test"])
def test_nothing_of_a_scored_part_occurs_elsewhere(generated: dict[str, Part], scored: str) -> None:
    own = marks(generated[scored])
    for part in PARTS:
        if part != scored:
            for kind, values in marks(generated[part]).items():
                assert own[kind] & values == set(), f"{kind} of {scored} in {part}"


def test_pretraining_texts_hold_no_scored_question(parts: dict[str, list[MiniItem]]) -> None:
    texts = list(pretrain_texts(0))

    def told(text: str) -> tuple[str, ...]:
        """Return question, context and the set of options of a prompt."""
        question, *context, options = text.split("\n")
        return question, *context, *sorted(options.removeprefix("Options: ").split("; "))

    def prompt(item: MiniItem) -> str:
        return question_prompt(
            Example(
                id="0", question=item.question, options=item.options, answer=item.answer, split=None,
                group="", hint=item.hint or None,
            )
        )  # fmt: skip

    known = {told(human) for human, _ in texts}
    trained = [item for item in parts["pretrain"] + parts["train_llm"] if item.skill in RULE_SKILLS]
    assert {len(told(prompt(item))) for item in trained} <= {len(text) for text in known}, "formats differ"
    contexts = {line for human, _ in texts for line in human.split("\n") if line.startswith("Context: ")}
    assert len(contexts) > 3000
    for part in ("val", "test"):
        for item in parts[part]:
            assert told(prompt(item)) not in known
            assert f"Context: {item.hint}" not in contexts
            assert item.caption is None or not any(item.caption in human for human, _ in texts[:200])


def test_sentences_and_word_lists_of_scored_parts_are_new(parts: dict[str, list[MiniItem]]) -> None:
    def without_speaker(question: str) -> str:
        return re.sub(r"^\w+ (says|sorts|looks)", "", question)

    known = {without_speaker(human.split("\n")[0]) for human, _ in pretrain_texts(0)}
    for part in ("val", "test"):
        own = [item.question for item in parts[part] if item.skill == "sentence_kinds"]
        assert own
        assert not {without_speaker(question) for question in own} & known


def test_scenes_of_different_families_look_different(parts: dict[str, list[MiniItem]]) -> None:
    # Drawn with the same jitter, two scenes that look the same would be one scene under two names.
    looks: dict[str, dict[bytes, set[str]]] = defaultdict(lambda: defaultdict(set))
    for item in parts["test"] + parts["train_ensemble"]:
        draw = SKILLS[item.skill].draw
        if draw is not None:
            canvas = Canvas(str(item.scene["paper"]))
            draw(canvas, item.scene, Random(0))
            looks[item.skill][hashlib.sha256(canvas.finish().tobytes()).digest()].add(item.family)
    assert set(looks) == set(IMAGE_SKILLS)
    for skill, families in looks.items():
        assert [found for found in families.values() if len(found) > 1] == [], skill


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


def test_a_held_out_capital_cannot_be_told_by_elimination(parts: dict[str, list[MiniItem]]) -> None:
    held_out = [i for i in parts["test"] if i.slice == "facts" and i.skill == "capitals"]
    lands = {str(item.scene["land"]) for item in held_out}
    assert len(lands) >= 6
    cities = {option for item in held_out for option in item.options}
    assert {CAPITALS[land] for land in lands} <= cities
    named = {
        option
        for items in parts.values()
        for item in items
        if item.skill == "capitals" and item.slice != "facts"
        for option in item.options
    }
    assert not named & cities


def test_question_and_options_alone_give_chance_on_images(parts: dict[str, list[MiniItem]]) -> None:
    def rows(items: list[MiniItem]) -> tuple[list[str], np.ndarray]:
        texts, right = [], []
        for item in items:
            for k, option in enumerate(item.options):
                name = f"{item.skill}={option.replace(' ', '_')}"
                rest = [f"{name}&not={other.replace(' ', '_')}" for other in item.options if other != option]
                asked = [f"{name}&{word}" for word in item.question.split()]
                texts.append(" ".join([name, f"{item.skill}&place={k}", *rest, *asked]))
                right.append(k == item.answer)
        return texts, np.array(right)

    train = [item for item in parts["train_llm"] if item.image]
    test = [item for part in ("val", "test") for item in parts[part] if item.image and item.slice == "main"]
    vectorizer = CountVectorizer(token_pattern=r"\S+", lowercase=False)
    texts, right = rows(train)
    model = LogisticRegression(max_iter=200, C=0.1).fit(vectorizer.fit_transform(texts), right)
    scores = model.decision_function(vectorizer.transform(rows(test)[0]))
    excess, start = defaultdict(list), 0
    for item in test:
        best = int(np.argmax(scores[start : start + len(item.options)]))
        excess[item.skill].append((best == item.answer) - 1 / len(item.options))
        start += len(item.options)
    assert abs(np.mean([value for values in excess.values() for value in values])) < 0.04
    # About 110 questions per skill: the bound is three standard errors.
    for skill, values in excess.items():
        assert np.mean(values) < 3 * np.std(values) / len(values) ** 0.5, skill


def test_texts_read_as_english(parts: dict[str, list[MiniItem]]) -> None:
    for items in parts.values():
        for item in items:
            told = " / ".join((item.question, item.hint, item.solution, item.caption or "", *item.options))
            assert not re.search(r"\bAn\b|\ba [aeio]|\ban [^aeio]|None|\{", told), told


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


def test_what_was_written_is_recognised_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(QUOTAS, "val", tuple(replace(quota, n=16) for quota in QUOTAS["val"]))
    folder = tmp_path / "mini"
    assert not holds_mini(folder, parts=("val",))
    write_mini(folder, parts=("val",))
    assert holds_mini(folder, parts=("val",))
    assert not holds_mini(folder, parts=("val",), seed=1)
    picture, other = sorted(folder.rglob("image.png"))[:2]
    tables = [folder / name for name in ("problems.json", "captions.json", "pid_splits.json")]
    for file, changed in ((picture, other.read_bytes()), *((table, b"{}") for table in tables)):
        whole = file.read_bytes()
        file.write_bytes(changed)
        assert not holds_mini(folder, parts=("val",))
        file.unlink()
        assert not holds_mini(folder, parts=("val",))
        file.write_bytes(whole)
    assert holds_mini(folder, parts=("val",))


def test_the_generator_is_frozen(generated: dict[str, Part]) -> None:
    assert {name: part.fingerprint for name, part in generated.items()} | {
        "pretrain_texts": texts_fingerprint(0)
    } == FINGERPRINTS


def test_the_shipped_weights_were_made_from_the_present_generator() -> None:
    card = json.loads((files("llava_core") / "weights" / "mini" / "card.json").read_text())
    names = ("pretrain", "pretrain_texts")
    assert card["data_fingerprint"] == {name: FINGERPRINTS[name] for name in names}


def test_fingerprint_of_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(QUOTAS, "val", QUOTAS["val"][-1:])
    assert mini_fingerprint("val") == items_fingerprint(generate("val"))
    assert mini_fingerprint("val") != mini_fingerprint("val", seed=1)


def test_no_scored_question_of_a_seed_occurs_in_training_of_another(
    generated: dict[str, Part], monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in ("val", "test"):
        monkeypatch.setitem(QUOTAS, part, tuple(replace(q, n=q.n // 5) for q in QUOTAS[part]))
        own = marks(made(part, seed=7))
        for other in ("pretrain", "train_llm", "train_ensemble"):
            for kind, values in marks(generated[other]).items():
                assert own[kind] & values == set(), f"{kind} of {part} in {other}"


def test_another_seed_gives_other_questions() -> None:
    first = [next(generate("test", seed=seed)).question for seed in (0, 1, 2, 3)]
    assert len(set(first)) > 1


def test_unknown_part() -> None:
    with pytest.raises(ValueError, match="got part 'dev', allowed are pretrain"):
        next(generate("dev"))
