"""The processes and devices of a training, and how a model is spread over them [edge].

torch's own parts: ``torchrun`` starts one process per device; DDP gives each the whole model, FSDP2
(``fully_shard``) a share of every weight, gradient and moment. In ``bf16`` what learns keeps float32 weights
and moments, and matrices are multiplied in bfloat16: by autocast under DDP, by FSDP's own policy under FSDP
(also with one process, which spares autocast's copies of all weights). Frozen weights are stored in bfloat16.
"""

import atexit
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from llava_core.errors import InputError
from llava_core.model.llava import LlavaModel

if TYPE_CHECKING:
    from torch.distributed.fsdp import FSDPModule

Precision = Literal["fp32", "bf16"]
Strategy = Literal["ddp", "fsdp"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where one process of a training runs."""

    rank: int
    world: int
    """Processes in all."""
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and reports."""
        return self.rank == 0

    def total(self, value: Tensor) -> Tensor:
        """Return the sum of a scalar over all processes."""
        if self.world > 1:
            dist.all_reduce(value)
        return value

    def wait(self) -> None:
        """Go on when all processes have come here."""
        if self.world > 1:
            dist.barrier()

    def agree(self, value: Any) -> Any:
        """Return the first process's value on all of them."""
        if self.world == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]


def launched() -> tuple[int, int, int]:
    """Return rank, processes in all and rank on this machine, as ``torchrun`` sets them; else 0, 1, 0."""
    rank, world, local = (os.environ.get(name) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    return int(rank or 0), int(world or 1), int(local or 0)


def choose_device(name: str, *, local_rank: int = 0) -> torch.device:
    """Return the device of a name; ``auto`` is the GPU of this process where there is one.

    Raises
    ------
    InputError
        If there is no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda":
        name = f"cuda:{local_rank}"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"got {name!r}, allowed are auto, cpu, cuda, cuda:0 ...", field="device") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(f"got {name!r}, this machine has {torch.cuda.device_count()} GPUs", field="device")
    return device


def join(device: str, *, strategy: Strategy) -> Place:
    """Return where this process runs, joined to the others.

    A process group, where one is needed, is made once and lasts until the process ends: stages follow one
    another in it.
    """
    rank, world, local = launched()
    chosen = choose_device(device, local_rank=local)
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    if (world > 1 or strategy == "fsdp") and not dist.is_initialized():
        backend = "cpu:gloo,cuda:nccl" if chosen.type == "cuda" else "gloo"
        store = None if world > 1 else dist.HashStore()  # type: ignore[attr-defined]
        # The first process may write a checkpoint of tens of gigabytes while the others wait.
        dist.init_process_group(backend, store=store, rank=rank, world_size=world, timeout=timedelta(hours=2))
        atexit.register(dist.destroy_process_group)
    return Place(rank=rank, world=world, device=chosen)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Spread:
    """A model spread over the processes."""

    run: nn.Module
    """What is called; returns what `LlavaModel.forward` does."""
    precision: Precision
    strategy: Strategy
    device: torch.device

    def arithmetic(self) -> AbstractContextManager[Any]:
        """Return the context of a forward pass."""
        cast_here = self.precision == "bf16" and self.strategy == "ddp"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=cast_here)

    @contextmanager
    def holding_back(self, held: bool) -> Iterator[None]:
        """Keep gradients in this process for now: there are more pieces of the batch to come."""
        if self.strategy == "fsdp":
            cast("FSDPModule", self.run).set_requires_gradient_sync(not held)
            yield
        else:
            quiet = held and isinstance(self.run, nn.parallel.DistributedDataParallel)
            with cast("nn.parallel.DistributedDataParallel", self.run).no_sync() if quiet else nullcontext():
                yield


def spread(model: LlavaModel, here: Place, *, strategy: Strategy, precision: Precision) -> Spread:
    """Move a model to its device and spread it; which weights learn must be decided already."""
    if strategy == "ddp":
        _settle(model, here.device, precision)
    else:
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

        mesh = init_device_mesh(here.device.type, (here.world,))
        policy = (
            MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
            if precision == "bf16"
            else MixedPrecisionPolicy()
        )
        # Layer by layer, so that no device ever holds all weights in float32.
        for layer in model.llm.model.layers:
            _settle(layer, here.device, precision)
            fully_shard(layer, mesh=mesh, mp_policy=policy)
        for name, child in model.named_children():
            if name != "llm":
                _settle(child, here.device, precision)
        for name, child in [*model.llm.named_children(), *model.llm.model.named_children()]:
            if name not in ("model", "layers"):
                _settle(child, here.device, precision)
        # The tower does not run inside the forward pass: it stays whole.
        tower = set(model.vision_tower.parameters())
        fully_shard(model, mesh=mesh, mp_policy=policy, ignored_params=tower)
        return Spread(run=model, precision=precision, strategy=strategy, device=here.device)
    run: nn.Module = model
    if here.world > 1:
        ids = [here.device] if here.device.type == "cuda" else None
        run = nn.parallel.DistributedDataParallel(model, device_ids=ids)
    return Spread(run=run, precision=precision, strategy=strategy, device=here.device)


def _settle(module: nn.Module, device: torch.device, precision: Precision) -> None:
    """Move a module to its device; in bf16, what learns becomes float32 and the rest bfloat16."""
    if precision == "bf16":
        for parameter in module.parameters():
            parameter.data = parameter.data.to(torch.float32 if parameter.requires_grad else torch.bfloat16)
    module.to(device)


def whole(tensor: Tensor) -> Tensor:
    """Return a tensor on the CPU with the shares of all processes; all of them must call this."""
    return (tensor.full_tensor() if isinstance(tensor, DTensor) else tensor).detach().cpu()


def set_whole(target: Tensor, value: Tensor) -> None:
    """Copy a whole tensor into one that may be this process's share."""
    with torch.no_grad():
        if isinstance(target, DTensor):
            from torch.distributed.tensor import distribute_tensor

            moved = value.to(target.device, target.dtype)
            target.copy_(distribute_tensor(moved, target.device_mesh, target.placements))
        else:
            target.copy_(value)


def gather(model: LlavaModel, here: Place) -> None:
    """Put whole weights on the CPU in place of the shares, in the first process only."""
    gathered: dict[int, nn.Parameter | None] = {}  # tied weights stay one
    for module in model.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            if id(parameter) not in gathered:
                full = whole(parameter)
                kept = nn.Parameter(full, parameter.requires_grad) if here.is_first else None
                gathered[id(parameter)] = kept
            if here.is_first:
                setattr(module, name, gathered[id(parameter)])
