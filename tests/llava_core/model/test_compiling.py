import pytest
import torch
from torch._dynamo.utils import counters
from transformers import AutoModelForCausalLM, LlamaConfig

from llava_core.model.compiling import compile_decoder
from llava_core.model.packing import pack_arguments, packed

PACKS = [(7, 4), (3, 5, 9), (8,), (6, 2, 2, 5)]


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # torch's own
@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_compiled_decoder_gives_the_same_and_is_not_compiled_anew_for_every_row(checkpointing):
    torch.manual_seed(0)
    torch.compiler.reset()
    config = LlamaConfig(
        vocab_size=50, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4
    )
    llm = AutoModelForCausalLM.from_config(config).train()
    if checkpointing:
        llm.activation_checkpointing_enable({"use_reentrant": False})
    rows = [torch.randint(50, (1, sum(lengths))) for lengths in PACKS]

    def gradients(row, lengths):
        llm.zero_grad()
        output = llm(row, use_cache=False, **pack_arguments(lengths, torch.device("cpu")))
        output.logits.square().mean().backward()
        return [parameter.grad.clone() for parameter in llm.parameters()]

    with packed(llm):
        plain = [gradients(row, lengths) for row, lengths in zip(rows, PACKS, strict=True)]
        compile_decoder(llm, checkpointing=checkpointing, backend="eager")
        counters.clear()
        n_graphs = []
        for row, lengths, expected in zip(rows, PACKS, plain, strict=True):
            for found, wanted in zip(gradients(row, lengths), expected, strict=True):
                torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)
            n_graphs.append(counters["stats"]["unique_graphs"])
    assert n_graphs[0] > 0
    assert n_graphs[-1] == n_graphs[0]
