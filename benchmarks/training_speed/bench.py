"""A stage's model on its device, and the time of one optimiser step in either way.

Ours goes through the engine's own parts: `deal` packs the batch, `gradients_of` runs it, `optimise` steps.
The straightforward way pads conversations in the order they come, runs the vision tower each time and
computes logits of all positions, in micro-batches whose losses add up to that of the batch; optimiser,
precision and spreading are the same. What a step reads is made ready before the clock starts, as the engine
does meanwhile in another thread.
"""

import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from training_speed.machine import forget_model, forget_peak, free_memory, peak_bytes, wait
from training_speed.two_ways import SIZES, Compiled, Size, TwoWays, build, set_checkpointing
from transformers import CLIPImageProcessorPil

from llava_core.checkpoint import LlavaBundle
from llava_core.data.collate import pad_batch
from llava_core.data.template import TEMPLATES
from llava_core.model.packing import packed
from llava_core.recipes import llava_v1
from llava_core.train.batches import Row
from llava_core.train.flops import Shape, align_step, finetune_step, shape_of
from llava_core.train.loop import make_optimizer, optimise
from llava_core.train.memory_plan import free_bytes, plan_memory
from llava_core.train.processes import Place, Precision, Spread, Strategy, join, spread, whole
from llava_core.train.run_config import RunConfig
from llava_core.train.stage import StageConfig
from llava_core.train.step import Work, gradients_of, prepare
from llava_core.train.tokenizer import train_tokenizer

N_IMAGES = 32
"""Different images; conversations take them in turn."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """How a way runs."""

    way: str
    """ours or straightforward."""
    piece: int
    """Most tokens at once, or conversations at once."""
    checkpointing: bool = False
    compiled: bool = False

    def __str__(self) -> str:
        unit = "tokens" if self.way == "ours" else "rows"
        also = [name for name in ("checkpointing", "compiled") if getattr(self, name)]
        return ", ".join([f"{self.way}, {self.piece} {unit}", *also])


@dataclass(frozen=True, kw_only=True, slots=True)
class Timing:
    """One step."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int | None
    """None where it was not counted from this step on."""
    loss: float
    n_rows: int
    n_tokens: int
    """Without padding."""
    padded_frac: float
    """Share of the tokens computed that are padding."""
    flops: int
    """That the step needs, nothing that is computed again."""


@dataclass(frozen=True, slots=True)
class FromMemory:
    """Pixels or features by image, as a `llava_core.train.vision.Vision`; pixels go through the tower."""

    bundle: LlavaBundle
    kept: dict[Path, Tensor]
    live: bool

    def fetch(self, images: Sequence[Path]) -> Tensor:
        """Return what is kept of the images."""
        return torch.stack([self.kept[image] for image in images])

    def features(self, fetched: Tensor) -> Tensor:
        """Return patch features on the model's device."""
        if self.live:
            return self.bundle.model.vision_features(fetched)
        return fetched.to(self.bundle.model.device, non_blocking=True)


