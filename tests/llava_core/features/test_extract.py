import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from tokenizers.processors import TemplateProcessing

from llava_core.checkpoint import save_checkpoint
from llava_core.features.extract import LAYERS, extract_features
from llava_core.features.store import FeatureStore
from llava_core.features.texts import clip_texts
from llava_core.inference.logprob import option_logprobs


@pytest.fixture
def extracted(bundle, drawn, tmp_path):
    checkpoint = save_checkpoint(bundle, tmp_path / "finetune", stage="finetune", seen_ids=["image-1"])
    examples = [*drawn[:3], replace(drawn[3], image=None), drawn[-1]]
    ticks = []
    extract_features(
        {"finetune": checkpoint or tmp_path / "finetune", "align": tmp_path / "finetune"},
        examples,
        tmp_path / "store",
        data_fingerprint="abc",
        progress=lambda done, total: ticks.append((done, total)),
    )
    return FeatureStore.open(tmp_path / "store", data_fingerprint="abc"), examples, ticks


def test_blocks_shapes_and_missing_images(extracted, bundle) -> None:
    store, examples, ticks = extracted
    n_options = sum(len(example.options) for example in examples)
    assert set(store.blocks) == {
        "clip_image",
        "clip_image_patches",
        "clip_text",
        "clip_similarity",
        "projector",
        "projector_align",
        "llm_hidden",
        "option_logprob",
        "llm_answer",
    }
    for name, info in store.blocks.items():
        assert len(store.block(name)) == (n_options if info.level == "option" else len(examples))
    assert np.isnan(store.block("clip_image")[[3, 4]]).all()
    assert np.isfinite(store.block("clip_image")[:3]).all()
    assert store.block("llm_hidden").shape[1] == len(LAYERS) * bundle.model.llm.config.hidden_size
    assert store.rows["seen_in_training"].tolist() == [False, True, False, False, False]
    assert ticks[-1][0] == ticks[-1][1]
    assert ticks == sorted(ticks)


def test_blocks_hold_what_the_model_says(extracted, bundle) -> None:
    store, examples, _ = extracted
    expected = np.concatenate([scores.mean for scores in option_logprobs(bundle, examples)])
    np.testing.assert_allclose(store.block("option_logprob")[:, 1], expected, atol=1e-4)
    image = store.block("clip_image")[0]
    text = store.block("clip_text")[:3]
    np.testing.assert_allclose(np.linalg.norm(image), 1, atol=1e-5)
    np.testing.assert_allclose(store.block("clip_similarity")[:3, 0], text @ image, atol=1e-5)


def test_a_clip_with_its_own_tokenizer_reads_texts_its_own_way(bundle, drawn) -> None:
    """Start and stop token around, cut to the span, the shorter ones not moved by the padding."""
    own = copy.deepcopy(bundle.tokenizer)
    start, stop = own.bos_token_id, own.eos_token_id
    own.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{own.bos_token} $A {own.eos_token}",
        special_tokens=[(own.bos_token, start), (own.eos_token, stop)],
    )
    span = bundle.whole_clip.config.text_config.max_position_embeddings
    examples = [drawn[0], replace(drawn[1], question="Which colour is it? " * 40), drawn[-1]]
    found = clip_texts(replace(bundle, clip_tokenizer=own), examples)
    texts = [f"{example.question} {option}" for example in examples for option in example.options]
    for row, text in zip(found, texts, strict=True):
        words = bundle.tokenizer.encode(text, add_special_tokens=False)
        ids = torch.tensor([[start, *words[: span - 2], stop]])
        with torch.no_grad():
            pooled = bundle.whole_clip.get_text_features(input_ids=ids).pooler_output[0]
        np.testing.assert_allclose(row, (pooled / pooled.norm()).numpy(), atol=1e-5)
