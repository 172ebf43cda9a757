"""Stages of a store, the items that have them all, and their division."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from llava_core.errors import InputError
from llava_core.features.store import FeatureStore
from studies.catalog import audit
from studies.catalog.probing.checks import leaks
from studies.catalog.probing.division import divide
from studies.catalog.probing.from_store import material_of_store
from studies.catalog.probing.ground import ground_of, lay_ground
from studies.catalog.probing.stages import chosen_stages, has_vectors, store_stages
from studies.spec.base import resolve
from studies.spec.probing import ProbingSpec

MakeStore = Callable[..., Path]


def material(store: Path, *targets: str, blocks: tuple[str, ...] = ()):
    spec = resolve(ProbingSpec, "embedding_probe", settings=[f"targets={','.join(targets)}"], blocks=blocks)
    return material_of_store(spec, FeatureStore.open(store), None)


def test_stages_stand_in_the_order_of_the_data_flow(make_store: MakeStore) -> None:
    stages = store_stages(FeatureStore.open(make_store()))
    assert [(info.name, info.compared_with) for info in stages] == [
        ("clip_layers_-4", "clip_image_patches"),
        ("clip_layers_-1", "clip_image_patches"),
        ("clip_image_patches", None),
        ("projector", "clip_image_patches"),
        ("llm_hidden_-3", "projector"),
        ("llm_hidden_-1", "projector"),
    ]
    flat = FeatureStore.open(make_store(name="again")).block("llm_hidden")
    np.testing.assert_array_equal(stages[-1].stage.vectors, flat[:, 4:])
    np.testing.assert_array_equal(stages[1].stage.vectors, stages[2].stage.vectors)


def test_blocks_are_chosen_by_block_or_stage_and_drop_what_they_were_held_against(
    make_store: MakeStore,
) -> None:
    stages = store_stages(FeatureStore.open(make_store()))
    chosen = chosen_stages(stages, ["clip_layers_-1", "llm_hidden"])
    assert [info.name for info in chosen] == ["clip_layers_-1", "llm_hidden_-3", "llm_hidden_-1"]
    assert all(info.compared_with is None for info in chosen)
    with pytest.raises(InputError, match="field blocks: got 'option_logprob', allowed are clip_layers"):
        chosen_stages(stages, ["option_logprob"])


def test_items_have_all_vectors_and_all_items_where_it_is_about_images(make_store: MakeStore) -> None:
    probed = material(make_store(), "has_image")
    shown = lay_ground(probed, of_all=False, split="family", seed=0)
    every = lay_ground(probed, of_all=True, split="family", seed=0)
    parts = probed.parts
    assert set(shown.items) == set(np.flatnonzero((parts != "val") & (np.arange(120) < 96)))
    assert dict(shown.dropped) == {"without a vector at every stage": int((parts[96:] != "val").sum())}
    assert set(every.items) == set(np.flatnonzero(parts != "val"))
    assert [info.name for info in every.stages] == ["llm_hidden_-3", "llm_hidden_-1"]
    assert all(info.compared_with is None for info in every.stages)
    for ground in (shown, every):
        for info in ground.stages:
            assert info.stage.n_items == len(ground.items)
            assert has_vectors(info.stage).all()
    with pytest.raises(InputError, match="none of which has a vector for every item"):
        lay_ground(
            material(make_store(), "has_image", blocks=("projector",)), of_all=True, split="family", seed=0
        )


def test_taking_items_keeps_vectors_families_and_parts_together(make_store: MakeStore) -> None:
    ground = lay_ground(material(make_store(), "has_image"), of_all=False, split="family", seed=0)
    keep = np.random.default_rng(1).random(len(ground.items)) < 0.7
    taken = ground.take(keep, "a label")
    assert set(taken.items[taken.train]) == set(ground.items[ground.train]) & set(taken.items)
    assert set(taken.items[taken.test]) == set(ground.items[ground.test]) & set(taken.items)
    assert dict(taken.dropped)["without a label"] == int((~keep).sum())
    np.testing.assert_array_equal(
        taken.stage("projector").stage.vectors, ground.stage("projector").stage.vectors[keep]
    )
    whole, part = ground.stage("llm_hidden_-1").stage, taken.stage("llm_hidden_-1").stage
    np.testing.assert_array_equal(part.per_item(), whole.per_item()[keep])


def test_items_to_learn_from_are_of_two_classes(make_store: MakeStore) -> None:
    store = make_store()
    kinds = pd.read_csv(store.parent / "kinds.csv")
    rows = FeatureStore.open(store).rows.set_index("example_id")
    of_test = kinds["example_id"].map(rows["split"]) == "test"
    kinds["kind"] = np.where(of_test, "other", "same")
    kinds.to_csv(store.parent / "kinds.csv", index=False)
    probed = material(store, str(store.parent / "kinds.csv"))
    base = lay_ground(probed, of_all=False, split="family", seed=0)
    with pytest.raises(InputError, match="field kind: got 'same' for every item to learn from"):
        ground_of(probed.targets[0], base)


def test_families_of_test_leave_the_training_part() -> None:
    families = np.array(["a", "a", "b", "c", "c", "d"])
    parts = np.array(["train", "test", "train", "val", "train", "train"])
    found = divide(families, parts, split="family", seed=0)
    assert (found.train.tolist(), found.test.tolist()) == ([2, 4, 5], [1])
    assert (found.n_families_removed, found.n_items_removed) == (1, 1)


def test_without_parts_families_are_held_out_whole_and_at_random_they_straddle() -> None:
    families = np.repeat(np.arange(40), 5).astype(str)
    found = divide(families, None, split="family", seed=3)
    assert not set(families[found.train]) & set(families[found.test])
    assert len(set(families[found.test])) == 12
    assert len(found.train) + len(found.test) == 200
    leaky = divide(families, None, split="random", seed=3)
    assert len(leaky.test) == 60
    assert len(set(families[leaky.train]) & set(families[leaky.test])) > 20
    other = divide(families, None, split="family", seed=4)
    assert set(other.test) != set(found.test)


def test_a_random_split_of_parts_leaves_the_test_part_alone() -> None:
    parts = np.array(["train"] * 40 + ["test"] * 10)
    found = divide(np.arange(50).astype(str), parts, split="random", seed=0)
    assert max(found.train.max(), found.test.max()) < 40


@pytest.mark.parametrize(
    ("parts", "told"),
    [(None, "got 1 families to learn from"), (["train", "val"] * 2, "allowed are train and test")],
)
def test_too_little_to_divide(parts: list[str] | None, told: str) -> None:
    families = np.array(["a", "a", "b", "b"])
    with pytest.raises(InputError, match=told):
        divide(families, None if parts is None else np.array(parts), split="family", seed=0)


def test_questions_that_llava_was_trained_on_fail_the_audit(make_store: MakeStore) -> None:
    def checks(split: str = "family", **store: object) -> dict[str, audit.Check]:
        probed = material(make_store(**store), "has_image")
        ground = lay_ground(probed, of_all=False, split=split, seed=0)
        return {check.name: check for check in leaks(probed, [ground], split=split)}

    val = 2 * next(f for f in range(60) if f % 7 == 1 and f % 3)
    train = 2 * next(f for f in range(60) if f % 7 != 1 and f % 3)
    seen = "questions that LLaVA was trained on"
    assert checks(seen=(val,))[seen].status == "pass"
    assert checks(seen=(val, train))[seen].status == "fail"
    assert checks(knows_seen_in_training=False)[seen].status == "reported"
    assert checks()["scored items whose family is learned from"].status == "pass"
    assert checks("random")["scored items whose family is learned from"].status == "reported"
    # The first layer of the made store is the same for all items.
    twins = checks()["scored items whose vector is learned from"]
    assert (twins.status, twins.detail) == ("reported", "equal to the last bit at clip_layers_-4")
