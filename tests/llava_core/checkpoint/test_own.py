"""Checkpoints that the stock class cannot hold: kept whole, refused elsewhere by name."""

import json

import pytest
import torch
from transformers import AutoConfig, AutoModelForImageTextToText, LlavaForConditionalGeneration

from llava_core.checkpoint import checkpoint_hash, connect, load_checkpoint, save_checkpoint
from llava_core.checkpoint.convert import convert_model
from llava_core.checkpoint.join import join_models
from llava_core.errors import InputError
from llava_core.inference.logprob import option_logprobs
from llava_core.inference.serve import servable_folder
from llava_core.model.llava import hf_names
from llava_core.model.projector import projector_settings
from llava_core.train.flops import shape_of

KINDS = {
    "query": {"n_queries": 3, "n_layers": 1},
    "gated_cross_attention": {"n_llm_layers": 2, "every_n_layers": 2},
}


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def connected(bundle, kind):
    made = connect(bundle, kind, settings=KINDS[kind], vision_layer=-1)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in made.model.projector.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator))
    return made


@pytest.fixture
def saved(connected, tmp_path):
    return save_checkpoint(connected, tmp_path / "checkpoint", stage="align", seen_ids=["a"])


def test_weights_settings_and_scores_come_back_bit_by_bit(connected, saved, kind, drawn):
    loaded = load_checkpoint(saved)
    assert projector_settings(loaded.model.projector) == KINDS[kind]
    assert loaded.model.vision_layer == -1
    assert loaded.prompt == connected.prompt
    assert loaded.template == connected.template
    assert loaded.seen_ids == {"a"}
    mine, theirs = hf_names(connected.model), hf_names(loaded.model)
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    for before, after in zip(*(option_logprobs(b, drawn[:3]) for b in (connected, loaded)), strict=True):
        assert before.sum.tolist() == after.sum.tolist()
    assert not any(weights.requires_grad for weights in loaded.model.parameters())


def test_saving_leaves_the_model_as_it_was(connected, tmp_path, drawn):
    before = option_logprobs(connected, drawn[:2])
    save_checkpoint(connected, tmp_path / "checkpoint", stage="align", seen_ids=())
    for one, other in zip(before, option_logprobs(connected, drawn[:2]), strict=True):
        assert one.sum.tolist() == other.sum.tolist()


def test_the_folder_says_what_it_is(saved, kind):
    about = json.loads((saved / "llava_core.json").read_text())
    assert about["projector"] == kind
    assert about["projector_settings"] == KINDS[kind]
    assert about["stock"] is False
    assert not (saved / "model.safetensors").exists()


def test_stock_transformers_refuses_it(saved):
    for kind in (AutoConfig, AutoModelForImageTextToText):
        with pytest.raises((ValueError, OSError), match="llava_core"):
            kind.from_pretrained(str(saved))
    with pytest.raises(OSError, match="no file named model"):
        LlavaForConditionalGeneration.from_pretrained(str(saved), local_files_only=True)


def test_what_needs_the_stock_class_refuses_it_by_name(connected, saved, kind):
    with pytest.raises(InputError, match=f"got projector '{kind}', which transformers' server has not"):
        servable_folder(saved)
    with pytest.raises(InputError, match=f"quantize: got projector '{kind}'"):
        load_checkpoint(saved, quantize="4bit")
    with pytest.raises(ValueError, match=f"got projector '{kind}', operations are counted for linear"):
        shape_of(connected.model)


def test_a_changed_or_misfitting_file_is_refused(saved):
    before = checkpoint_hash(saved)
    file = saved / "llava_core.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert checkpoint_hash(saved) == before  # of the manifest, which loading holds the file against
    with pytest.raises(InputError, match=r"llava_core\.safetensors.*changed or torn"):
        load_checkpoint(saved)


def test_weights_of_another_shape_are_refused(saved):
    from llava_core.checkpoint.folder import describe_file

    file, manifest = saved / "llava_core.json", saved / "manifest.json"
    about = json.loads(file.read_text())
    name = "n_queries" if about["projector"] == "query" else "every_n_layers"
    about["projector_settings"][name] = 1
    file.write_text(json.dumps(about))
    told = json.loads(manifest.read_text())
    told["files"]["llava_core.json"] = describe_file(file)
    manifest.write_text(json.dumps(told))
    with pytest.raises(InputError, match=r"weights that lack|of shape \(3, 24\), expected \(1, 24\)"):
        load_checkpoint(saved)


def test_published_parts_are_joined_by_any_kind(clip_folder, llm_folder, kind, tmp_path):
    joined = join_models(clip_folder, llm_folder, projector=kind)
    out = convert_model(
        None, tmp_path / "joined", clip=str(clip_folder), llm=str(llm_folder), projector=kind, dtype="float32"
    )
    loaded = load_checkpoint(out)
    assert type(loaded.model.projector) is type(joined.model.projector)
    mine, theirs = hf_names(joined.model), hf_names(loaded.model)
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
