"""What a training will need on one device, counted before it starts.

Weights, gradients and moments are counted exactly from the model; activations by a formula of what torch
keeps for the backward pass of a LLaMA-like decoder layer, per token and layer, in bytes of a 2-byte type,
with ``d`` the width and ``f`` the inner width of the MLP::

    all weights learn    24 d + 8 f     two norms with float32 copies, q k v o, gate, up, silu, product
    frozen weights       16 d + 6 f     inputs of linear layers are not kept
    checkpointed          2 d           the layer's input; one layer at a time is computed again

and 14 bytes per supervised token and word of the vocabulary for the head. On a CPU, what the process holds
before it starts comes on top (libraries, data, the weights as they were loaded), and patch features that it
keeps. Left out: the allocator's fragmentation, for which `SLACK` is added, the activations of queries and of
gated cross-attention, and what other programs hold.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from llava_core import memory
from llava_core.errors import InputError
from llava_core.memory import told_bytes
from llava_core.model.llava import LlavaModel
from llava_core.train.batches import Row
from llava_core.train.processes import Place
from llava_core.train.run_config import RunConfig
from llava_core.train.stage import StageConfig

SLACK = 1.06
"""Factor for fragmentation."""
CONTEXT_BYTES = 0.8e9
"""CUDA's own."""
WORK_BYTES = 0.15e9
"""What torch loads and buffers on a CPU once it trains."""
HEAD_BYTES = 14
"""Per supervised token and word: logits in two types, their softmax, their gradient."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MemoryPlan:
    """Bytes on the device that holds most."""

    frozen: float
    learning: float
    """Float32 weights, gradients and both moments."""
    copies: float
    """Weights in the type of the arithmetic, as far as they are held at once."""
    activations: float
    head: float
    context: float
    """CUDA's own; on a CPU, what the process holds besides: libraries, data, patch features."""

    @property
    def total(self) -> float:
        """All of it, with slack."""
        parts = self.frozen + self.learning + self.copies + self.activations + self.head
        return SLACK * parts + self.context

    def told(self) -> str:
        """Return the plan as one line."""
        names = ("frozen", "learning", "copies", "activations", "head", "context")
        parts = ", ".join(f"{name} {told_bytes(getattr(self, name))}" for name in names)
        return f"training needs {told_bytes(self.total)} of memory per device ({parts})"


def plan_memory(
    model: LlavaModel, run: RunConfig, *, tokens: int, supervised: int, world: int, context: float
) -> MemoryPlan:
    """Return what a training of ``model`` needs; which weights learn must be decided already.

    Parameters
    ----------
    model : LlavaModel
        Weights may be anywhere; only their number and shape count.
    run : RunConfig
    tokens, supervised : int
        Tokens of one piece, and how many of them carry loss.
    world : int
        Processes, one device each.
    context : float
        Bytes that are there besides, see `MemoryPlan`.
    """
    n_frozen, n_learning = _count(model, learning=False), _count(model, learning=True)
    n_tower = sum(p.numel() for p in model.vision_tower.parameters())
    width = 4 if run.precision == "fp32" else 2
    shares = world if run.strategy == "fsdp" else 1
    layers = model.llm.model.layers
    n_layer = sum(p.numel() for p in layers[0].parameters())
    if run.strategy == "fsdp":
        n_outside = sum(p.numel() for p in model.llm.parameters()) - n_layer * len(layers)
        copies = width * (n_outside + 2 * n_layer)
    else:
        autocast = 2 * n_learning if run.precision == "bf16" else 0
        copies = autocast + (4 * n_learning if world > 1 else 0)
    d, f = model.llm.config.hidden_size, model.llm.config.intermediate_size
    all_learn = all(p.requires_grad for p in layers[0].parameters())
    kept = (24 * d + 8 * f) if all_learn else (16 * d + 6 * f)
    per_token = 2 * d * len(layers) + kept if run.gradient_checkpointing else kept * len(layers)
    return MemoryPlan(
        frozen=width * (n_tower + (n_frozen - n_tower) / shares),
        learning=16 * n_learning / shares,
        copies=copies,
        activations=per_token * tokens * width / 2,
        head=HEAD_BYTES * model.llm.config.vocab_size * supervised,
        context=context,
    )


def check_memory(
    model: LlavaModel,
    sample: Sequence[Row],
    config: StageConfig,
    run: RunConfig,
    here: Place,
    *,
    image_bytes: float = 0.0,
) -> str:
    """Return the plan of a training as a line, or refuse one that will not fit.

    Parameters
    ----------
    model : LlavaModel
    sample : sequence of Row
        Conversations from all over the data; pieces are taken to be like them.
    config : StageConfig
    run : RunConfig
    here : Place
    image_bytes : float
        Of the patch features that are kept in main memory.

    Raises
    ------
    InputError
        With what it needs, what there is, and what would help.
    """
    lengths = [row.n_tokens for row in sample]
    per_row = sum(lengths) / len(lengths) if config.packing else max(lengths)
    tokens = round(per_row * -(-config.batch_size // here.world))
    tokens = min(tokens, run.tokens_per_piece or tokens)
    supervised_frac = sum(row.n_supervised for row in sample) / sum(lengths)
    on_gpu = here.device.type == "cuda"
    context = CONTEXT_BYTES if on_gpu else memory.held_bytes() + image_bytes + WORK_BYTES

    def plan(run: RunConfig, tokens: int = tokens, world: int = here.world) -> MemoryPlan:
        supervised = round(tokens * supervised_frac)
        return plan_memory(model, run, tokens=tokens, supervised=supervised, world=world, context=context)

    wanted, free = plan(run), free_bytes(here.device)
    if wanted.total <= free:
        return f"{wanted.told()}; {told_bytes(free)} are free"
    sharded = replace(run, precision="bf16", strategy="fsdp")
    again = replace(sharded, gradient_checkpointing=True)
    frugal = "bf16, fsdp and gradient checkpointing"
    ways = [
        ("gradient checkpointing", plan(replace(run, gradient_checkpointing=True))),
        ("bf16 and fsdp", plan(sharded)),
        (frugal, plan(again)),
        (f"{frugal} with tokens_per_piece={tokens // 4}", plan(again, tokens // 4)),
    ]
    ways += [
        (f"{frugal} over {n} devices", plan(again, tokens // 4, n)) for n in (2, 4, 8, 16) if n > here.world
    ]
    help_ = next((f"use {way} ({told_bytes(p.total)}), or " for way, p in ways if p.total <= free), "use ")
    raise InputError(f"{wanted.told()}; {told_bytes(free)} are free: {help_}LoRA")


def free_bytes(device: torch.device) -> float:
    """Return what this process may hold on a device."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    return memory.free_bytes()


def _count(module: nn.Module, *, learning: bool) -> int:
    return sum(p.numel() for p in module.parameters() if p.requires_grad == learning)
