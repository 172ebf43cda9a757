"""Options behind their questions through CLIP's text tower."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from llava_core.checkpoint import LlavaBundle
from llava_core.data.collate import clip_text_batch
from llava_core.data.example import Example

BATCH_SIZE = 128


def clip_texts(bundle: LlavaBundle, examples: Sequence[Example]) -> NDArray[np.float32]:
    """Return CLIP's embedding of each option behind its question, unit length, (option rows, dim_clip).

    Raises
    ------
    InputError
        If the bundle has no whole CLIP.
    """
    clip = bundle.whole_clip
    texts = [f"{example.question} {option}" for example in examples for option in example.options]
    order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
    found = np.empty((len(texts), clip.config.projection_dim), dtype=np.float32)
    with torch.inference_mode():
        for start in range(0, len(order), BATCH_SIZE):
            rows = order[start : start + BATCH_SIZE]
            ids, mask = (part.to(bundle.model.device) for part in _encoded(bundle, [texts[k] for k in rows]))
            pooled = clip.get_text_features(input_ids=ids, attention_mask=mask).pooler_output
            found[rows] = nn.functional.normalize(pooled.float(), dim=-1).cpu().numpy()
    return found


def _encoded(bundle: LlavaBundle, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Return ids and mask, (texts, tokens), as this CLIP was trained to read texts."""
    max_tokens = int(bundle.whole_clip.config.text_config.max_position_embeddings)
    tokenizer = bundle.clip_tokenizer
    if tokenizer is None or tokenizer is bundle.tokenizer:
        # The shipped models share a tokenizer, and their CLIP was trained without its start token.
        return clip_text_batch(
            texts, bundle.tokenizer, max_tokens=max_tokens, pad_token_id=bundle.pad_token_id
        )
    rows = tokenizer(list(texts), truncation=True, max_length=max_tokens, split_special_tokens=True)[
        "input_ids"
    ]
    width = max(map(len, rows))
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    ids = torch.tensor([[*row, *[pad] * (width - len(row))] for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    return ids, mask
