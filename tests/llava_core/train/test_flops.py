"""Counted operations: against a published ceiling each, and against torch's own counter."""

from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from llava_core.train.flops import (
    Shape,
    align_step,
    attention_forward,
    clip_forward,
    finetune_step,
    n_decoder,
    projector_forward,
    recomputed,
    shape_of,
)

SEVEN = Shape(
    n_layers=32,
    dim_llm=4096,
    dim_kv=4096,
    mlp_llm=11008,
    vocab_size=32_000,
    n_vision_layers=23,
    dim_vision=1024,
    mlp_vision=4096,
    n_patches=256,
    patch_values=588,
    n_image_tokens=256,
    n_projector=1024 * 4096,
)
THIRTEEN = replace(SEVEN, n_layers=40, dim_llm=5120, dim_kv=5120, mlp_llm=13824, n_projector=1024 * 5120)


def at_336(shape):
    """LLaVA 1.5: more patches, and a second layer in the projector."""
    n_projector = shape.n_projector + shape.dim_llm**2
    return replace(shape, n_patches=576, n_image_tokens=576, n_projector=n_projector)


def test_weights_of_the_decoders():
    assert n_decoder(SEVEN) == pytest.approx(6.476e9, rel=1e-4)
    assert n_decoder(THIRTEEN) == pytest.approx(12.688e9, rel=1e-4)


@pytest.mark.parametrize(
    ("shape", "n_layers", "giga"),
    [(SEVEN, 24, 162.0), (SEVEN, 23, 155.3), (at_336(SEVEN), 24, 381.9), (at_336(SEVEN), 23, 366.0)],
)
def test_operations_of_clip(shape, n_layers, giga):
    assert clip_forward(replace(shape, n_vision_layers=n_layers)) / 1e9 == pytest.approx(giga, abs=0.06)


# Stage 1 supervises all text, stage 2 six tenths of it.
@pytest.mark.parametrize(
    ("shape", "n_text", "tera", "tera_checkpointed"),
    [
        (SEVEN, 20, 7.38, 10.98),
        (SEVEN, 100, 9.53, 14.17),
        (at_336(SEVEN), 20, 16.17, 23.98),
        (THIRTEEN, 20, 14.28, 21.31),
        (at_336(THIRTEEN), 20, 31.17, 46.44),
    ],
)
def test_operations_of_stage_1(shape, n_text, tera, tera_checkpointed):
    n_tokens = shape.n_image_tokens + n_text
    step = align_step(shape, n_tokens, n_text)
    assert step / 1e12 == pytest.approx(tera, rel=1e-3)
    assert (step + recomputed(shape, n_tokens)) / 1e12 == pytest.approx(tera_checkpointed, rel=1e-3)


@pytest.mark.parametrize(
    ("shape", "n_text", "tera", "tera_checkpointed"),
    [
        (SEVEN, 100, 14.1, 18.8),
        (SEVEN, 300, 22.2, 29.4),
        (SEVEN, 500, 30.2, 40.2),
        (at_336(SEVEN), 300, 35.2, 46.8),
        (THIRTEEN, 300, 43.1, 57.3),
        (at_336(THIRTEEN), 500, 84.1, 111.9),
    ],
)
def test_operations_of_stage_2(shape, n_text, tera, tera_checkpointed):
    n_tokens = shape.n_image_tokens + n_text
    step = finetune_step(shape, n_tokens, round(0.6 * n_text))
    assert step / 1e12 == pytest.approx(tera, abs=0.06)
    assert (step + recomputed(shape, n_tokens)) / 1e12 == pytest.approx(tera_checkpointed, abs=0.06)


def test_kept_features_spare_the_tower():
    live, kept = (finetune_step(SEVEN, 556, 180, live=live) for live in (True, False))
    assert live - kept == clip_forward(SEVEN)


@pytest.mark.parametrize("stage", ["align", "finetune"])
def test_torch_counts_the_same(bundle, stage):
    model = bundle.model
    model.llm.set_attn_implementation("eager")
    model.vision_tower.set_attn_implementation("eager")
    model.projector.requires_grad_(True)
    model.llm.requires_grad_(stage == "finetune")
    model.train()
    n_text, n_supervised = 9, 5
    ids = torch.tensor([[1, *[model.image_token_id] * model.n_image_tokens, *[5] * (n_text - 1)]])
    n_tokens = ids.shape[1]
    labels = torch.full_like(ids, -100)
    labels[:, -n_supervised:] = 7
    size = model.vision_tower.config.image_size
    with FlopCounterMode(display=False) as counter:
        features = model.vision_features(torch.zeros(1, 3, size, size))
        model(ids, None, labels, features).loss.backward()
    shape = shape_of(model)
    step = {"align": align_step, "finetune": finetune_step}[stage](shape, n_tokens, n_supervised)
    # torch computes the whole square of attention, and no gradient of what the projector is given.
    whole_square = 3 * attention_forward(shape, n_tokens)
    assert counter.get_total_flops() == step + whole_square - projector_forward(shape)