class Bench:
    """One stage at one size on one device; the model can be made anew after memory ran out.

    Parameters
    ----------
    size : str
        In `SIZES`.
    stage : {"align", "finetune"}
    device : torch.device
    precision : {"fp32", "bf16"}, optional
        As the recipe has it on a GPU, float32 on a CPU, if not given.
    strategy : {"ddp", "fsdp"}, optional
        As the recipe has it on a GPU, ddp on a CPU, if not given.
    """

    def __init__(
        self,
        size: str,
        stage: str,
        *,
        device: torch.device,
        precision: Precision | None = None,
        strategy: Strategy | None = None,
    ) -> None:
        self.size: Size = SIZES[size]
        self.stage = stage
        recipe = llava_v1("7b")
        number = ("align", "finetune").index(stage)
        config: StageConfig = (recipe.align, recipe.finetune)[number]
        run: RunConfig = (recipe.align_run, recipe.finetune_run)[number]
        if self.size.batch_sizes is not None:
            config = replace(config, batch_size=self.size.batch_sizes[number])
        if device.type != "cuda":
            run = replace(run, precision="fp32", strategy="ddp")
        self.config = config
        self.run = replace(
            run, device=str(device), precision=precision or run.precision, strategy=strategy or run.strategy
        )
        self.here: Place = join(str(device), strategy=self.run.strategy)
        self.n_layers = self._depth_that_fits()
        self.rebuild()

    def rebuild(self) -> None:
        """Make model, features and optimizer, in place of any there were."""
        self.model = self.over = self.optimizer = self.bundle = None  # type: ignore[assignment]
        forget_model(self.here.device)
        model = build(
            self.size,
            self.stage,
            device=self.here.device,
            precision=self.run.precision,
            n_layers=self.n_layers,
        )
        self.model: TwoWays = model
        self.shape: Shape = shape_of(model)
        self.bundle = LlavaBundle(
            model=model,
            tokenizer=train_tokenizer([""], vocab_size=260),  # ids are drawn; it names that of padding
            image_processor=CLIPImageProcessorPil(),
            template=TEMPLATES[self.config.template],
        )
        side = self.size.image_size
        noise = torch.Generator().manual_seed(0)
        self.pixels = {
            Path(str(number)): torch.randn(3, side, side, generator=noise) for number in range(N_IMAGES)
        }
        live = self.run.vision == "live"
        features = {
            image: model.vision_features(pixels[None])[0].cpu() for image, pixels in self.pixels.items()
        }
        self.vision = FromMemory(self.bundle, self.pixels if live else features, live)
        self.compiled = Compiled(model.llm)
        self.over: Spread = spread(model, self.here, strategy=self.run.strategy, precision=self.run.precision)
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.optimizer = make_optimizer(self.parameters, self.config.optim)

    def loss_and_gradients(self, setting: Setting, rows: Sequence[Row]) -> tuple[float, list[Tensor]]:
        """Return the loss of a batch and the gradients of what learns, without a step."""
        self.optimizer.zero_grad(set_to_none=True)
        with self._set(setting):
            loss = float(self._gradients(setting, self._ready(setting, rows)))
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        return loss, [whole(gradient).float() for gradient in gradients]

    def time_step(self, setting: Setting, rows: Sequence[Row], *, fresh: bool = False) -> Timing:
        """Do one optimiser step over a batch.

        Parameters
        ----------
        setting : Setting
        rows : sequence of Row
        fresh : bool
            Give back what is not in use before the step, which makes it slower: a CPU's peak can only be
            counted so. A GPU's always is.
        """
        device = self.here.device
        with self._set(setting):
            ready = self._ready(setting, rows)
            self.optimizer.zero_grad(set_to_none=True)
            if fresh:
                free_memory(device)
            forget_peak(device)
            wait(device)
            started, cpu_started = time.perf_counter(), time.process_time()
            trace = optimise(
                self.parameters,
                self.optimizer,
                [ready],
                lambda work: self._gradients(setting, work),
                n_steps=1,
                config=self.config.optim,
            )
            wait(device)
            seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
        n_tokens = sum(row.n_tokens for row in rows)
        return Timing(
            seconds=seconds,
            cpu_seconds=cpu_seconds,
            peak_bytes=peak_bytes(device) if fresh or device.type == "cuda" else None,
            loss=trace.loss[-1][1],
            n_rows=len(rows),
            n_tokens=n_tokens,
            padded_frac=1 - n_tokens / _computed(ready),
            flops=sum(self.flops(setting.way, row) for row in rows),
        )

    def flops(self, way: str, row: Row) -> int:
        """Return what a conversation needs; the tower where the way runs it."""
        count = align_step if self.stage == "align" else finetune_step
        live = way != "ours" or self.vision.live
        return count(self.shape, row.n_tokens, row.n_supervised, n_images=len(row.images), live=live)

    def _set(self, setting: Setting) -> Any:
        set_checkpointing(self.model, setting.checkpointing)
        self.compiled(setting.compiled, checkpointing=setting.checkpointing)
        return packed(self.model.llm) if setting.way == "ours" else nullcontext()

    def _ready(self, setting: Setting, rows: Sequence[Row]) -> Any:
        if setting.way == "ours":
            run = replace(self.run, tokens_per_piece=setting.piece)
            return prepare(rows, 0, self.config, self.bundle, self.vision, run=run, here=self.here)
        batches = [rows[start : start + setting.piece] for start in range(0, len(rows), setting.piece)]
        n_supervised = sum(row.n_supervised for row in rows)
        return [
            (
                pad_batch([row.encoded for row in batch], self.bundle.pad_token_id),
                torch.stack([self.pixels[image] for row in batch for image in row.images]),
                n_supervised,
            )
            for batch in batches
        ]

    def _gradients(self, setting: Setting, ready: Any) -> Tensor:
        if setting.way == "ours":
            return gradients_of(
                ready, self.config, self.bundle, self.over, self.vision, here=self.here, seed=0
            )
        device = self.here.device
        dtype = next(self.model.vision_tower.parameters()).dtype
        total = torch.zeros((), device=device)
        for left, ((ids, mask, labels), pixels, n_supervised) in zip(
            reversed(range(len(ready))), ready, strict=True
        ):
            with self.over.holding_back(left > 0):
                with self.over.arithmetic():
                    loss = self.over.run(
                        input_ids=ids.to(device),
                        attention_mask=mask.to(device),
                        labels=labels.to(device),
                        pixel_values=pixels.to(device, dtype),
                        num_items_in_batch=n_supervised,
                    ).loss
                loss.backward()
            total += loss.detach()
        return total

    def _depth_that_fits(self) -> int:
        """Return the most decoder layers, of the width, that can be trained with pieces as the recipe has."""
        if self.here.device.type != "cuda":
            return self.size.n_layers
        free_memory(self.here.device)
        free = free_bytes(self.here.device)
        for n_layers in range(self.size.n_layers, 0, -1):
            model = build(
                self.size, self.stage, device=torch.device("meta"), precision="bf16", n_layers=n_layers
            )
            tokens = self.run.tokens_per_piece or 4096
            plan = plan_memory(model, self.run, tokens=tokens, supervised=tokens // 3, world=1, context=0.0)
            if plan.total <= free:
                return n_layers
        raise SystemExit(f"not one decoder layer of this width fits into {free / 1e9:.1f} GB")


def _computed(ready: Any) -> int:
    """Return the tokens that are computed, padding included."""
    if isinstance(ready, list):
        return sum(ids.numel() for (ids, _, _), _, _ in ready)
    assert isinstance(ready, Work)
    return sum(piece.input_ids.numel() for piece in ready.step.pieces)
