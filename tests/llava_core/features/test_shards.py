"""One process, several, and one that was killed give the same store, byte for byte."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from llava_core.checkpoint import save_checkpoint
from llava_core.data.collate import clip_text_batch
from llava_core.data.images import load_pixels
from llava_core.errors import InputError
from llava_core.features import extract
from llava_core.features.extract import extract_features
from llava_core.features.store import FeatureStore


@pytest.fixture
def checkpoints(bundle, tmp_path):
    """Both stages; the projector differs, the tower is the same."""
    finetune = save_checkpoint(bundle, tmp_path / "finetune", stage="finetune", seen_ids=["image-1"])
    with torch.no_grad():
        bundle.model.projector.linear_1.weight.mul_(-2)
    return {
        "finetune": finetune,
        "align": save_checkpoint(bundle, tmp_path / "align", stage="align", seen_ids=[]),
    }


@pytest.fixture
def small_chunks(monkeypatch):
    """Chunks of 7 questions."""
    monkeypatch.setattr(extract, "CHUNK_BYTES", 1)
    monkeypatch.setattr(extract, "FEWEST_QUESTIONS", 7)


def manifest(out):
    return (out / "manifest.json").read_bytes()


def test_any_sharing_out_gives_the_same_bytes(checkpoints, drawn, tmp_path, small_chunks) -> None:
    examples = [*drawn[:20], replace(drawn[20], image=None), replace(drawn[3], id="again"), *drawn[-8:]]
    one = extract_features(checkpoints, examples, tmp_path / "one", data_fingerprint="f")
    assert one == tmp_path / "one"
    two = tmp_path / "two"
    assert extract_features(checkpoints, examples, two, data_fingerprint="f", shard=(1, 2)) is None
    assert not two.exists()
    assert extract_features(checkpoints, examples, two, data_fingerprint="f", shard=(0, 2)) == two
    assert manifest(two) == manifest(one)
    FeatureStore.open(two)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["align", "finetune", "one", "two"]


def test_a_process_that_another_was_faster_than_leaves_nothing_behind(
    checkpoints, drawn, tmp_path, small_chunks, monkeypatch
) -> None:
    make, out = extract.make_chunk, tmp_path / "out"

    def late(bundle, examples, **settings):
        monkeypatch.setattr(extract, "make_chunk", make)
        extract_features(checkpoints, drawn[:18], out, data_fingerprint="f")
        return make(bundle, examples, **settings)

    monkeypatch.setattr(extract, "make_chunk", late)
    assert extract_features(checkpoints, drawn[:18], out, data_fingerprint="f") == out
    FeatureStore.open(out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["align", "finetune", "out"]


def test_a_killed_run_goes_on_with_the_next_chunk(
    checkpoints, drawn, tmp_path, small_chunks, monkeypatch
) -> None:
    one = extract_features(checkpoints, drawn[:18], tmp_path / "one", data_fingerprint="f")
    make, made = extract.make_chunk, []

    def dies(bundle, examples, **settings):
        made.append(examples[0].id)
        if len(made) == 2:
            raise KeyboardInterrupt
        return make(bundle, examples, **settings)

    monkeypatch.setattr(extract, "make_chunk", dies)
    out = tmp_path / "killed"
    with pytest.raises(KeyboardInterrupt):
        extract_features(checkpoints, drawn[:18], out, data_fingerprint="f")
    assert not out.exists()
    ticks = []
    extract_features(
        checkpoints, drawn[:18], out, data_fingerprint="f", progress=lambda *tick: ticks.append(tick)
    )
    assert made == ["image-0", "image-7", "image-7", "image-14"]
    assert ticks == sorted(ticks)
    assert ticks[-1][0] == ticks[-1][1]
    assert manifest(out) == manifest(one)
    # A whole store of these inputs is not made again, and what a kill left of it goes; of other inputs it is.
    for left in ("killed.parts", ".killed.replaced"):
        (tmp_path / left / "half").mkdir(parents=True)
    extract_features(checkpoints, drawn[:18], out, data_fingerprint="f")
    assert len(made) == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["align", "finetune", "killed", "one"]
    extract_features(checkpoints, drawn[:18], out, data_fingerprint="f", layers=(0,))
    assert len(made) == 7


def test_blocks_are_those_of_separate_passes(checkpoints, bundle, drawn, tmp_path, small_chunks) -> None:
    """The way of old, written out: every block by a pass of its own, without chunks or kept features."""
    examples = [*drawn[:9], replace(drawn[9], image=None), drawn[-1]]
    out = extract_features(checkpoints, examples, tmp_path / "store", data_fingerprint="f", layers=(0, -1))
    store = FeatureStore.open(out)
    shown = [row for row, example in enumerate(examples) if example.image is not None]
    pixels = load_pixels([examples[row].image for row in shown], bundle.image_processor)
    stages = {"projector": -0.5, "projector_align": 1.0}  # the bundle holds the weights of align by now
    with torch.no_grad():
        pooled = bundle.whole_clip.get_image_features(pixel_values=pixels).pooler_output
        features = bundle.model.vision_features(pixels)
        expected = {
            "clip_image": nn.functional.normalize(pooled, dim=-1),
            "clip_image_patches": features.mean(1),
        }
        linear = bundle.model.projector.linear_1
        for name, factor in stages.items():
            expected[name] = nn.functional.linear(features, factor * linear.weight, linear.bias).mean(1)
        texts = [f"{example.question} {option}" for example in examples for option in example.options]
        ids, mask = clip_text_batch(texts, bundle.tokenizer, max_tokens=64, pad_token_id=bundle.pad_token_id)
        text = bundle.whole_clip.get_text_features(input_ids=ids, attention_mask=mask).pooler_output
    for name, rows in expected.items():
        np.testing.assert_allclose(store.block(name)[shown], rows.numpy(), atol=1e-5)
        assert np.isnan(np.delete(store.block(name), shown, axis=0)).all()
    text = nn.functional.normalize(text, dim=-1).numpy()
    np.testing.assert_allclose(store.block("clip_text"), text, atol=1e-5)
    sizes = [len(example.options) for example in examples]
    image = np.repeat(store.block("clip_image"), sizes, axis=0)
    np.testing.assert_allclose(store.block("clip_similarity")[:, 0], (image * text).sum(1), atol=1e-5)


def test_layers_of_the_tower_are_kept_where_asked_for(
    checkpoints, bundle, drawn, tmp_path, small_chunks
) -> None:
    """Against the stock tower's hidden states; nothing else changes, and without asking nothing at all."""
    examples = [*drawn[:9], replace(drawn[9], image=None), replace(drawn[3], id="again"), drawn[-1]]
    layers = (-1, 0, -2)

    def extracted(name, **asked):
        return FeatureStore.open(
            extract_features(checkpoints, examples, tmp_path / name, data_fingerprint="f", **asked)
        )

    plain, none, kept = (
        extracted("plain"),
        extracted("none", clip_layers=()),
        extracted("kept", clip_layers=layers),
    )
    assert manifest(none.path) == manifest(plain.path)
    assert "clip_layers" not in plain.manifest["settings"]
    assert kept.manifest["settings"]["clip_layers"] == list(layers)
    assert kept.manifest["inputs"] != plain.manifest["inputs"]
    assert set(kept.blocks) - set(plain.blocks) == {"clip_layers"}
    for name in plain.blocks:
        np.testing.assert_array_equal(kept.block(name), plain.block(name))

    found = kept.block("clip_layers")
    shown = [row for row, example in enumerate(examples) if example.image is not None]
    pixels = load_pixels([examples[row].image for row in shown], bundle.image_processor)
    with torch.no_grad():
        states = bundle.model.vision_tower(pixel_values=pixels, output_hidden_states=True).hidden_states
    expected = np.stack([states[layer][:, 1:].mean(1).numpy() for layer in layers], 1)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[shown], expected, atol=1e-5)
    assert np.isnan(np.delete(found, shown, axis=0)).all()
    # The layer that LLaVA reads is a block already.
    np.testing.assert_array_equal(found[:, 2], kept.block("clip_image_patches"))


