from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import CLIPVisionConfig, CLIPVisionModel, LlamaConfig, LlamaForCausalLM

from llava_core.data.conversation import IGNORE_INDEX, Encoded
from llava_core.errors import InputError
from llava_core.memory import told_bytes
from llava_core.model.llava import LlavaModel
from llava_core.model.projector import build_projector
from llava_core.recipes import find_recipe, mini_cpu
from llava_core.train import memory_plan
from llava_core.train.batches import Row
from llava_core.train.memory_plan import CONTEXT_BYTES, WORK_BYTES, check_memory, plan_memory
from llava_core.train.order import sample_rows
from llava_core.train.processes import Place
from llava_core.train.run_config import RunConfig
from llava_core.train.vision import keep_in_memory, kept_bytes

BF16 = RunConfig(precision="bf16", strategy="fsdp")
ON_GPU = {"tokens": 4096, "supervised": 1000, "world": 1, "context": CONTEXT_BYTES}


def full_size(width=4096, inner=11008, n_layers=32, n_heads=32):
    """Vicuna 7B and CLIP ViT-L/14 without any memory."""
    with torch.device("meta"):
        tower = CLIPVisionModel(
            CLIPVisionConfig(
                hidden_size=1024,
                intermediate_size=4096,
                num_hidden_layers=24,
                num_attention_heads=16,
                patch_size=14,
            )
        )
        llm = LlamaForCausalLM(
            LlamaConfig(
                hidden_size=width,
                intermediate_size=inner,
                num_hidden_layers=n_layers,
                num_attention_heads=n_heads,
                num_key_value_heads=n_heads,
            )
        )
        return LlavaModel(tower, build_projector("linear", 1024, width), llm, image_token_id=31999)


def test_7b_needs_108_gb_for_weights_gradients_and_moments():
    """The figure of facts about AdamW at 16 bytes a weight: 6.74e9 weights."""
    model = full_size()
    model.llm.requires_grad_(True)
    plan = plan_memory(model, BF16, **ON_GPU)
    assert plan.learning == pytest.approx(108e9, rel=0.01)
    assert plan_memory(model, BF16, **(ON_GPU | {"world": 4})).learning == pytest.approx(27e9, rel=0.01)


def test_a_frozen_7b_fits_where_a_learning_one_does_not():
    model = full_size()
    model.llm.requires_grad_(False)
    plan = plan_memory(model, replace(BF16, strategy="ddp"), **ON_GPU)
    assert plan.frozen == pytest.approx(2 * (6.74e9 + 0.3e9), rel=0.01)
    assert plan.total < 50e9


@pytest.mark.parametrize("learns", [True, False])
@pytest.mark.parametrize("checkpointing", [True, False])
def test_activations_are_what_torch_keeps(learns, checkpointing):
    """Oracle: the bytes of all tensors that autograd saves, weights apart."""
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=128,
        intermediate_size=344,
        num_hidden_layers=6,
        num_attention_heads=4,
        num_key_value_heads=4,
        vocab_size=64,
    )
    tower = CLIPVisionModel(
        CLIPVisionConfig(hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2)
    )
    model = LlavaModel(
        tower, build_projector("linear", 32, 128), LlamaForCausalLM(config).bfloat16(), image_token_id=63
    )
    model.llm.requires_grad_(learns)
    model.train()
    if checkpointing:
        model.llm.activation_checkpointing_enable({"use_reentrant": False})
    n_tokens = 512
    inputs = torch.randn(1, n_tokens, 128, dtype=torch.bfloat16, requires_grad=True)
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    saved = {}

    def keep(tensor):
        if tensor.untyped_storage().data_ptr() not in weights:
            saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model.llm.model(inputs_embeds=inputs, use_cache=False)
    run = RunConfig(precision="bf16", gradient_checkpointing=checkpointing)
    plan = plan_memory(model, run, tokens=n_tokens, supervised=0, world=1, context=0.0)
    measured = sum(saved.values())
    if checkpointing:  # the layer that is computed again comes on top, in the backward pass
        one = (24 * 128 + 8 * 344) if learns else (16 * 128 + 6 * 344)
        measured += one * n_tokens
    assert plan.activations == pytest.approx(measured, rel=0.12)


def test_a_plan_that_does_not_fit_says_what_would(bundle, drawn, monkeypatch):
    config = mini_cpu().finetune
    bundle.model.llm.requires_grad_(True)
    rows = sample_rows(config, bundle, drawn, seed=0)
    here = Place(rank=0, world=1, device=torch.device("cpu"))
    assert "GB are free" in check_memory(bundle.model, rows, config, RunConfig(), here)
    whole = plan_memory(bundle.model, RunConfig(), tokens=0, supervised=0, world=1, context=0.0).total
    monkeypatch.setattr(memory_plan.memory, "held_bytes", lambda: 0.0)
    monkeypatch.setattr(memory_plan, "free_bytes", lambda device: WORK_BYTES + whole * 3)
    with pytest.raises(InputError, match=r"needs .* MB are free: use .*, or LoRA"):
        check_memory(bundle.model, rows, config, RunConfig(), here)
    monkeypatch.setattr(memory_plan, "free_bytes", lambda device: 1.0)
    with pytest.raises(InputError, match=r"needs .* MB are free: use LoRA"):
        check_memory(bundle.model, rows, config, RunConfig(), here)


def test_on_a_cpu_it_counts_what_the_process_holds_and_the_features_it_keeps(bundle, drawn, monkeypatch):
    monkeypatch.setattr(memory_plan.memory, "held_bytes", lambda: 3e9)
    monkeypatch.setattr(memory_plan, "free_bytes", lambda device: 9e9)
    config = mini_cpu().align
    rows = sample_rows(config, bundle, drawn, seed=0)
    here = Place(rank=0, world=1, device=torch.device("cpu"))
    kept = kept_bytes(bundle, 1000, keeping="memory")
    (feature,) = keep_in_memory(bundle, [drawn[0].image]).values()
    assert kept == 1000 * feature.nbytes
    assert kept_bytes(bundle, 1000, keeping="disk") == 0
    told = check_memory(bundle.model, rows, config, RunConfig(), here, image_bytes=2e9)
    assert f"context {told_bytes(5e9 + WORK_BYTES)}); 9.0 GB are free" in told


def test_the_example_of_the_docs_is_what_is_said(monkeypatch):
    """LLaVA 1.5, 7B, stage 2, conversations of 900 tokens, one device with 80 GB free."""
    recipe = find_recipe("llava_v1_5_7b")
    model = full_size()
    model.llm.requires_grad_(True)
    row = Row(encoded=Encoded(input_ids=(1,) * 900, labels=(IGNORE_INDEX,) * 600 + (1,) * 300))
    monkeypatch.setattr(memory_plan, "free_bytes", lambda device: 80e9)
    here = Place(rank=0, world=1, device=torch.device("cuda"))
    with pytest.raises(InputError) as told:
        check_memory(model, [row], recipe.finetune, recipe.finetune_run, here)
    docs = " ".join((Path(__file__).parents[3] / "docs" / "training.md").read_text().split())
    assert f"error: {told.value}" in docs
