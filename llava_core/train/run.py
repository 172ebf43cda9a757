"""Runs one stage: examples and a bundle in, a checkpoint out [edge].

A `StageConfig` says what is computed, a `RunConfig` how: on which devices, in what precision, cut into what
pieces. The number of processes and the cut of a batch change results by rounding only. A killed stage goes
on at the exact step; a finished one is kept: its checkpoint carries a hash of all that went into it, and a
call with the same inputs returns it at once.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path

import torch

from llava_core.checkpoint import LlavaBundle, save_checkpoint, verify_checkpoint
from llava_core.checkpoint.folder import MARKS
from llava_core.claims import claimed
from llava_core.data.conversation import Conversation
from llava_core.data.template import TEMPLATES
from llava_core.errors import InputError
from llava_core.folders import check_replaceable, clear_drafts
from llava_core.model.compiling import compile_decoder
from llava_core.model.llava import hf_names
from llava_core.model.packing import packed
from llava_core.model.projector import initialise, projector_settings
from llava_core.train.ahead import ahead
from llava_core.train.loop import Progress, Trace, make_optimizer, optimise, threads
from llava_core.train.lora import adapters
from llava_core.train.memory_plan import check_memory
from llava_core.train.order import MakeRows, batches_of, sample_rows
from llava_core.train.processes import Place, gather, join, spread
from llava_core.train.run_config import RunConfig
from llava_core.train.stage import Items, StageConfig, images_of, usable
from llava_core.train.state import load_state, n_others, remove_states, save_state, states_folder
from llava_core.train.step import Work, gradients_of, prepare
from llava_core.train.tracking import open_trackers
from llava_core.train.vision import BATCH_SIZE, Vision, kept_bytes, open_vision

RECIPE_VERSION = 2
"""Raised when the code changes what a stage computes, so that older checkpoints are not reused."""

ON_THIS_MACHINE = RunConfig()
"""One process, in float32."""

SAMPLE_IMAGES = 1024
"""Images whose features a fresh linear projector is scaled to."""


def run_stage(
    config: StageConfig,
    bundle: LlavaBundle,
    examples: Items,
    *,
    out: Path,
    seed: int,
    run: RunConfig = ON_THIS_MACHINE,
    n_threads: int | None = None,
    progress: Progress | None = None,
    tell: Callable[[str], None] | None = None,
) -> Path:
    """Train ``bundle`` in place and write it as a checkpoint.

    Parameters
    ----------
    config : StageConfig
    bundle : LlavaBundle
        Where training starts from. Left as it is where a checkpoint of the same inputs stands at ``out``
        already.
    examples : sequence of Example or Conversation, or ConversationFile
        Those that make no conversation in this stage are passed over; the checkpoint counts them.
    out : Path
        Folder of the checkpoint. States to go on from stand beside it, in ``NAME.training``, until it is
        written.
    seed : int
        Of the fresh projector, the batches and the option order.
    run : RunConfig
    n_threads : int, optional
        Threads of torch; all cores this process may use if not given.
    progress : callable, optional
        Called with steps done and steps in all.
    tell : callable, optional
        Called with a line that a person should see: the memory plan, the step it goes on from.

    Returns
    -------
    Path
        ``out``.

    Raises
    ------
    InputError
        If no example makes a conversation, an image cannot be read, or the device's memory is too small.
    """
    taken = usable(config, examples)
    if not taken:
        raise InputError(f"got no example that stage {config.name!r} can learn {config.tasks} from")
    check_replaceable(out, marks=MARKS)
    here = join(run.device, strategy=run.strategy)
    with threads(n_threads), claimed(out) if here.is_first else nullcontext():
        inputs = here.agree(inputs_hash(config, bundle, taken, seed=seed) if here.is_first else None)
        if here.agree(here.is_first and _is_finished(out, inputs)):
            if here.is_first:  # it may have been killed before its scratch files were removed
                remove_states(states_folder(out, inputs))
                clear_drafts(out)
            return out
        trace = _train(
            config,
            bundle,
            taken,
            out=out,
            seed=seed,
            run=run,
            here=here,
            inputs=inputs,
            progress=progress if here.is_first else None,
            tell=(tell if here.is_first else None) or (lambda _: None),
        )
        if here.is_first:
            meta = asdict(trace) | {
                "stage": asdict(config),
                "run": asdict(run) | {"vision_folder": None, "processes": here.world},
                "inputs": inputs,
                "seed": seed,
                "n_examples": len(taken),
                "n_passed_over": len(examples) - len(taken),
            }
            del meta["open_loss"]
            seen = bundle.seen_ids | {item.id for item in taken}
            trained = replace(bundle, meta=meta)
            if "llm" in config.trains:  # it is asked as it was trained
                trained = replace(trained, template=TEMPLATES[config.template], prompt=config.prompt)
            dtype = torch.bfloat16 if run.precision == "bf16" else torch.float32
            save_checkpoint(trained, out, stage=config.name, seen_ids=seen, dtype=dtype)
            remove_states(states_folder(out, inputs))
        here.wait()
    return out


def inputs_hash(config: StageConfig, bundle: LlavaBundle, examples: Items, *, seed: int) -> str:
    """Return a SHA-256 over all that decides the outcome: weights, configuration, examples, images, seed."""
    digest = hashlib.sha256()
    header = {
        "recipe_version": RECIPE_VERSION,
        "stage": asdict(config),
        "template": asdict(bundle.template),
        "seed": seed,
        "seen": sorted(bundle.seen_ids),
        "tokenizer": bundle.tokenizer.backend_tokenizer.to_str(),
        "vision": [bundle.model.vision_layer, bundle.model.keep_cls, bundle.image_processor.to_dict()],
    }
    if settings := projector_settings(bundle.model.projector):
        header["projector"] = settings
    digest.update(json.dumps(header, sort_keys=True, default=str).encode())
    for name, tensor in sorted(hf_names(bundle.model).items()):
        digest.update(f"{name} {tensor.dtype}".encode())
        digest.update(tensor.detach().contiguous().view(-1).view(torch.uint8).numpy().data)
    for item in examples:
        n_tokens = len(images_of(item)) * bundle.n_image_tokens
        if n_tokens >= config.max_tokens:
            raise InputError(
                f"got images of {n_tokens} tokens, allowed are fewer than max_tokens={config.max_tokens}: "
                "images are never cut",
                record=item.id,
            )
        if isinstance(item, Conversation):
            # Image files by name and size: there may be hundreds of thousands.
            told = [(str(image.resolve()), image.stat().st_size) for image in item.images]
            digest.update(json.dumps([item.id, [asdict(turn) for turn in item.turns], told]).encode())
            continue
        fields = (item.id, item.question, item.options, item.answer, item.hint, item.caption)
        digest.update(json.dumps(fields).encode())
        if item.image is not None:
            try:
                digest.update(item.image.read_bytes())
            except FileNotFoundError:
                raise InputError("no such image file", path=item.image, record=item.id) from None
    return digest.hexdigest()


def _train(
    config: StageConfig,
    bundle: LlavaBundle,
    examples: Items,
    *,
    out: Path,
    seed: int,
    run: RunConfig,
    here: Place,
    inputs: str,
    progress: Progress | None,
    tell: Callable[[str], None],
) -> Trace:
    model = bundle.model
    n_steps, batches = batches_of(config, bundle, examples, seed=seed)
    with ExitStack() as stack:
        model.llm.requires_grad_("llm" in config.trains)
        stack.enter_context(adapters(model.llm, config.lora, seed=seed, merge=here.is_first))
        model.projector.requires_grad_("projector" in config.trains)
        model.train()
        if run.gradient_checkpointing:
            model.llm.activation_checkpointing_enable({"use_reentrant": False})
            stack.callback(model.llm.activation_checkpointing_disable)
        if run.compile:
            compile_decoder(model.llm, checkpointing=run.gradient_checkpointing)
        stack.enter_context(packed(model.llm) if config.packing else nullcontext())
        sample = sample_rows(config, bundle, examples, seed=seed)
        images = list(dict.fromkeys(image for item in examples for image in images_of(item)))
        kept = kept_bytes(bundle, len(images), keeping=run.vision)
        tell(check_memory(model, sample, config, run, here, image_bytes=kept))
        vision = _open_vision(config, bundle, images, out=out, run=run, here=here, seed=seed, tell=tell)
        over = spread(model, here, strategy=run.strategy, precision=run.precision)
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizer = make_optimizer(parameters, config.optim, projector=model.projector.parameters())
        states = states_folder(out, inputs)
        before = load_state(states, model, optimizer, inputs=inputs)
        n_before = 0 if before is None else before.n_steps
        if before is not None:
            tell(f"goes on at step {n_before} of {n_steps}")
        elif n_others(states):
            tell(f"{states.parent} holds states of other data, settings or weights: begins anew")
        settings = {"stage": asdict(config), "run": asdict(run), "seed": seed}
        folder = out.with_name(f"{out.name}.logs")
        logs = open_trackers(run.trackers if here.is_first else (), folder, settings, stack)

        def after_step(trace: Trace) -> None:
            for log in logs:
                log(trace.n_steps, _measured(trace, optimizer))
            if trace.n_steps % run.save_every_steps == 0 and trace.n_steps < n_steps:
                save_state(states, model, optimizer, trace, inputs=inputs, keep=run.keep_states, here=here)

        def work() -> Iterator[Work]:
            todo: Iterator[MakeRows] = islice(batches, n_before, None)
            for step, make_rows in enumerate(todo, start=n_before):
                yield prepare(make_rows(), step, config, bundle, vision, run=run, here=here)

        trace = optimise(
            parameters,
            optimizer,
            stack.enter_context(ahead(work())),
            lambda work: gradients_of(work, config, bundle, over, vision, here=here, seed=seed),
            n_steps=n_steps,
            config=config.optim,
            progress=progress,
            before=before,
            after_step=after_step,
        )
        optimizer.zero_grad(set_to_none=True)
        gather(model, here)
        if here.is_first and not all(bool(weights.isfinite().all()) for weights in model.parameters()):
            raise InputError(
                "the last step left weights that are no numbers: the rate is too high", field="lr"
            )
    model.requires_grad_(False).eval()
    return trace


def _open_vision(
    config: StageConfig,
    bundle: LlavaBundle,
    images: Sequence[Path],
    *,
    out: Path,
    run: RunConfig,
    here: Place,
    seed: int,
    tell: Callable[[str], None],
) -> Vision:
    """Return the source of patch features; a fresh projector is scaled to a sample of them."""
    model = bundle.model
    model.vision_tower.to(here.device, torch.bfloat16 if run.precision == "bf16" else None)
    folder = run.vision_folder or out.with_name("vision_features")
    tenth = max(1, len(images) // 10)

    def progress(done: int, total: int) -> None:
        if done // tenth > (done - BATCH_SIZE) // tenth and total > 10 * BATCH_SIZE:
            tell(f"patch features of {done} of {total} images")

    vision = open_vision(bundle, images, keeping=run.vision, folder=folder, here=here, progress=progress)
    if config.new_projector and images:
        sample = vision.features(vision.fetch(images[:SAMPLE_IMAGES])).cpu()
        embeddings = model.llm.get_input_embeddings().weight
        initialise(model.projector, sample, embeddings, generator=torch.Generator().manual_seed(seed))
    return vision


def _measured(trace: Trace, optimizer: torch.optim.Optimizer) -> Mapping[str, float]:
    """Return what a tracker shows of a step."""
    last = trace.open_loss[-1] if trace.open_loss else trace.loss[-1][1]
    return {
        "loss": last,
        "lr": optimizer.param_groups[0]["lr"],
        "steps_per_s": trace.n_steps / trace.seconds,
    }


def _is_finished(out: Path, inputs: str) -> bool:
    """Whether a whole checkpoint of the same inputs stands at ``out``."""
    try:
        verify_checkpoint(out)
    except InputError:
        return False
    meta = json.loads((out / "training.json").read_text())
    return bool(meta.get("inputs") == inputs)
