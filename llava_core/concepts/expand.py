"""Naive expansion: one caption becomes one turn of stage-1 training, in LLaVA's record format.

The instruction is drawn from `BRIEF_INSTRUCTIONS`, and the image stands before or after it, both by the hash
of the caption and the seed, so that a record does not depend on its neighbours. The wording is ours; LLaVA's
own list has as many. Stage 1 drops the instruction anyway (template ``plain``) from LLaVA 1.0 on.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from llava_core.concepts.draw import mix
from llava_core.data.conversation import IMAGE_TOKEN

BRIEF_INSTRUCTIONS = (
    "Say in one sentence what this picture shows.",
    "What can be seen here? Keep it short.",
    "Write a short caption for the image.",
    "Sum up the image in a few words.",
    "Tell me briefly what is in the photo.",
    "In a single line, what is this a picture of?",
    "Give a compact description of what you see.",
    "Which caption would fit this picture?",
    "Name the main content of the image, briefly.",
    "Please put the picture into one plain sentence.",
    "What does the image show, in short?",
)


def expand(
    caption: str, *, record_id: str, image: str, caption_key: np.uint64, seed: int
) -> Mapping[str, Any]:
    """Return a record of one question and one answer.

    Parameters
    ----------
    caption : str
        The answer.
    record_id : str
    image : str
        Path relative to the folder of images.
    caption_key : uint64
        Hash of the caption, see `llava_core.concepts.chunk_phrases.ChunkPhrases`.
    seed : int

    Examples
    --------
    >>> record = expand("a red kite", record_id="7", image="7.jpg", caption_key=np.uint64(1), seed=0)
    >>> record["conversations"][1]
    {'from': 'gpt', 'value': 'a red kite'}
    """
    number = int(mix(mix(np.array([seed], dtype=np.uint64)) ^ np.array([caption_key], dtype=np.uint64))[0])
    side, choice = number & 1, (number >> 1) % len(BRIEF_INSTRUCTIONS)
    words = BRIEF_INSTRUCTIONS[choice]
    asked = f"{IMAGE_TOKEN}\n{words}" if side else f"{words}\n{IMAGE_TOKEN}"
    return {
        "id": record_id,
        "image": image,
        "conversations": [{"from": "human", "value": asked}, {"from": "gpt", "value": caption}],
    }
