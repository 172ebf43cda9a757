"""How a stage runs: on which devices, in what precision, cut into what pieces.

Nothing here changes what is computed, beyond rounding; that is `llava_core.train.stage.StageConfig`'s.
"""

from dataclasses import dataclass
from pathlib import Path

from llava_core.train.processes import Precision, Strategy
from llava_core.train.tracking import Tracker
from llava_core.train.vision import Keeping


@dataclass(frozen=True, kw_only=True, slots=True)
class RunConfig:
    """How a stage runs."""

    device: str = "auto"
    """auto, cpu, cuda or cuda:N; with ``torchrun``, each process takes the GPU of its local rank."""
    precision: Precision = "fp32"
    """bf16: what learns keeps float32 weights and moments, matrices are multiplied in bfloat16."""
    strategy: Strategy = "ddp"
    """fsdp: weights, gradients and moments are shared out over the processes."""
    tokens_per_piece: int | None = None
    """Most tokens that a device computes at once, padding included; None for a whole batch."""
    gradient_checkpointing: bool = False
    """Keep only each layer's input for the backward pass, and compute the layer again there."""
    compile: bool = False
    """Compile the decoder's layers with torch.compile."""
    vision: Keeping = "memory"
    """Where patch features are kept: memory, disk (0.5 MB per image at full size), or nowhere: live."""
    vision_folder: Path | None = None
    """Folder of features on disk; beside the checkpoint if not given."""
    save_every_steps: int = 500
    """Steps between two states from which a killed stage goes on."""
    keep_states: int = 2
    """States that are kept while the stage runs."""
    trackers: tuple[Tracker, ...] = ()
    """tensorboard, wandb."""

    def __post_init__(self) -> None:
        allowed: dict[str, tuple[str, ...]] = {
            "precision": ("fp32", "bf16"),
            "strategy": ("ddp", "fsdp"),
            "vision": ("memory", "disk", "live"),
        }
        for name, values in allowed.items():
            if getattr(self, name) not in values:
                raise ValueError(f"got {name}={getattr(self, name)!r}, allowed are {', '.join(values)}")
        if self.tokens_per_piece is not None and self.tokens_per_piece < 1:
            raise ValueError(f"got tokens_per_piece={self.tokens_per_piece}, allowed 1 or more, or none")
        if not set(self.trackers) <= {"tensorboard", "wandb"}:
            raise ValueError(f"got trackers={self.trackers}, allowed are tensorboard, wandb")
        if self.save_every_steps < 1 or self.keep_states < 1:
            raise ValueError(
                f"got save_every_steps={self.save_every_steps}, keep_states={self.keep_states}, "
                "allowed 1 or more"
            )
