"""Every layout against stock transformers: equal logits, equal tokens; and what is refused."""

import json
import shutil

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoProcessor, LlavaConfig, LlavaForConditionalGeneration

from llava_core.checkpoint import join_models, load_checkpoint, save_checkpoint
from llava_core.checkpoint.convert import convert_model
from llava_core.data.conversation import IMAGE_TOKEN, Turn, encode
from llava_core.data.template import TEMPLATES
from llava_core.errors import InputError
from llava_core.model.projector import projector_kind

from .conftest import SIZES, clip_config, stock_llava

TURNS = [Turn(role="human", text="What colour?", image="first")]


def picture(size=(50, 30)):
    generator = torch.Generator().manual_seed(5)
    pixels = torch.randint(256, (size[1], size[0], 3), generator=generator, dtype=torch.uint8)
    return Image.fromarray(pixels.numpy())


def ours(bundle):
    """Ids, pixels and logits as we compute them."""
    ids = torch.tensor([encode(TURNS, bundle.tokenizer, bundle.template, bundle.n_image_tokens).input_ids])
    pixels = bundle.image_processor(images=[picture()], return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        logits = bundle.model(ids, vision_features=bundle.model.vision_features(pixels)).logits
    return ids, pixels, logits


def greedy(bundle, ids, pixels, n_tokens):
    """Slow oracle: the whole sequence again for each token."""
    features = bundle.model.vision_features(pixels)
    for _ in range(n_tokens):
        with torch.no_grad():
            token = bundle.model(ids, vision_features=features).logits[:, -1].argmax(-1)
        ids = torch.cat([ids, token[:, None]], 1)
    return ids


def assert_like_stock(bundle, stock):
    ids, pixels, logits = ours(bundle)
    with torch.no_grad():
        expected = stock(input_ids=ids, pixel_values=pixels).logits
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)
    assert float(logits.std()) > 0.1
    mask = torch.ones_like(ids)
    said = stock.generate(
        input_ids=ids, pixel_values=pixels, attention_mask=mask, max_new_tokens=6, do_sample=False,
        eos_token_id=None, pad_token_id=0,
    )  # fmt: skip
    assert greedy(bundle, ids, pixels, 6).tolist() == said.tolist()


def test_hugging_face_llava_has_the_logits_and_tokens_of_stock(hf_folder):
    bundle = load_checkpoint(hf_folder)
    assert projector_kind(bundle.model.projector) == "mlp2x_gelu"
    assert bundle.image_processor.do_pad
    assert bundle.clip is None
    assert_like_stock(bundle, LlavaForConditionalGeneration.from_pretrained(hf_folder))


@pytest.mark.parametrize("changes", [{"select": "full"}, {"layer": -1}, {"layer": 1}, {"act": "linear"}])
def test_what_the_stock_configuration_can_say_is_heeded(tmp_path, changes):
    model, processor = stock_llava(**changes)
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    assert_like_stock(load_checkpoint(tmp_path), model)


GENERATIONS = {
    "2024": {"vision_tower.": "vision_tower.vision_model."},
    "2026": {
        "language_model.model.": "model.language_model.",
        "language_model.lm_head.": "lm_head.",
        "vision_tower.": "model.vision_tower.",
        "multi_modal_projector.": "model.multi_modal_projector.",
    },
}
"""Beginnings of the names in a file, from those that transformers writes today."""


@pytest.mark.parametrize("names", GENERATIONS.values(), ids=GENERATIONS)
def test_names_of_every_generation_of_hugging_face_files_are_read(hf_folder, tmp_path, names):
    old = tmp_path / "old"
    shutil.copytree(hf_folder, old)
    weights = load_file(hf_folder / "model.safetensors")
    renamed = {}
    for name, tensor in weights.items():
        start = next((start for start in names if name.startswith(start)), "")
        renamed[names.get(start, "") + name.removeprefix(start)] = tensor
    assert renamed.keys() != weights.keys()
    save_file(renamed, old / "model.safetensors", metadata={"format": "pt"})
    assert_like_stock(load_checkpoint(old), LlavaForConditionalGeneration.from_pretrained(hf_folder))


