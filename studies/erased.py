"""LLaVA's own answers with a concept erased from what it sees: a door to torch [edge].

An eraser (LEACE) is fitted on the image tokens of training questions, each token labelled with its image's
concept, and laid over the projector, so that the language model reads or looks at erased image tokens only.
Options are scored as LLaVA scores them, with the concept erased, and, as control, with a random subspace of
equal rank removed: what an answer loses by the concept is what it loses more than by that.

Tokens of all places in an image share one eraser. A concept of k classes takes up to k - 1 directions: where
tokens vary in hardly more than that, erased and random alike leave no image to speak of. Left out: erasing
within the layers of the language model, which may tell the concept from what is not linear in the tokens.

References
----------
Elazar, Y. et al. (2021). Amnesic probing: Behavioral explanation with amnesic counterfactuals. TACL 9.
Belrose, N. et al. (2023). LEACE: Perfect linear concept erasure in closed form. NeurIPS.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from llava_core.data.example import Example
from llava_core.errors import InputError
from studies.files import write_parquet
from studies.pipeline import Checkpoints, digest_ids, llava_place, variant_rows
from studies.probing import Eraser, Moments, fit_leace_moments, random_eraser_moments
from studies.progress import Progress, Tick
from studies.rundir import Facts, RunDir, digest
from studies.spec.base import StudySpec

if TYPE_CHECKING:
    from torch import Tensor, nn

    from llava_core.checkpoint import LlavaBundle

WHOLE, ERASED, RANDOM = "whole", "erased", "random"
BATCH_SIZE = 32
"""Images whose tokens are in memory at once, in double precision."""


def score_erased(
    spec: StudySpec,
    run: RunDir,
    checkpoints: Checkpoints,
    examples: Sequence[Example],
    *,
    concept: str,
    fit_on: Sequence[Example],
    labels: Mapping[str, str],
    fingerprint: str,
    progress: Progress,
) -> pd.DataFrame:
    """Return LLaVA's option likelihoods as it is, without a concept, and without as much that is random.

    Parameters
    ----------
    spec : StudySpec
    run : RunDir
    checkpoints : Checkpoints
        The one of stage 2 answers.
    examples : sequence of Example
        Questions to answer; each shows an image.
    concept : str
        What ``labels`` tell; names the step and its file.
    fit_on : sequence of Example
        Training questions, of other families than ``examples``; each shows an image.
    labels : mapping of str to str
        Id of each training question to the label of its image. An image that several questions show counts
        once for each.
    fingerprint : str
        Of the data set.
    progress : Progress

    Returns
    -------
    DataFrame
        ``variant example_id option_index mean_logprob``; variants ``whole``, ``erased``, ``random``.

    Raises
    ------
    InputError
        If all labels are equal.
    ValueError
        If a question shows no image, or a training question has no label.
    """
    blind = [example.id for example in (*examples, *fit_on) if example.image is None]
    if blind:
        raise ValueError(f"got {len(blind)} questions without image, first {blind[0]}; each needs one")
    unknown = [example.id for example in fit_on if example.id not in labels]
    if unknown:
        raise ValueError(f"got no label of {len(unknown)} training questions, first {unknown[0]}")
    told = [labels[example.id] for example in fit_on]
    if len(set(told)) < 2:
        raise InputError(
            f"got {', '.join(sorted(set(told))) or 'no label'} for all {len(told)} training images, "
            "allowed are two labels or more: of one there is nothing to erase",
            field=concept,
        )
    name = re.sub(r"[^\w-]", "_", concept)
    file = f"steps/erased_{name}.parquet"

    def score() -> Facts:
        from llava_core.checkpoint import load_checkpoint
        from llava_core.inference.logprob import option_logprobs

        device, dtype = llava_place(spec)
        bundle = load_checkpoint(checkpoints.paths["finetune"], device=device, dtype=dtype)
        moments = token_moments(bundle, fit_on, told, tick=progress.stage(f"image tokens: {concept}"))
        eraser = fit_leace_moments(moments)
        erasers = {
            WHOLE: None,
            ERASED: eraser,
            RANDOM: random_eraser_moments(moments, rank=eraser.rank, seed=spec.seed),
        }
        tables = []
        for variant, each in erasers.items():
            tick = progress.stage(f"LLaVA, {concept}: {variant}")
            with laid_over(bundle.model.projector, each):
                found = option_logprobs(bundle, examples, progress=tick)
            tables.append(variant_rows(variant, examples, found))
        write_parquet(run.path / file, pd.concat(tables, ignore_index=True))
        return {"rank": eraser.rank, "n_classes": len(set(told)), "n_tokens": moments.n_rows}

    run.step(
        f"erased.{name}",
        inputs={
            "data": fingerprint,
            "ids": digest_ids(examples),
            "concept": concept,
            "fit_on": digest({"ids": [example.id for example in fit_on], "labels": told}),
            "checkpoints": checkpoints.hashes,
            "dtype": spec.llava_dtype,
            "seed": spec.seed,
        },
        outputs=[file],
        do=score,
    )
    return pd.read_parquet(run.path / file)


def token_moments(
    bundle: "LlavaBundle", examples: Sequence[Example], labels: Sequence[str], *, tick: Tick
) -> Moments:
    """Return the moments of the image tokens of questions, each token labelled as its question is.

    Parameters
    ----------
    bundle : LlavaBundle
    examples : sequence of Example
        Each shows an image.
    labels : sequence of str
        One of each example.
    tick : callable
        Called with (images done, images in all).

    Raises
    ------
    InputError
        If an image cannot be read.
    """
    import torch

    from llava_core.data.pixels import PixelReader, pixel_batches

    model, dim = bundle.model, int(bundle.model.llm.config.hidden_size)
    names, classes = np.unique(np.asarray(labels), return_inverse=True)
    moments = Moments(dim=dim, n_classes=len(names))
    paths = [example.image for example in examples if example.image is not None]
    batches = [paths[start : start + BATCH_SIZE] for start in range(0, len(paths), BATCH_SIZE)]
    n_done = 0
    with torch.inference_mode():
        for pixels in pixel_batches(batches, PixelReader(bundle.image_processor), device=model.device):
            tokens = model.project(model.vision_features(pixels)).float().cpu().numpy()
            of_images = classes[n_done : n_done + len(tokens)]
            moments.add(tokens.reshape(-1, dim), np.repeat(of_images, tokens.shape[1]))
            n_done += len(tokens)
            tick(n_done, len(paths))
    return moments


@contextmanager
def laid_over(projector: "nn.Module", eraser: Eraser | None) -> Iterator[None]:
    """Let a projector give erased image tokens for a while; of no eraser, what it gives.

    Of every kind of projector: what it returns is what the language model reads in place of image tokens,
    or, with gated cross-attention, looks at.
    """
    if eraser is None:
        yield
        return
    import torch

    parts = [torch.from_numpy(part).float() for part in (eraser.mean, eraser.onto.T, eraser.back.T)]

    def erase(_module: "nn.Module", _inputs: Any, output: "Tensor") -> "Tensor":
        mean, onto, back = (part.to(output.device) for part in parts)
        tokens = output.float()
        return (tokens - (tokens - mean) @ onto @ back).to(output.dtype)

    hook = projector.register_forward_hook(erase)
    try:
        yield
    finally:
        hook.remove()
