"""Log-likelihoods of the options of a question.

The prompt (system message, image, question, listed options) runs once per question; its keys and values are
then shared by all options. What is scored is the option's text and the stop token after it, so that an option
that begins like another is not favoured for being shorter. Natural logarithms; `mean` divides by the number
of scored tokens, which is the length normalisation that answers are chosen by.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import DynamicCache

from llava_core.checkpoint import LlavaBundle
from llava_core.data.conversation import encode, question_turns
from llava_core.data.example import Example
from llava_core.data.images import blank_pixels, load_pixels

BATCH_SIZE = 48


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
    progress: Callable[[int, int], None] | None = None,
) -> list[OptionLogprobs]:
    """Score every option of every example.

    Parameters
    ----------
    bundle : LlavaBundle
    examples : sequence of Example
        An example whose image file is missing is asked without an image.
    batch_size : int
        Questions per batch; the scores do not depend on it.
    blank_image : bool
        Show a white image in place of each image.
    layers : sequence of int
        Hidden states to return; 0 is the embeddings, -1 the last layer's output.
    progress : callable, optional
        Called with (examples done, examples in all).

    Returns
    -------
    list of OptionLogprobs
        In the order of ``examples``.

    Raises
    ------
    InputError
        If an image cannot be read.
    """
    found: list[OptionLogprobs | None] = [None] * len(examples)
    n_done = 0
    for rows, prompts in prompt_batches(bundle, examples, batch_size):
        batch = [examples[row] for row in rows]
        with torch.inference_mode():
            scores = _score_batch(bundle, batch, prompts, blank_image=blank_image, layers=layers)
        for row, score in zip(rows, scores, strict=True):
            found[row] = score
        n_done += len(rows)
        if progress is not None:
            progress(n_done, len(examples))
    return [score for score in found if score is not None]


def prompt_batches(
    bundle: LlavaBundle, examples: Sequence[Example], batch_size: int
) -> Iterator[tuple[list[int], list[list[int]]]]:
    """Yield positions and prompt ids of examples, prompts of similar length together."""
    prompts = [
        list(
            encode(
                question_turns(shown(example), answer=None),
                bundle.tokenizer,
                bundle.template,
                bundle.n_image_tokens,
            ).input_ids
        )
        for example in examples
    ]
    order = sorted(range(len(examples)), key=lambda row: len(prompts[row]))
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        yield rows, [prompts[row] for row in rows]


def shown(example: Example) -> Example:
    """Return the example as it can be asked: without an image where the file is missing."""
    return replace(example, has_image=example.image is not None)


def left_padded(rows: Sequence[Sequence[int]], pad_token_id: int) -> tuple[Tensor, Tensor]:
    """Return ids and mask, (batch, tokens), padded on the left."""
    width = max(len(row) for row in rows)
    ids = torch.full((len(rows), width), pad_token_id)
    mask = torch.zeros(len(rows), width, dtype=torch.long)
    for k, row in enumerate(rows):
        ids[k, width - len(row) :] = torch.tensor(row)
        mask[k, width - len(row) :] = 1
    return ids, mask


def batch_features(bundle: LlavaBundle, batch: Sequence[Example], *, blank_image: bool) -> Tensor | None:
    """Return patch features of the images of a batch, in order; None where there is no image."""
    paths = [example.image for example in batch if example.image is not None]
    if not paths:
        return None
    pixels = (
        blank_pixels(1, bundle.image_processor) if blank_image else load_pixels(paths, bundle.image_processor)
    )
    features = bundle.model.vision_features(pixels)
    return features.expand(len(paths), -1, -1) if blank_image else features


def _score_batch(
    bundle: LlavaBundle,
    batch: Sequence[Example],
    prompts: Sequence[Sequence[int]],
    *,
    blank_image: bool,
    layers: Sequence[int],
) -> list[OptionLogprobs]:
    model, pad = bundle.model, bundle.pad_token_id
    ids, mask = left_padded(prompts, pad)
    features = batch_features(bundle, batch, blank_image=blank_image)
    cache = DynamicCache()
    prompt = model.llm.model(
        inputs_embeds=model.embed(ids, features),
        attention_mask=mask,
        position_ids=(mask.cumsum(1) - 1).clamp(min=0),
        past_key_values=cache,
        use_cache=True,
    ).last_hidden_state[:, -1]

    sizes = [len(example.options) for example in batch]
    owner = torch.repeat_interleave(torch.arange(len(batch)), torch.tensor(sizes))
    options = [_option_ids(bundle, option) for example in batch for option in example.options]
    width = max(len(option) for option in options)
    option_ids = torch.full((len(options), width), pad)
    option_mask = torch.zeros(len(options), width, dtype=torch.long)
    for k, option in enumerate(options):
        option_ids[k, : len(option)] = torch.tensor(option)
        option_mask[k, : len(option)] = 1
    cache.batch_select_indices(owner)
    # The stop token is predicted, never read.
    read = option_mask.clone()
    lengths = option_mask.sum(1)
    read[torch.arange(len(options)), lengths - 1] = 0
    output = model.llm.model(
        inputs_embeds=model.llm.get_input_embeddings()(option_ids),
        attention_mask=torch.cat([mask[owner], read], 1),
        position_ids=mask[owner].sum(1, keepdim=True) + torch.arange(width),
        past_key_values=cache,
        use_cache=True,
        output_hidden_states=bool(layers),
    )
    states = torch.cat([prompt[owner][:, None], output.last_hidden_state[:, :-1]], 1)
    logprob = model.llm.lm_head(states).float().log_softmax(-1)
    token = logprob.gather(2, option_ids[..., None])[..., 0] * option_mask
    total, n_tokens = token.sum(1), lengths
    kept = None
    if layers:
        last = lengths - 2
        at = torch.arange(len(options))
        kept = torch.stack([output.hidden_states[layer][at, last] for layer in layers], 1).float().numpy()
    results, start = [], 0
    for size in sizes:
        part = slice(start, start + size)
        results.append(
            OptionLogprobs(
                sum=total[part].numpy().astype(np.float32),
                mean=(total[part] / n_tokens[part]).numpy().astype(np.float32),
                n_tokens=n_tokens[part].numpy(),
                hidden=None if kept is None else kept[part],
            )
        )
        start += size
    return results


def _option_ids(bundle: LlavaBundle, option: str) -> list[int]:
    """Return the ids of an answer as `encode` makes them: a leading space, the stop token at the end."""
    words = bundle.tokenizer.encode(f" {option}", add_special_tokens=False, split_special_tokens=True)
    return [*words, int(bundle.tokenizer.eos_token_id)]