def stock_of_original(weights, clip, kind):
    """Stock model filled by hand from the files of an original checkpoint."""
    from transformers import LlamaConfig

    n_words = weights["lm_head.weight"].shape[0]
    config = LlavaConfig(
        vision_config=clip_config().vision_config,
        text_config=LlamaConfig(vocab_size=n_words + 1, **SIZES),
        image_token_index=n_words,
        projector_hidden_act="gelu" if kind == "mlp2x_gelu" else "linear",
        image_seq_length=4,
    )
    stock = LlavaForConditionalGeneration(config).eval()
    state = stock.state_dict()
    with torch.no_grad():
        for name, tensor in state.items():
            short = name.removeprefix("model.")
            if short.startswith("vision_tower."):
                tensor.copy_(clip["vision_model." + short.removeprefix("vision_tower.")])
            elif name in ("lm_head.weight", "model.language_model.embed_tokens.weight"):
                old = weights["lm_head.weight" if "lm_head" in name else "model.embed_tokens.weight"]
                tensor.copy_(torch.cat([old, old.mean(0, keepdim=True)]))
            elif short.startswith("language_model."):
                tensor.copy_(weights["model." + short.removeprefix("language_model.")])
        projector = stock.model.multi_modal_projector
        if kind == "mlp2x_gelu":
            for layer, index in ((projector.linear_1, 0), (projector.linear_2, 2)):
                layer.weight.copy_(weights[f"model.mm_projector.{index}.weight"])
                layer.bias.copy_(weights[f"model.mm_projector.{index}.bias"])
        else:
            projector.linear_1.weight.copy_(weights["model.mm_projector.weight"])
            projector.linear_1.bias.copy_(weights["model.mm_projector.bias"])
            projector.linear_2.weight.copy_(torch.eye(32))
            projector.linear_2.bias.zero_()
    return stock


