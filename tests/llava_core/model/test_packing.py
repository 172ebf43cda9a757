from itertools import pairwise

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig, Qwen2Config

from llava_core.model.packing import pack_arguments, packed, packed_attention

SIZES = {
    "vocab_size": 50,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


@pytest.mark.parametrize("config", [LlamaConfig, MistralConfig, Qwen2Config])
@pytest.mark.parametrize("lengths", [(7,), (1, 5, 3), (4, 4)])
def test_a_packed_row_is_its_conversations_one_by_one(config, lengths):
    torch.manual_seed(0)
    llm = AutoModelForCausalLM.from_config(config(**SIZES)).eval()
    rows = [torch.randint(50, (1, length)) for length in lengths]
    alone = [llm(row) for row in rows]
    (loss_alone,) = torch.autograd.grad(
        sum(output.logits.square().sum() for output in alone), [llm.get_input_embeddings().weight]
    )
    with packed(llm):
        together = llm(torch.cat(rows, 1), use_cache=False, **pack_arguments(lengths, torch.device("cpu")))
    torch.testing.assert_close(together.logits, torch.cat([o.logits for o in alone], 1), atol=1e-5, rtol=1e-4)
    (loss_together,) = torch.autograd.grad(
        together.logits.square().sum(), [llm.get_input_embeddings().weight]
    )
    torch.testing.assert_close(loss_together, loss_alone, atol=1e-4, rtol=1e-3)


def test_the_model_reads_as_before_after_the_block(bundle):
    before = bundle.model.llm.config._attn_implementation
    with packed(bundle.model.llm):
        assert bundle.model.llm.config._attn_implementation != before
    assert bundle.model.llm.config._attn_implementation == before


class OnGpu(torch.Tensor):
    """A tensor that says it is on a GPU."""

    is_cuda = True


def kernel(query, key, value, starts, _, longest, __, *, scale, window_size):
    """What torch 2.11's kernel computes, conversation by conversation; it has as many keys as queries."""
    assert query.shape == key.shape == value.shape
    assert window_size == (-1, 0)
    assert longest == int(starts.diff().max())
    parts = []
    for start, end in pairwise(starts.tolist()):
        q, k, v = (tensor.as_subclass(torch.Tensor)[start:end].float() for tensor in (query, key, value))
        scores = scale * torch.einsum("qhd,khd->hqk", q, k)
        scores.masked_fill_(torch.ones(len(q), len(q)).triu(1).bool(), -torch.inf)
        parts.append(torch.einsum("hqk,khd->qhd", scores.softmax(-1), v))
    return torch.cat(parts).to(query.dtype)


def grouping_kernel(query, key, value, *borders, scale, window_size, enable_gqa=False):
    """What torch 2.13's kernel computes: fewer keys than queries if it is told."""
    assert enable_gqa == (query.shape != key.shape)
    times = query.shape[1] // key.shape[1]
    wide = [tensor.repeat_interleave(times, 1) for tensor in (key, value)]
    return kernel(query, *wide, *borders, scale=scale, window_size=window_size)


@pytest.mark.parametrize("n_key_heads", [4, 2])
@pytest.mark.parametrize("varlen_attn", [kernel, grouping_kernel])
def test_kernels_of_all_torches_are_called_as_they_want(monkeypatch, varlen_attn, n_key_heads):
    monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", varlen_attn)
    torch.manual_seed(0)
    query = torch.randn(1, 4, 9, 8).bfloat16()
    key, value = torch.randn(2, 1, n_key_heads, 9, 8).bfloat16()
    borders = pack_arguments((4, 5), torch.device("cpu"))["borders"]
    expected, _ = packed_attention(torch.nn.Module(), query, key, value, None, 0.3, borders=borders)
    on_gpu = [tensor.as_subclass(OnGpu) for tensor in (query, key, value)]
    found, _ = packed_attention(torch.nn.Module(), *on_gpu, None, 0.3, borders=borders)
    torch.testing.assert_close(found.as_subclass(torch.Tensor), expected, atol=0.02, rtol=0.02)
