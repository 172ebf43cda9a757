"""Encoded conversations to padded batches, and the order in which batches are cut from a data set."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from llava_core.data.conversation import IGNORE_INDEX, Encoded, Tokenizer


def pad_batch(encoded: Sequence[Encoded], pad_token_id: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return input ids, attention mask and labels, each (batch, tokens), padded on the right.

    Padding carries mask 0 and label `IGNORE_INDEX`.
    """
    width = max(len(row.input_ids) for row in encoded)
    input_ids = torch.full((len(encoded), width), pad_token_id)
    mask = torch.zeros(len(encoded), width, dtype=torch.long)
    labels = torch.full((len(encoded), width), IGNORE_INDEX)
    for index, row in enumerate(encoded):
        n_tokens = len(row.input_ids)
        input_ids[index, :n_tokens] = torch.tensor(row.input_ids)
        labels[index, :n_tokens] = torch.tensor(row.labels)
        mask[index, :n_tokens] = 1
    return input_ids, mask, labels


def length_grouped_batches(
    lengths: Sequence[int], batch_size: int, rng: np.random.Generator, *, spread: float = 0.1
) -> list[np.ndarray]:
    """Return batches of indices that hold rows of similar length, in random order.

    Rows are sorted by length times a random factor near one, cut into batches, and the batches shuffled:
    little padding, yet other neighbours in each epoch. Rows with an image are longer by its patches, so
    that batches are also mostly of one modality, which is LLaVA's ``group_by_modality_length``.

    Parameters
    ----------
    lengths : sequence of int
        Tokens per row.
    batch_size : int
    rng : numpy.random.Generator
    spread : float
        Half-width of the random factor.

    Returns
    -------
    list of ndarray
        Each index once; the last batch of the sorted order may be smaller.
    """
    noise = rng.uniform(1 - spread, 1 + spread, len(lengths))
    order = np.argsort(np.asarray(lengths) * noise, kind="stable")
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    return [batches[index] for index in rng.permutation(len(batches))]


def clip_text_batch(
    texts: Sequence[str], tokenizer: Tokenizer, *, max_tokens: int, pad_token_id: int
) -> tuple[Tensor, Tensor]:
    """Return input ids and attention mask for CLIP's text tower: words, then the stop token CLIP pools at.

    Parameters
    ----------
    texts : sequence of str
    tokenizer : Tokenizer
    max_tokens : int
        Positions of the text tower; longer texts are cut, the stop token stays.
    pad_token_id : int

    Returns
    -------
    input_ids, attention_mask : Tensor
        Each (texts, tokens).
    """
    stop = tokenizer.eos_token_id
    if stop is None:
        raise ValueError("got a tokenizer without eos_token; CLIP's text tower pools at the stop token")
    rows = []
    for text in texts:
        ids = tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
        ids = [*ids[: max_tokens - 1], stop]
        rows.append(Encoded(input_ids=tuple(ids), labels=tuple(ids)))
    input_ids, mask, _ = pad_batch(rows, pad_token_id)
    return input_ids, mask
