"""The state of a training on disk, from which it goes on at the exact step [edge].

Beside the checkpoint that a stage will write stands a folder of states, apart for each hash of its inputs,
``NAME.training/1f0c9a2be771/step-00000500``::

    weights-00000.safetensors ...  what learns: weights and both moments of AdamW, in float32
    state.json                     step, loss curve, hash of the inputs; written last

A state holds whole tensors, so that a training may go on with another number of processes. No pickle. Frozen
weights are not part of it: they come from the checkpoint that the stage started from.
"""

import json
import shutil
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from llava_core.data.json_file import check_is_file, read_json_object
from llava_core.errors import InputError
from llava_core.folders import whole_folder
from llava_core.train.loop import Trace
from llava_core.train.processes import Place, set_whole, whole

SHARD_BYTES = 2 << 30
MOMENTS = ("exp_avg", "exp_avg_sq", "step")


def states_folder(out: Path, inputs: str) -> Path:
    """Return where the states of the stage that writes ``out`` stand, apart for each hash of its inputs."""
    return out.with_name(f"{out.name}.training") / inputs[:12]


def remove_states(folder: Path) -> None:
    """Remove the states of a finished stage; those of other inputs stay."""
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        folder.parent.rmdir()


def n_others(folder: Path) -> int:
    """Return how many states of other inputs stand beside these."""
    return sum(path.parent.parent != folder for path in folder.parent.glob("*/step-*/state.json"))


def save_state(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    trace: Trace,
    *,
    inputs: str,
    keep: int,
    here: Place,
) -> None:
    """Write the state after a step and remove all but the newest ``keep``; every process must call this."""
    gathered = ((name, whole(tensor).contiguous()) for name, tensor in _tensors(model, optimizer))
    if here.is_first:
        with whole_folder(folder / f"step-{trace.n_steps:08d}") as draft:
            for number, shard in enumerate(_shards(gathered)):
                save_file(shard, draft / f"weights-{number:05d}.safetensors")
            about = {"inputs": inputs, "trace": asdict(trace)}
            (draft / "state.json").write_text(json.dumps(about) + "\n")
        for old in _states(folder)[:-keep]:
            shutil.rmtree(old)
    else:
        deque(gathered, maxlen=0)
    here.wait()


def load_state(
    folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, *, inputs: str
) -> Trace | None:
    """Bring model and optimizer to the newest state of the same inputs; None where there is none.

    Parameters
    ----------
    folder : Path
        From `states_folder`.
    model : Module
        Spread over the processes already.
    optimizer : Optimizer
    inputs : str
        Hash of all that decides the outcome; states of other inputs are passed over.

    Returns
    -------
    Trace or None
        What was reported up to that step.

    Raises
    ------
    InputError
        If a state is broken, or its weights are not those of the model.
    """
    for path in reversed(_states(folder)):
        about = read_json_object(path / "state.json")
        if about.get("inputs") != inputs:
            continue
        with _reading(path):
            return _loaded(path, model, optimizer, about)
    return None


def _loaded(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, about: Mapping[str, Any]
) -> Trace:
    with ExitStack() as stack:
        # Read tensor by tensor: every process does this, and none needs all of it at once.
        places = sorted(path.glob("weights-*.safetensors"))
        for place in places:
            check_is_file(place)
        files = [stack.enter_context(safe_open(place, framework="pt")) for place in places]
        stored = {name: file for file in files for name in file.keys()}  # noqa: SIM118 - no mapping
        _make_moments(optimizer)
        for name, tensor in list(_tensors(model, optimizer)):
            if name in stored:
                set_whole(tensor, stored[name].get_tensor(name))
            elif "|" not in name:
                raise InputError(f"is no whole state of this training: lacks the weights {name}", path=path)
    for name, parameter in model.named_parameters():
        # What had no gradient up to then, a projector before the first image, has no moments.
        if parameter in optimizer.state and f"{name}|step" not in stored:
            del optimizer.state[parameter]
    told = about["trace"]
    loss = tuple((int(step), float(value)) for step, value in told["loss"])
    return Trace(**(told | {"loss": loss, "open_loss": tuple(map(float, told["open_loss"]))}))


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except (SafetensorError, KeyError, TypeError, ValueError, AttributeError, RuntimeError, OSError) as error:
        raise InputError(
            f"is no whole state of this training; remove it and go on ({error})", path=path
        ) from None


def _states(folder: Path) -> list[Path]:
    """Whole states, oldest first."""
    return sorted(path.parent for path in folder.glob("step-*/state.json"))


def _shards(tensors: Iterable[tuple[str, Tensor]]) -> Iterator[dict[str, Tensor]]:
    """Yield tensors in groups, each closed once it has `SHARD_BYTES`; one group at least."""
    shard: dict[str, Tensor] = {}
    for name, tensor in tensors:
        shard[name] = tensor
        if sum(part.nbytes for part in shard.values()) >= SHARD_BYTES:
            yield shard
            shard = {}
    yield shard


def _tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[tuple[str, Tensor]]:
    """Yield what learns and its moments, in the same order in every process."""
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            yield name, parameter
            moments: Mapping[str, Tensor] = optimizer.state.get(parameter, {})
            for moment in MOMENTS:
                if moment in moments:
                    yield f"{name}|{moment}", moments[moment]


def _make_moments(optimizer: torch.optim.Optimizer) -> None:
    """Let the optimizer make its moments, by a step that changes nothing."""
    rates = [group["lr"] for group in optimizer.param_groups]
    for group in optimizer.param_groups:
        group["lr"] = 0.0
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