def test_layers_of_a_tower_alone_do_not_depend_on_batches(bundle, drawn, tmp_path, monkeypatch) -> None:
    """No CLIP, so that the pass would end early; one image at a time or all together."""
    alone = replace(bundle, clip=None, clip_tokenizer=None)
    checkpoint = save_checkpoint(alone, tmp_path / "alone", stage="converted", seen_ids=[])
    stores = []
    for size in (1, 128):
        monkeypatch.setattr("llava_core.features.images.BATCH_SIZE", size)
        out = tmp_path / str(size)
        extract_features({"finetune": checkpoint}, drawn[:5], out, data_fingerprint="f", clip_layers=(-1, 1))
        stores.append(FeatureStore.open(out).block("clip_layers"))
    assert stores[0].shape == (5, 2, 16)
    np.testing.assert_allclose(stores[0], stores[1], atol=1e-5)


def test_without_clip_its_blocks_are_left_out_and_the_manifest_says_so(bundle, drawn, tmp_path) -> None:
    alone = replace(bundle, clip=None, clip_tokenizer=None)
    checkpoint = save_checkpoint(alone, tmp_path / "alone", stage="converted", seen_ids=[])
    out = extract_features({"finetune": checkpoint}, drawn[:5], tmp_path / "store", data_fingerprint="f")
    told = json.loads(manifest(out))
    assert set(told["blocks"]) == {
        "clip_image_patches", "projector", "llm_hidden", "option_logprob", "llm_answer",
    }  # fmt: skip
    assert set(told["left_out"]) == {"clip_image", "clip_text", "clip_similarity"}
    assert told["knows_seen_in_training"] is False


def test_half_precision_is_near(checkpoints, drawn, tmp_path) -> None:
    stores = [
        FeatureStore.open(
            extract_features(checkpoints, drawn[:6], tmp_path / name, data_fingerprint="f", dtype=dtype)
        )
        for name, dtype in (("single", torch.float32), ("half", torch.bfloat16))
    ]
    assert {info.dtype for info in stores[1].blocks.values()} == {"float32"}
    for name in ("clip_image", "projector", "llm_hidden", "option_logprob"):
        exact, rough = (store.block(name) for store in stores)
        np.testing.assert_allclose(rough, exact, rtol=0.05, atol=0.05 * np.abs(exact).max())
    assert stores[0].origin != stores[1].origin


def test_what_cannot_be_extracted(checkpoints, bundle, drawn, tmp_path) -> None:
    with pytest.raises(InputError, match="field layers: got 3, allowed are -3 to 2"):
        extract_features(checkpoints, drawn[:2], tmp_path / "s", data_fingerprint="f", layers=(3, -1))
    with pytest.raises(InputError, match="field clip_layers: got -5, allowed are -4 to 3"):
        extract_features(checkpoints, drawn[:2], tmp_path / "s", data_fingerprint="f", clip_layers=(-5, 1))
    with torch.no_grad():
        bundle.model.vision_tower.pre_layrnorm.weight.add_(1)
    other = save_checkpoint(bundle, tmp_path / "other", stage="align", seen_ids=[])
    with pytest.raises(InputError, match="another vision tower"):
        extract_features({**checkpoints, "align": other}, drawn[:2], tmp_path / "s", data_fingerprint="f")
