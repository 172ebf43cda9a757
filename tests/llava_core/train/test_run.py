import dataclasses
import functools
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from llava_core.checkpoint import checkpoint_hash, load_checkpoint, read_seen_ids
from llava_core.data.conversation import DESCRIBE
from llava_core.errors import InputError
from llava_core.model.llava import hf_names
from llava_core.recipes import mini_cpu
from llava_core.train.run import inputs_hash
from llava_core.train.run import run_stage as run_stage_on_all_cores
from llava_core.train.stage import StageConfig, conversation, description, usable
from llava_core.train.state import states_folder

run_stage = functools.partial(run_stage_on_all_cores, n_threads=1)

GOLDEN = Path(__file__).parents[2] / "golden"


def short(stage: StageConfig, **changes) -> StageConfig:
    """A stage of 20 steps on the drawn questions."""
    return dataclasses.replace(stage, batch_size=4, **changes)


ALIGN = short(mini_cpu().align, n_epochs=20 / 6)
FINETUNE = short(mini_cpu().finetune, n_epochs=20 / 8, describe_epochs=0)


def raw_bytes(bundle):
    return {name: tensor.numpy().tobytes() for name, tensor in hf_names(bundle.model).items()}


def changed_parts(before, after):
    return {name.split(".")[1] for name in before if before[name] != after[name]}


def test_align_moves_the_projector_only(bundle, drawn, tmp_path):
    before = raw_bytes(bundle)
    path = run_stage(ALIGN, bundle, drawn, out=tmp_path / "align", seed=0)
    assert changed_parts(before, raw_bytes(load_checkpoint(path))) == {"multi_modal_projector"}


def test_finetune_moves_projector_and_language_model_never_the_tower(bundle, drawn, tmp_path):
    before = raw_bytes(bundle)
    path = run_stage(FINETUNE, bundle, drawn, out=tmp_path / "finetune", seed=0)
    assert changed_parts(before, raw_bytes(load_checkpoint(path))) == {
        "multi_modal_projector",
        "language_model",
    }


@pytest.mark.parametrize("stage", [ALIGN, FINETUNE], ids=lambda stage: stage.name)
def test_twenty_steps_follow_the_golden_trace(stage, bundle, drawn, tmp_path):
    """Regenerate: UPDATE_GOLDEN=1 pytest tests/llava_core/train/test_run.py -k golden."""
    path = run_stage(stage, bundle, drawn, out=tmp_path / stage.name, seed=0)
    trace = load_checkpoint(path).meta["loss"]
    file = GOLDEN / f"loss_{stage.name}.json"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(
            json.dumps({"command": test_twenty_steps_follow_the_golden_trace.__doc__, "loss": trace})
        )
    golden = json.loads(file.read_text())["loss"]
    assert [step for step, _ in trace] == list(range(1, 21))
    assert [loss for _, loss in trace] == pytest.approx([loss for _, loss in golden], rel=2e-3)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(
    drawn, tmp_path, tiny_sizes, tiny_tokenizer
):
    from llava_core.train.pretrain import tiny_bundle

    hashes = []
    for index, seed in enumerate((3, 3, 4)):
        start = tiny_bundle(tiny_sizes, tiny_tokenizer, seed=0)
        hashes.append(
            checkpoint_hash(run_stage(FINETUNE, start, drawn, out=tmp_path / str(index), seed=seed))
        )
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_finished_stage_is_reused_for_the_same_inputs_only(bundle, drawn, tmp_path):
    out = tmp_path / "align"
    start = {name: tensor.clone() for name, tensor in hf_names(bundle.model).items()}
    steps = []
    run_stage(ALIGN, bundle, drawn, out=out, seed=0, progress=lambda done, total: steps.append((done, total)))
    assert steps == [(done, 20) for done in range(1, 21)]
    first = (out / "manifest.json").stat().st_mtime_ns

    def again(seed=0, examples=drawn):
        with torch.no_grad():
            for name, tensor in hf_names(bundle.model).items():
                tensor.copy_(start[name])
        taken = []
        run_stage(
            ALIGN, bundle, examples, out=out, seed=seed, progress=lambda done, total: taken.append(done)
        )
        return len(taken)

    inputs = json.loads((out / "training.json").read_text())["inputs"]
    for left in (states_folder(out, inputs) / "step-00000010", tmp_path / ".align.writing"):
        left.mkdir(parents=True)  # as if it had been killed just before its end
    assert again() == 0
    assert (out / "manifest.json").stat().st_mtime_ns == first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["align"]
    assert again(examples=drawn[1:]) > 0
    assert again(seed=1) == 20
    (out / "manifest.json").unlink()
    assert again(seed=1) == 20


def test_seen_ids_gather_over_the_stages(bundle, drawn, tmp_path):
    align = run_stage(ALIGN, bundle, drawn[:10], out=tmp_path / "align", seed=0)
    finetune = run_stage(FINETUNE, load_checkpoint(align), drawn[10:], out=tmp_path / "finetune", seed=0)
    assert read_seen_ids(align) == {example.id for example in drawn[:10]}
    assert read_seen_ids(finetune) == {example.id for example in drawn}
    assert load_checkpoint(finetune).seen_ids == read_seen_ids(finetune)