@pytest.mark.parametrize("kind", ["linear", "mlp2x_gelu"])
def test_original_llava_has_the_logits_of_stock(original_folder, kind):
    folder, weights, clip = original_folder(kind, image_aspect_ratio="pad")
    bundle = load_checkpoint(folder)
    assert bundle.image_processor.do_pad
    assert bundle.clip is not None
    stock = stock_of_original(weights, clip, kind)
    ids, pixels, logits = ours(bundle)
    n_words = weights["lm_head.weight"].shape[0]
    assert bundle.model.llm.config.vocab_size % 64 == 0
    with torch.no_grad():
        expected = stock(input_ids=ids, pixel_values=pixels).logits
    torch.testing.assert_close(logits[..., : n_words + 1], expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("projector", ["linear", "mlp2x_gelu", "identity"])
def test_a_joined_pair_is_saved_so_that_stock_loads_it(clip_folder, llm_folder, tmp_path, projector):
    bundle = join_models(clip_folder, llm_folder, projector=projector, pad_to_square=True)
    path = save_checkpoint(bundle, tmp_path / "joined", stage="joined", seen_ids=())
    stock, info = LlavaForConditionalGeneration.from_pretrained(path, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    again = load_checkpoint(path)
    assert projector_kind(again.model.projector) == projector
    assert again.clip_tokenizer is not again.tokenizer
    torch.testing.assert_close(again.clip.text_projection.weight, bundle.clip.text_projection.weight)
    for found in (bundle, again):
        assert_like_stock(found, stock.eval())


@pytest.mark.parametrize("name", ["v1", "llava_v1", "mini_v1", "llama_2", "v0"])
@pytest.mark.parametrize("n_images", [0, 1, 2])
def test_the_stock_processor_makes_the_ids_that_we_make(clip_folder, llm_folder, tmp_path, name, n_images):
    bundle = join_models(clip_folder, llm_folder, template=name)
    path = save_checkpoint(bundle, tmp_path / "joined", stage="joined", seen_ids=())
    processor = AutoProcessor.from_pretrained(path)
    image = {"image": "first" if n_images else None, "n_images": n_images or 1}
    turns = [Turn(role="human", text="What colour?", **image)]
    parts = [{"type": "image"}] * n_images + [{"type": "text", "text": "What colour?"}]
    text = processor.apply_chat_template([{"role": "user", "content": parts}], add_generation_prompt=True)
    shown = {"images": [picture()] * n_images} if n_images else {}
    found = processor(text=text, add_special_tokens=False, return_tensors="pt", **shown)["input_ids"][
        0
    ].tolist()
    made = list(encode(turns, bundle.tokenizer, TEMPLATES[name], bundle.n_image_tokens).input_ids)
    drop = bundle.tokenizer.convert_tokens_to_ids("▁")
    # Stock tokenizes what follows a special token with or without a prefix space as its tokenizer likes.
    assert [token for token in found if token != drop] == [token for token in made if token != drop]


def test_a_projector_alone_is_joined_with_its_models(clip_folder, llm_folder, tmp_path):
    weights = {"model.mm_projector.weight": torch.randn(32, 32), "model.mm_projector.bias": torch.randn(32)}
    torch.save(weights, tmp_path / "mm_projector.bin")
    path = convert_model(
        None, tmp_path / "out", clip=str(clip_folder), llm=str(llm_folder),
        projector=str(tmp_path / "mm_projector.bin"), dtype="float32",
    )  # fmt: skip
    torch.testing.assert_close(
        load_checkpoint(path).model.projector.linear_1.weight, weights["model.mm_projector.weight"]
    )
    torch.save({"other": torch.zeros(1)}, tmp_path / "other.bin")
    with pytest.raises(InputError, match=r"other\.bin: got weights named \[\], allowed is a linear"):
        convert_model(
            None,
            tmp_path / "out",
            clip=str(clip_folder),
            llm=str(llm_folder),
            projector=str(tmp_path / "other.bin"),
        )


def test_a_checkpoint_of_others_gets_its_text_tower_from_a_clip(hf_folder, clip_folder, tmp_path):
    with pytest.raises(InputError, match="got a checkpoint without CLIP's text tower"):
        _ = load_checkpoint(hf_folder).whole_clip
    with pytest.raises(InputError, match="field clip: got a CLIP whose vision model is not the checkpoint's"):
        load_checkpoint(hf_folder, clip=clip_folder)
    from transformers import CLIPModel

    whole = CLIPModel.from_pretrained(clip_folder)
    own = load_checkpoint(hf_folder)
    whole.vision_model.load_state_dict(own.model.vision_tower.state_dict())
    matching = tmp_path / "matching"
    shutil.copytree(clip_folder, matching)
    whole.save_pretrained(matching)
    bundle = load_checkpoint(hf_folder, clip=matching)
    assert bundle.whole_clip.vision_model is bundle.model.vision_tower


def edited(folder, target, change):
    shutil.copytree(folder, target)
    config = json.loads((target / "config.json").read_text())
    for name, value in change.items():
        *outer, field = name.split(".")
        (config[outer[0]] if outer else config)[field] = value
    (target / "config.json").write_text(json.dumps(config))
    return target


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "llava_next"}, r"config\.json, field model_type: got .*'llava_next'"),
        ({"model_type": "llava_onevision"}, "got a model of type 'llava_onevision'"),
        ({"vision_feature_layer": [-2, -1]}, r"field vision_feature_layer: got \[-2, -1\]"),
        ({"projector_hidden_act": "relu"}, "field projector_hidden_act: got 'relu', allowed are"),
        ({"multimodal_projector_bias": False}, "field multimodal_projector_bias: got false"),
        ({"image_token_index": 7}, r"field image_token_index: .* is token 7, the tokenizer has it as"),
        ({"text_config.model_type": "gpt2"}, r"field text_config\.model_type: .*'gpt2'"),
        ({"vision_config.model_type": "siglip_vision_model"}, r"field vision_config\.model_type"),
        ({"text_config.intermediate_size": 40}, r"field model\.language.*: got shape \(32, 48\)"),
        ({"text_config.num_hidden_layers": 3}, r"field model\..*: the weight is missing \(9 are\)"),
        ({"text_config.num_hidden_layers": 1}, "has no place for the weight"),
    ],
)
def test_a_configuration_that_does_not_fit_is_told_in_one_line(hf_folder, tmp_path, change, message):
    with pytest.raises(InputError, match=message) as told:
        load_checkpoint(edited(hf_folder, tmp_path / "edited", change))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"mm_use_im_start_end": True}, "field mm_use_im_start_end: got True, allowed is False"),
        ({"mm_patch_merge_type": "spatial_unpad"}, "field mm_patch_merge_type: got 'spatial_unpad'"),
        ({"image_aspect_ratio": "anyres"}, "field image_aspect_ratio: got 'anyres', allowed is square, pad"),
        ({"mm_projector_type": "mlp3x_gelu"}, "field mm_projector_type: got 'mlp3x_gelu'"),
        ({"mm_vision_tower": "/no/such/tower"}, "/no/such/tower: no such folder"),
        ({"hidden_size": 64}, "got shape"),
    ],
)
def test_an_original_checkpoint_with_what_is_left_out_is_refused(original_folder, fields, message):
    folder, _, _ = original_folder("linear", **fields)
    with pytest.raises(InputError, match=message):
        load_checkpoint(folder)


