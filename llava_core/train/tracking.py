"""The course of a training for TensorBoard and Weights & Biases, through their own libraries [edge]."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

from llava_core.errors import InputError

Tracker = Literal["tensorboard", "wandb"]
Log = Callable[[int, Mapping[str, float]], None]
"""Called with a step and what was measured there."""


def open_trackers(
    names: tuple[Tracker, ...], folder: Path, config: Mapping[str, Any], stack: ExitStack
) -> list[Log]:
    """Return a log per tracker; they are closed with ``stack``.

    Parameters
    ----------
    names : tuple of {"tensorboard", "wandb"}
    folder : Path
        TensorBoard's event files and W&B's own folder go here. W&B takes project, entity and mode from its
        environment variables.
    config : mapping
        What the run is, for the tracker's own table.
    stack : ExitStack

    Raises
    ------
    InputError
        If a tracker's package is not installed.
    """
    return [TRACKERS[name](folder, config, stack) for name in names]


def _tensorboard(folder: Path, config: Mapping[str, Any], stack: ExitStack) -> Log:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise InputError("got tensorboard, which is not installed: pip install tensorboard") from None
    writer = stack.enter_context(SummaryWriter(str(folder)))
    writer.add_text("config", "  \n".join(f"{name}: {value}" for name, value in config.items()))

    def log(step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            writer.add_scalar(name, value, step)

    return log


def _wandb(folder: Path, config: Mapping[str, Any], stack: ExitStack) -> Log:
    try:
        import wandb
    except ImportError:
        raise InputError("got wandb, which is not installed: pip install wandb") from None
    folder.mkdir(parents=True, exist_ok=True)
    run = stack.enter_context(wandb.init(dir=str(folder), config=dict(config)))
    return lambda step, values: run.log(dict(values), step=step)


TRACKERS: Mapping[str, Callable[[Path, Mapping[str, Any], ExitStack], Log]] = {
    "tensorboard": _tensorboard,
    "wandb": _wandb,
}