def test_inputs_hash_sees_every_input(bundle, drawn):
    base = inputs_hash(ALIGN, bundle, drawn, seed=0)
    assert base == inputs_hash(ALIGN, bundle, drawn, seed=0)
    reworded = [dataclasses.replace(drawn[0], caption="Another."), *drawn[1:]]
    others = [
        inputs_hash(ALIGN, bundle, drawn, seed=1),
        inputs_hash(FINETUNE, bundle, drawn, seed=0),
        inputs_hash(ALIGN, bundle, reworded, seed=0),
        inputs_hash(ALIGN, bundle, drawn[:-1], seed=0),
    ]
    with torch.no_grad():
        bundle.model.projector.linear_1.bias[0] += 1
    others.append(inputs_hash(ALIGN, bundle, drawn, seed=0))
    assert len({base, *others}) == 6


def test_what_cannot_be_learned_from_is_refused_or_passed_over(bundle, drawn, tmp_path):
    texts = [example for example in drawn if not example.has_image]
    with pytest.raises(InputError, match="no example that stage 'align' can learn captions from"):
        run_stage(ALIGN, bundle, texts, out=tmp_path / "align", seed=0)
    assert not (tmp_path / "align").exists()
    lost = [dataclasses.replace(example, image=None) for example in drawn]
    assert {example.id for example in usable(FINETUNE, lost)} == {example.id for example in texts}
    gone = [dataclasses.replace(drawn[0], image=tmp_path / "gone.png")]
    with pytest.raises(InputError, match=r"gone\.png, record image-0: no such image file"):
        run_stage(ALIGN, bundle, gone, out=tmp_path / "align", seed=0)


def test_options_are_listed_in_another_order_each_time_and_the_answer_follows(drawn):
    rng = np.random.default_rng(0)
    example = drawn[0]
    prompts = set()
    for _ in range(40):
        human, assistant = conversation(FINETUNE, example, rng)
        assert assistant.text == example.options[example.answer]
        listed = human.text.split("Options: ")[1].split("; ")
        assert sorted(listed) == sorted(example.options)
        prompts.add(human.text)
    assert len(prompts) == 6
    fixed = dataclasses.replace(FINETUNE, shuffle_options=False)
    assert conversation(fixed, example, rng)[0].text.endswith("; ".join(example.options))


def test_descriptions_come_before_the_questions(bundle, drawn, tmp_path, monkeypatch):
    asked = []
    for make in (description, conversation):

        def told(config, example, rng, make=make):
            asked.append((make.__name__, example.id))
            return make(config, example, rng)

        monkeypatch.setattr(f"llava_core.train.order.{make.__name__}", told)
    shown = [example for example in drawn if example.image]
    config = dataclasses.replace(FINETUNE, n_epochs=1, describe_epochs=2)
    out = run_stage(config, bundle, drawn, out=tmp_path / "finetune", seed=0)
    del asked[: len(drawn)]  # the sample that the memory plan is made with
    assert [kind for kind, _ in asked] == ["description"] * 2 * len(shown) + ["conversation"] * len(drawn)
    assert {id_ for kind, id_ in asked if kind == "description"} == {example.id for example in shown}
    assert load_checkpoint(out).meta["n_steps"] == 2 * len(shown) / 4 + len(drawn) / 4
    human, assistant = description(config, shown[0], np.random.default_rng(0))
    assert (human.text in DESCRIBE, human.image, assistant.text) == (True, "first", shown[0].caption)


@pytest.mark.parametrize(
    "field",
    [
        {"template": "v9"},
        {"trains": ("vision",)},
        {"n_epochs": 0.0},
        {"batch_size": 0},
        {"describe_epochs": -1.0},
    ],
)
def test_stage_refuses_values_that_make_no_sense(field):
    with pytest.raises(ValueError, match="allowed"):
        dataclasses.replace(ALIGN, **field)


@pytest.mark.parametrize(
    "changes",
    [
        {"lr": float("inf")},
        {"lr": 1e-3, "clip_norm": -1.0},
        {"lr": 1e-3, "weight_decay": -0.1},
        {"lr": 1e-3, "betas": (0.9,)},
    ],
)
def test_an_optimiser_out_of_range_is_refused(changes):
    from llava_core.train.loop import OptimConfig

    with pytest.raises(ValueError, match="allowed"):
        OptimConfig(**changes)


def test_what_would_stop_a_training_in_the_middle_is_told_at_its_start(bundle, drawn, tmp_path):
    from llava_core.train.run_config import RunConfig

    short = dataclasses.replace(ALIGN, max_tokens=4)
    with pytest.raises(InputError, match=r"record image-0: got images of 4 tokens, allowed are fewer"):
        run_stage(short, bundle, drawn, out=tmp_path / "align", seed=0)
    cut = RunConfig(device="cpu", tokens_per_piece=6)
    with pytest.raises(InputError, match=r"field tokens_per_piece: got a conversation of"):
        run_stage(ALIGN, bundle, drawn, out=tmp_path / "align", seed=0, run=cut)
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "precious.txt").write_text("precious")
    with pytest.raises(InputError, match="taken: got a folder that is not ours"):
        run_stage(ALIGN, bundle, drawn, out=taken, seed=0)
