"""The blocks of one chunk of questions.

| block | level | array |
|---|---|---|
| clip_image | example | projected image embedding of CLIP, unit length, (dim_clip,) |
| clip_image_patches | example | mean over the image tokens before the projector, (dim_vision,) |
| clip_layers | example | mean over the patches of some hidden states of the tower, (n_layers, dim_vision) |
| clip_text | option | question and option through CLIP's text tower, unit length, (dim_clip,) |
| clip_similarity | option | cosine of clip_image and clip_text, (1,) |
| projector_align, projector | example | mean over image tokens behind the projector, after stage 1 and 2 |
| llm_hidden | option | some layers at the option's last token, concatenated, (n_layers * dim_llm,) |
| option_logprob | option | sum, mean per token, number of tokens (`llava_core.inference.logprob`) |
| llm_answer | option | 1 for the option that the generated text names |

clip_layers is there where layers of the tower are asked for. An example without image file has NaN in the
image blocks. Where a prompt is asked in two passes, options are scored behind the reasons that the model has
drawn, with seed 0.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from llava_core.checkpoint import LlavaBundle
from llava_core.data.example import Example
from llava_core.data.prompts import PROMPTS
from llava_core.features.images import show_images
from llava_core.features.store import Level
from llava_core.features.texts import clip_texts
from llava_core.inference.asking import ask, question_batches, run_batches
from llava_core.inference.logprob import OptionLogprobs, score_batch
from llava_core.inference.parse import parse_reply
from llava_core.inference.replies import begin_replies, finish_replies, own_decoding

LEVELS: Mapping[str, Level] = {
    "clip_image": "example",
    "clip_image_patches": "example",
    "clip_layers": "example",
    "projector": "example",
    "projector_align": "example",
    "clip_text": "option",
    "clip_similarity": "option",
    "llm_hidden": "option",
    "option_logprob": "option",
    "llm_answer": "option",
}
NEED_CLIP = ("clip_image", "clip_text", "clip_similarity")
N_PASSES = 3
"""Images, texts, questions."""

Tick = Callable[[int, int, int], None]
"""Called with what is done of a pass, what there is of it, and the number of examples that it stands for."""


def make_chunk(
    bundle: LlavaBundle,
    examples: Sequence[Example],
    *,
    align: nn.Module | None,
    layers: Sequence[int],
    clip_layers: Sequence[int],
    tick: Tick,
) -> tuple[dict[str, NDArray[Any]], dict[str, int]]:
    """Return the blocks of a chunk, and what is counted."""
    n_examples = len(examples)
    sizes = [len(example.options) for example in examples]
    shown = show_images(
        bundle,
        examples,
        align=align,
        clip_layers=clip_layers,
        progress=lambda done, total: tick(done, total, n_examples),
    )
    blocks = shown.per_example(examples)
    if bundle.clip is not None:
        blocks["clip_text"] = clip_texts(bundle, examples)
        image = blocks["clip_image"][np.repeat(np.arange(n_examples), sizes)]
        blocks["clip_similarity"] = (image * blocks["clip_text"]).sum(1, keepdims=True).astype(np.float32)
    tick(1, 1, n_examples)

    prompt = PROMPTS[bundle.prompt]
    decoding = own_decoding(prompt)
    asked = [ask(bundle, example) for example in examples]
    scores: dict[int, OptionLogprobs] = {}
    texts: dict[int, str] = {}

    def run(rows: Sequence[int]) -> None:
        images = [image for row in rows if (image := examples[row].image) is not None]
        part = [examples[row] for row in rows]
        begun = begin_replies(bundle, part, decoding, batch_size=len(rows), vision=shown.vision)
        reasoned = [
            ask(bundle, examples[row], begun=words) if words else asked[row]
            for row, words in zip(rows, begun, strict=True)
        ]
        found = score_batch(bundle, reasoned, images, vision=shown.vision, layers=layers)
        written = finish_replies(bundle, part, begun, decoding, batch_size=len(rows), vision=shown.vision)
        scores.update(zip(rows, found, strict=True))
        texts.update(zip(rows, written, strict=True))

    n_halved = run_batches(
        question_batches(bundle, asked, n_more_tokens=decoding.max_new_tokens if prompt.two_pass else 0),
        run,
        progress=lambda n_done: tick(n_done, n_examples, n_examples),
    )
    ordered = [scores[row] for row in range(n_examples)]
    hidden = [score.hidden.reshape(len(score.sum), -1) for score in ordered if score.hidden is not None]
    blocks["llm_hidden"] = np.concatenate(hidden)
    likelihood = [np.column_stack([score.sum, score.mean, score.n_tokens]) for score in ordered]
    blocks["option_logprob"] = np.concatenate(likelihood).astype(np.float32)
    named = [
        parse_reply(texts[row], example.options, prompt=prompt.name) for row, example in enumerate(examples)
    ]
    chosen = np.concatenate([np.arange(n) == k for n, k in zip(sizes, named, strict=True)])
    blocks["llm_answer"] = chosen.astype(np.float32)[:, None]
    return blocks, {"n_unparsed": named.count(-1), "n_batches_halved": n_halved}
