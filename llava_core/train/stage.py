"""What one LLaVA training stage is: which parts learn, from which conversations, how fast.

Source: table and text of LLaVA's section 4.2. Stage 1 (align) trains the projector on captions, stage 2
(finetune) the projector and the language model on instructions; the vision tower is frozen in both. They
are two values of one type, for a tiny model and for a full-size one alike: only the numbers differ.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from llava_core.data.conversation import DESCRIBE, Conversation, Turn
from llava_core.data.example import Example
from llava_core.data.llava_json import ConversationFile
from llava_core.data.prompts import ALLOWED, PROMPTS, prompted_turns
from llava_core.data.template import TEMPLATES
from llava_core.train.loop import OptimConfig
from llava_core.train.lora import LoraSettings

Item = Example | Conversation
"""What a stage learns from: a question to be put into words, or a conversation as it stands."""

Items = Sequence[Item] | ConversationFile


@dataclass(frozen=True, kw_only=True, slots=True)
class StageConfig:
    """One training stage."""

    name: str
    trains: tuple[Literal["projector", "llm"], ...]
    """Parts that learn; the vision tower is not among the choices."""
    tasks: Literal["captions", "questions"]
    """What becomes of an example: its image and caption, or its question and answer. Conversations in
    LLaVA's record format are taken as they stand in either."""
    template: str
    """Name in `llava_core.data.template.TEMPLATES`."""
    n_epochs: float
    """Passes over the conversations."""
    batch_size: int
    """Conversations per step."""
    optim: OptimConfig
    new_projector: bool = False
    """Start from a fresh projector, scaled to the statistics of features and embeddings."""
    prompt: str = "option_texts"
    """Questions: how they and their answers read, in `llava_core.data.prompts.PROMPTS`."""
    shuffle_options: bool = True
    """List a question's options in another order each time, so that positions cannot be memorised."""
    describe_epochs: float = 0.0
    """Questions: passes over the captioned images that come first and ask for the caption, as the detailed
    descriptions in LLaVA's chat data do. A caption teaches to read an image with ten times the words of an
    answer."""
    max_tokens: int = 2048
    """Conversations are cut to this many tokens."""
    packing: bool = False
    """Batches are drawn at random and packed into rows without padding. False: conversations of similar
    length share a batch, and are padded."""
    lora: LoraSettings | None = None
    """Language model: adapters learn in place of its weights."""

    def __post_init__(self) -> None:
        if self.template not in TEMPLATES:
            raise ValueError(f"got template {self.template!r}, allowed are {sorted(TEMPLATES)}")
        if self.prompt not in PROMPTS:
            raise ValueError(f"got prompt {self.prompt!r}, allowed are {ALLOWED}")
        if not self.trains or not set(self.trains) <= {"projector", "llm"}:
            raise ValueError(f"got trains={self.trains}, allowed are projector and llm, at least one")
        if self.max_tokens < 1:
            raise ValueError(f"got max_tokens={self.max_tokens}, allowed 1 or more")
        in_range = 0 < self.n_epochs < math.inf and 0 <= self.describe_epochs < math.inf
        if not in_range or self.batch_size < 1:
            raise ValueError(
                f"got n_epochs={self.n_epochs}, batch_size={self.batch_size}, allowed above 0; "
                f"describe_epochs={self.describe_epochs}, allowed 0 or more"
            )


def usable(config: StageConfig, items: Items) -> Items:
    """Return the items that make a conversation in this stage.

    Captions need an image and a caption, questions an answer; an image that a question has must be on disk.
    Conversations were checked when they were read.
    """
    if isinstance(items, ConversationFile):
        return items
    return [item for item in items if _is_usable(config, item)]


def described(items: Items) -> list[Example]:
    """Return the examples with an image and a caption."""
    return [item for item in items if isinstance(item, Example) and item.image is not None and item.caption]


def images_of(item: Item) -> tuple[Path, ...]:
    """Return the image files of an item, in reading order."""
    if isinstance(item, Conversation):
        return item.images
    return () if item.image is None else (item.image,)


def description(config: StageConfig, example: Example, rng: np.random.Generator) -> list[Turn]:
    """Return the turns that ask for a caption in one of several ways."""
    ask = DESCRIBE[rng.integers(len(DESCRIBE))]
    return [
        Turn(role="human", text=ask, image="first"),
        Turn(role="assistant", text=str(example.caption)),
    ]


def conversation(config: StageConfig, item: Item, rng: np.random.Generator) -> Sequence[Turn]:
    """Return the turns made of an item; those of an example are drawn anew on each call."""
    if isinstance(item, Conversation):
        return item.turns
    if config.tasks == "captions":
        return description(config, item, rng)
    order = rng.permutation(len(item.options)).tolist() if config.shuffle_options else None
    return prompted_turns(item, PROMPTS[config.prompt], answered=True, option_order=order)


def _is_usable(config: StageConfig, item: Item) -> bool:
    if isinstance(item, Conversation):
        return True
    if config.tasks == "captions":
        return bool(described([item]))
    return item.answer is not None and (item.image is not None or not item.has_image)
