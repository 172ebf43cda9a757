"""Log-likelihoods of the options of a question.

The prompt (system message, image, question, listed options) runs once per question; its keys and values are
then shared by all options. What is scored is what training would supervise of the option as an answer: its
text and the stop token after it, so that an option that begins like another is not favoured for being
shorter. Natural logarithms; `mean` divides by the number of scored tokens, which is the length normalisation
that answers are chosen by.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import DynamicCache

from llava_core.checkpoint import LlavaBundle
from llava_core.data.example import Example
from llava_core.data.images import blank_pixels, load_pixels
from llava_core.inference.asking import (
    BATCH_SIZE,
    Asked,
    Vision,
    ask,
    left_padded,
    question_batches,
    run_batches,
)
from llava_core.model.cross_attention import SIGHT


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class OptionLogprobs:
    """Scores of one question's options, each (n_options,)."""

    sum: NDArray[np.float32]
    """Natural log of the probability of the option's tokens and the stop token."""
    mean: NDArray[np.float32]
    """The same per token."""
    n_tokens: NDArray[np.int64]
    """Scored tokens, the stop token included."""
    hidden: NDArray[np.float32] | None = None
    """(n_options, n_layers, dim_llm): hidden states at the option's last token, where asked for."""


def option_logprobs(
    bundle: LlavaBundle,
    examples: Sequence[Example],
    *,
    batch_size: int = BATCH_SIZE,
    blank_image: bool = False,
    layers: Sequence[int] = (),
    begun: Sequence[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[OptionLogprobs]:
    """Score every option of every example.

    Parameters
    ----------
    bundle : LlavaBundle
    examples : sequence of Example
        An example whose image file is missing is asked without an image.
    batch_size : int
        Questions per batch at most; the scores do not depend on it (but for rounding).
    blank_image : bool
        Show a white image in place of each image.
    layers : sequence of int
        Hidden states to return; 0 is the embeddings, -1 the last layer's output.
    begun : sequence of str, optional
        What the assistant has said already to each example; nothing if not given.
    progress : callable, optional
        Called with (examples done, examples in all).

    Returns
    -------
    list of OptionLogprobs
        In the order of ``examples``.

    Raises
    ------
    InputError
        If an image cannot be read, or a question is longer than the language model's span.
    """
    said = [""] * len(examples) if begun is None else begun
    asked = [ask(bundle, example, begun=words) for example, words in zip(examples, said, strict=True)]
    vision = blank_vision(bundle) if blank_image else file_vision(bundle)
    found: dict[int, OptionLogprobs] = {}

    def run(rows: Sequence[int]) -> None:
        images = [image for row in rows if (image := examples[row].image) is not None]
        scores = score_batch(bundle, [asked[row] for row in rows], images, vision=vision, layers=layers)
        found.update(zip(rows, scores, strict=True))

    def tell(n_done: int) -> None:
        if progress is not None:
            progress(n_done, len(examples))

    run_batches(question_batches(bundle, asked, batch_size=batch_size), run, progress=tell)
    return [found[row] for row in range(len(examples))]


def file_vision(bundle: LlavaBundle) -> Vision:
    """Return the source of patch features that decodes the files and runs the tower."""
    return lambda images: bundle.model.vision_features(load_pixels(images, bundle.image_processor))


def blank_vision(bundle: LlavaBundle) -> Vision:
    """Return the source of patch features of a white image, whatever the file."""
    white = bundle.model.vision_features(blank_pixels(1, bundle.image_processor))
    return lambda images: white.expand(len(images), -1, -1)


@torch.inference_mode()
def score_batch(
    bundle: LlavaBundle,
    asked: Sequence[Asked],
    images: Sequence[Path],
    *,
    vision: Vision,
    layers: Sequence[int],
) -> list[OptionLogprobs]:
    """Score the options of one batch of questions.

    Parameters
    ----------
    bundle : LlavaBundle
    asked : sequence of Asked
    images : sequence of Path
        Image files of the questions that have one, in their order.
    vision : callable
        Gives their patch features.
    layers : sequence of int
        As for `option_logprobs`.
    """
    model, device = bundle.model, bundle.model.device
    ids, mask = (part.to(device) for part in left_padded([a.prompt_ids for a in asked], bundle.pad_token_id))
    sizes = [len(question.option_ids) for question in asked]
    options = [option for question in asked for option in question.option_ids]
    owner = torch.repeat_interleave(torch.arange(len(asked)), torch.tensor(sizes)).to(device)
    option_ids, option_mask = (part.to(device) for part in _right_padded(options, bundle.pad_token_id))
    lengths = option_mask.sum(1)
    at = torch.arange(len(options), device=device)
    # Of a single token nothing is read: its state is the prompt's last.
    from_prompt = bool(layers) and min(map(len, options)) == 1

    cache = DynamicCache()
    shown = model.inputs(ids, vision(images) if images else None, attention_mask=mask)
    prompt = model.llm.model(
        **shown,
        attention_mask=mask,
        position_ids=(mask.cumsum(1) - 1).clamp(min=0),
        cache=cache,
        use_cache=True,
        output_hidden_states=from_prompt,
    )
    cache.batch_select_indices(owner)
    # An option's last token, as a rule the stop token, is predicted and never read.
    read = option_mask.clone()
    read[at, lengths - 1] = 0
    still = {SIGHT: shown[SIGHT].continued(option_ids.shape[1], owner)} if SIGHT in shown else {}
    output = model.llm.model(
        inputs_embeds=model.llm.get_input_embeddings()(option_ids),
        attention_mask=torch.cat([mask[owner], read], 1),
        position_ids=mask[owner].sum(1, keepdim=True) + torch.arange(option_ids.shape[1], device=device),
        cache=cache,
        use_cache=True,
        output_hidden_states=bool(layers),
        **still,
    )
    states = torch.cat([prompt.last_hidden_state[:, -1][owner][:, None], output.last_hidden_state[:, :-1]], 1)
    logprob = model.llm.lm_head(states).float().log_softmax(-1)
    token = logprob.gather(2, option_ids[..., None])[..., 0] * option_mask
    total = token.sum(1)
    kept = None
    if layers:
        last = (lengths - 2).clamp(min=0)
        picked = torch.stack([output.hidden_states[layer][at, last] for layer in layers], 1)
        if from_prompt:
            ends = torch.stack([prompt.hidden_states[layer][:, -1] for layer in layers], 1)
            picked = torch.where((lengths == 1)[:, None, None], ends[owner], picked)
        kept = picked.float().cpu().numpy()
    sums, means, n_tokens = (part.cpu().numpy() for part in (total, total / lengths, lengths))
    ends_at = np.cumsum(sizes)
    return [
        OptionLogprobs(
            sum=sums[part],
            mean=means[part],
            n_tokens=n_tokens[part],
            hidden=None if kept is None else kept[part],
        )
        for part in (slice(end - size, end) for end, size in zip(ends_at, sizes, strict=True))
    ]


def _right_padded(rows: Sequence[Sequence[int]], pad_token_id: int) -> tuple[Tensor, Tensor]:
    """Return ids and mask, (rows, tokens), padded on the right."""
    width = max(len(row) for row in rows)
    ids = torch.full((len(rows), width), pad_token_id)
    mask = torch.zeros(len(rows), width, dtype=torch.long)
    for k, row in enumerate(rows):
        ids[k, : len(row)] = torch.tensor(row)
        mask[k, : len(row)] = 1
    return ids, mask
