"""Greedy answers in the model's own words."""

from collections.abc import Callable, Sequence

import torch
from transformers import DynamicCache

from llava_core.checkpoint import LlavaBundle
from llava_core.data.example import Example
from llava_core.inference.logprob import BATCH_SIZE, batch_features, left_padded, prompt_batches


def generate_answers(
    bundle: LlavaBundle,
    examples: Sequence[Example],
    *,
    max_new_tokens: int = 16,
    batch_size: int = BATCH_SIZE,
    progress: Callable[[int, int], None] | None = None,
) -> list[str]:
    """Return the likeliest next token after next token, up to the stop token.

    Parameters
    ----------
    bundle : LlavaBundle
    examples : sequence of Example
    max_new_tokens : int
    batch_size : int
        Questions per batch; the answers do not depend on it.
    progress : callable, optional
        Called with (examples done, examples in all).

    Returns
    -------
    list of str
        In the order of ``examples``, without the stop token.

    Raises
    ------
    InputError
        If an image cannot be read.
    """
    answers = [""] * len(examples)
    n_done = 0
    for rows, prompts in prompt_batches(bundle, examples, batch_size):
        batch = [examples[row] for row in rows]
        with torch.inference_mode():
            texts = _generate_batch(bundle, batch, prompts, max_new_tokens)
        for row, text in zip(rows, texts, strict=True):
            answers[row] = text
        n_done += len(rows)
        if progress is not None:
            progress(n_done, len(examples))
    return answers


def _generate_batch(
    bundle: LlavaBundle, batch: Sequence[Example], prompts: Sequence[Sequence[int]], max_new_tokens: int
) -> list[str]:
    model, tokenizer = bundle.model, bundle.tokenizer
    stop = int(tokenizer.eos_token_id)
    ids, mask = left_padded(prompts, int(tokenizer.pad_token_id))
    embeddings = model.embed(ids, batch_features(bundle, batch, blank_image=False))
    position = (mask.cumsum(1) - 1).clamp(min=0)
    cache = DynamicCache()
    done = torch.zeros(len(batch), dtype=torch.bool)
    written: list[list[int]] = [[] for _ in batch]
    for _ in range(max_new_tokens):
        hidden = model.llm.model(
            inputs_embeds=embeddings,
            attention_mask=mask,
            position_ids=position,
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state[:, -1]
        token = model.llm.lm_head(hidden).argmax(-1)
        done |= token == stop
        if bool(done.all()):
            break
        for k in (~done).nonzero()[:, 0].tolist():
            written[k].append(int(token[k]))
        embeddings = model.llm.get_input_embeddings()(token[:, None])
        mask = torch.cat([mask, torch.ones(len(batch), 1, dtype=torch.long)], 1)
        position = position[:, -1:] + 1
    return [tokenizer.decode(tokens, skip_special_tokens=True).strip() for tokens in written]
