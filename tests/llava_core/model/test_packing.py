import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig, Qwen2Config

from llava_core.model.packing import pack_arguments, packed

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


def test_compiled_layers_are_not_compiled_anew_for_every_row():
    from torch._dynamo.utils import counters

    torch.manual_seed(0)
    llm = AutoModelForCausalLM.from_config(LlamaConfig(**SIZES)).eval()
    packs = [(7, 4), (3, 5, 9), (8,), (6, 2, 2, 5)]
    rows = [torch.randint(50, (1, sum(lengths))) for lengths in packs]
    with packed(llm), torch.no_grad():
        plain = [
            llm(row, use_cache=False, **pack_arguments(lengths, torch.device("cpu"))).logits
            for row, lengths in zip(rows, packs, strict=True)
        ]
        for layer in llm.model.layers:
            layer.compile(dynamic=True, backend="eager")
        counters.clear()
        n_graphs = []
        for row, lengths, expected in zip(rows, packs, plain, strict=True):
            found = llm(row, use_cache=False, **pack_arguments(lengths, torch.device("cpu"))).logits
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
            n_graphs.append(counters["stats"]["unique_graphs"])
    assert n_graphs[0] > 0
    assert n_graphs[-1] == n_graphs[0]