def test_missing_files_and_weights_are_named(original_folder, hf_folder, tmp_path):
    folder, _, _ = original_folder()
    (folder / "pytorch_model-00002-of-00002.bin").rename(tmp_path / "second.bin")
    with pytest.raises(InputError, match=r"pytorch_model-00002-of-00002\.bin: file named in .* is missing"):
        load_checkpoint(folder)
    second = torch.load(tmp_path / "second.bin")
    lost = next(name for name in second if "mm_projector" in name or "layers" in name)
    second.pop(lost)
    torch.save(second, folder / "pytorch_model-00002-of-00002.bin")
    with pytest.raises(InputError, match="the weight is missing"):
        load_checkpoint(folder)
    (folder / "pytorch_model-00002-of-00002.bin").write_bytes(b"no weights")
    with pytest.raises(InputError, match="torch cannot read safely"):
        load_checkpoint(folder)
    torn = tmp_path / "torn"
    shutil.copytree(hf_folder, torn)
    (torn / "model.safetensors").write_bytes((torn / "model.safetensors").read_bytes()[:-50])
    with pytest.raises(InputError, match="torn: weights cannot be read"):
        load_checkpoint(torn)
    without = tmp_path / "without"
    shutil.copytree(hf_folder, without)
    from .conftest import llama_tokenizer

    llama_tokenizer().save_pretrained(without)
    with pytest.raises(InputError, match=r"field image_token_index: .*the tokenizer lacks it"):
        load_checkpoint(without)
    (without / "config.json").unlink()
    with pytest.raises(InputError, match=r"no config\.json"):
        load_checkpoint(without)


def test_bare_models_of_other_kinds_are_refused(clip_folder, llm_folder, tmp_path):
    with pytest.raises(InputError, match="field model_type: got a model of type 'clip', allowed"):
        load_checkpoint(clip_folder)
    with pytest.raises(InputError, match=r"got a model of type .*, allowed is clip"):
        join_models(llm_folder, llm_folder)
    with pytest.raises(
        InputError, match="got a language model of type 'clip', allowed are llama, mistral, qwen2"
    ):
        join_models(clip_folder, clip_folder)


def test_a_hub_name_is_read_from_the_cache_without_network(hf_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    repository = tmp_path / "models--someone--llava"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc123")
    shutil.copytree(hf_folder, repository / "snapshots" / "abc123")
    assert load_checkpoint("someone/llava").n_image_tokens == 4
    with pytest.raises(InputError, match=r"someone/other: no such folder, and the hub gives no such model"):
        load_checkpoint("someone/other")


def test_quantised_loading_without_its_package_or_gpu_is_one_line(hf_folder):
    with pytest.raises(InputError, match=r"field quantize: got (a quantised load|device cpu)"):
        load_checkpoint(hf_folder, quantize="4bit")


def test_half_precision_is_heeded(hf_folder):
    bundle = load_checkpoint(hf_folder, dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in bundle.model.parameters()} == {torch.bfloat16}
    assert IMAGE_TOKEN in bundle.tokenizer.get_vocab()


@pytest.mark.parametrize("part", ["clip", "llm"])
@pytest.mark.parametrize("damage", ["missing", "shape"])
def test_a_bare_model_with_a_weight_missing_is_never_filled_up(
    clip_folder, llm_folder, tmp_path, part, damage
):
    folders = {"clip": clip_folder, "llm": llm_folder}
    broken = tmp_path / "broken"
    shutil.copytree(folders[part], broken)
    weights = load_file(broken / "model.safetensors")
    name = next(
        name for name in sorted(weights) if name.endswith("layers.1.mlp.fc1.weight") or "1.mlp.up" in name
    )
    if damage == "missing":
        del weights[name]
    else:
        weights[name] = weights[name][:-1].clone()
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    folders[part] = broken
    with pytest.raises(InputError, match="the weight is missing" if damage == "missing" else "got shape"):
        join_models(folders["clip"], folders["llm"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vision_feature_layer": -9}, "field vision_feature_layer: got -9, allowed is -4 to 3"),
        ({"text_config.hidden_size": "x"}, "transformers refuses it"),
    ],
)
def test_values_that_make_no_sense_are_told(hf_folder, tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        load_checkpoint(edited(hf_folder, tmp_path / "edited", change))


def test_files_of_the_original_layout_that_are_torn_are_named(original_folder, tmp_path):
    folder, _, _ = original_folder()
    (folder / "pytorch_model.bin.index.json").write_text("{")
    with pytest.raises(InputError, match=r"index\.json: broken JSON"):
        load_checkpoint(folder)
    (folder / "pytorch_model.bin.index.json").unlink()
    (folder / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(InputError, match=r"model\.safetensors: got a file that safetensors cannot read"):
        load_checkpoint(folder)
    with pytest.raises(InputError, match="got what --source reads"):
        convert_model(str(folder), folder)
