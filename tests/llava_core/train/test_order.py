import dataclasses
import json
from collections import Counter

import pytest

from llava_core.checkpoint import load_checkpoint
from llava_core.data.llava_json import load_conversations
from llava_core.recipes import mini_cpu
from llava_core.train.order import batches_of, sample_rows
from llava_core.train.run import run_stage

PACKED = dataclasses.replace(mini_cpu().finetune, packing=True, batch_size=5, n_epochs=2, describe_epochs=0)


def drawn_batches(config, bundle, items, seed=0):
    n_steps, batches = batches_of(config, bundle, items, seed=seed)
    made = [make() for make in batches]
    assert len(made) == n_steps
    return made


def test_packed_epochs_show_everything_once_in_another_order(bundle, drawn):
    batches = drawn_batches(PACKED, bundle, drawn)
    per_epoch = -(-len(drawn) // 5)
    assert len(batches) == 2 * per_epoch
    orders = []
    for epoch in (batches[:per_epoch], batches[per_epoch:]):
        rows = [row for batch in epoch for row in batch]
        assert Counter(row.images for row in rows) == Counter(
            () if example.image is None else (example.image,) for example in drawn
        )
        orders.append([row.images for row in rows])
    assert orders[0] != orders[1]


def test_what_is_drawn_for_a_conversation_does_not_depend_on_what_was_asked_before(bundle, drawn):
    """A resumed stage skips batches without making them."""
    whole = drawn_batches(PACKED, bundle, drawn)
    _, again = batches_of(PACKED, bundle, drawn, seed=0)
    later = [make for index, make in enumerate(again) if index % 3 == 2]
    assert [make() for make in later] == whole[2::3]
    assert drawn_batches(PACKED, bundle, drawn, seed=1) != whole


def test_a_sample_comes_from_all_over_the_data(bundle, drawn):
    rows = sample_rows(PACKED, bundle, drawn, seed=0, n_rows=3)
    assert [row.images for row in rows] == [(drawn[0].image,), (drawn[15].image,), ()]


@pytest.fixture
def records(drawn, tmp_path):
    root = drawn[0].image.parent
    conversations = [
        {
            "id": f"r{index}",
            "image": example.image.name,
            "conversations": [
                {"from": "human", "value": "What is it?\n<image>"},
                {"from": "gpt", "value": example.caption},
                {"from": "human", "value": "Sure?"},
                {"from": "gpt", "value": "Yes."},
            ],
        }
        for index, example in enumerate(drawn)
        if example.image is not None
    ]
    conversations.append(
        {"id": "t", "conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello."}]}
    )
    path = tmp_path / "chat.json"
    path.write_text(json.dumps(conversations))
    return load_conversations(path, root)


def test_both_stages_learn_from_llava_records(bundle, records, tmp_path):
    align = dataclasses.replace(mini_cpu().align, template="plain", packing=True, batch_size=8, n_epochs=3)
    path = run_stage(align, bundle, records.conversations, out=tmp_path / "align", seed=0, n_threads=1)
    loaded = load_checkpoint(path)
    finetune = dataclasses.replace(PACKED, template="v1", n_epochs=4)
    path = run_stage(finetune, loaded, records.conversations, out=tmp_path / "finetune", seed=0, n_threads=1)
    trained = load_checkpoint(path)
    losses = [loss for _, loss in trained.meta["loss"]]
    assert losses[-1] < losses[0] - 0.3
    assert trained.seen_ids == {f"r{index}" for index in range(24)} | {"t"}
    assert trained.template.name == "v1"
