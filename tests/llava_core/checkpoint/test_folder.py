import json

import pytest
import torch

from llava_core.checkpoint import checkpoint_hash, load_checkpoint, read_seen_ids, save_checkpoint
from llava_core.data.conversation import Turn, encode
from llava_core.data.template import MINI_V1
from llava_core.errors import InputError
from llava_core.model.llava import hf_names


@pytest.fixture
def saved(bundle, tmp_path):
    return save_checkpoint(bundle, tmp_path / "checkpoint", stage="align", seen_ids=["b", "a", "a"])


def test_a_checkpoint_comes_back_as_it_was(bundle, saved):
    loaded = load_checkpoint(saved)
    for name, tensor in hf_names(bundle.model).items():
        torch.testing.assert_close(hf_names(loaded.model)[name], tensor, rtol=0, atol=0)
    for name, tensor in bundle.clip.state_dict().items():
        torch.testing.assert_close(loaded.clip.state_dict()[name], tensor, rtol=0, atol=0)
    assert loaded.clip.vision_model is loaded.model.vision_tower
    assert loaded.template == bundle.template
    assert loaded.n_image_tokens == bundle.n_image_tokens == 4
    assert loaded.image_processor.to_dict() == bundle.image_processor.to_dict()
    turns = [Turn(role="human", text="Which colour? </s>", image="last"), Turn(role="assistant", text="grün")]
    assert encode(turns, loaded.tokenizer, MINI_V1, 4) == encode(turns, bundle.tokenizer, MINI_V1, 4)
    assert read_seen_ids(saved) == loaded.seen_ids == {"a", "b"}


def test_half_precision_on_disk_comes_back_as_float32(bundle, tmp_path):
    path = save_checkpoint(bundle, tmp_path / "half", stage="x", seen_ids=(), dtype=torch.float16)
    loaded = load_checkpoint(path)
    weight = bundle.model.projector.linear_1.weight
    assert loaded.model.projector.linear_1.weight.dtype == torch.float32
    torch.testing.assert_close(loaded.model.projector.linear_1.weight, weight.half().float())


def test_hash_depends_on_weights_and_not_on_seconds(bundle, saved, tmp_path):
    import dataclasses

    timed = dataclasses.replace(bundle, meta={"seconds": 7.0})
    same = save_checkpoint(timed, tmp_path / "timed", stage="align", seen_ids=["a", "b"])
    assert checkpoint_hash(same) == checkpoint_hash(saved)
    with torch.no_grad():
        bundle.model.projector.linear_1.bias[0] += 1
    other = save_checkpoint(bundle, tmp_path / "other", stage="align", seen_ids=["a", "b"])
    assert checkpoint_hash(other) != checkpoint_hash(saved)


def test_saving_again_replaces_and_leaves_no_draft(bundle, saved):
    save_checkpoint(bundle, saved, stage="finetune", seen_ids=["c"])
    assert read_seen_ids(saved) == {"c"}
    assert [path.name for path in saved.parent.iterdir()] == ["checkpoint"]


def test_a_failed_save_leaves_the_old_checkpoint_and_no_draft(bundle, saved, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("llava_core.checkpoint.folder.save_file", full)
    with pytest.raises(OSError, match="No space"):
        save_checkpoint(bundle, saved, stage="finetune", seen_ids=["c"])
    assert read_seen_ids(saved) == {"a", "b"}
    assert [path.name for path in saved.parent.iterdir()] == ["checkpoint"]


def truncate(path):
    file = path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def flip(path):
    file = path / "clip.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def other_version(path):
    file = path / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"schema_version": 99}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: (path / "manifest.json").unlink(), r"no manifest\.json.*half written"),
        (lambda path: (path / "manifest.json").write_text("{"), r"manifest\.json: broken JSON"),
        (lambda path: (path / "manifest.json").write_text("[]"), r"manifest\.json: got a list"),
        (other_version, "schema version 99"),
        (lambda path: (path / "tokenizer.json").unlink(), r"tokenizer\.json.*missing"),
        (truncate, r"model\.safetensors.*changed or torn"),
        (flip, r"clip\.safetensors.*changed or torn"),
    ],
)
def test_a_torn_checkpoint_is_refused_by_name(damage, message, saved):
    damage(saved)
    with pytest.raises(InputError, match=message):
        load_checkpoint(saved)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="nowhere: no such folder, and no name of a model on the hub"):
        load_checkpoint(tmp_path / "nowhere")


def test_nothing_is_pickled(saved):
    assert {path.suffix for path in saved.iterdir()} == {".json", ".safetensors", ".jinja"}
