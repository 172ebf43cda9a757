"""What one LLaVA training stage is: which parts learn, from which conversations, how fast.

Source: table and text of LLaVA's section 4.2. Stage 1 (align) trains the projector on captions, stage 2
(finetune) the projector and the language model on instructions; the vision tower is frozen in both. They
are two values of one type, for a tiny model and for a full-size one alike: only the numbers differ.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from llava_core.data.conversation import DESCRIBE, TEMPLATES, Turn, question_turns
from llava_core.data.example import Example
from llava_core.train.loop import OptimConfig
from llava_core.train.lora import LoraSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class StageConfig:
    """One training stage."""

    name: str
    trains: tuple[Literal["projector", "llm"], ...]
    """Parts that learn; the vision tower is not among the choices."""
    tasks: Literal["captions", "questions"]
    """Conversations: an image and its caption, or questions with their answers."""
    template: str
    """Name in `llava_core.data.conversation.TEMPLATES`."""
    n_epochs: float
    """Passes over the conversations."""
    batch_size: int
    """Conversations per step."""
    optim: OptimConfig
    new_projector: bool = False
    """Start from a fresh projector, scaled to the statistics of features and embeddings."""
    shuffle_options: bool = True
    """List a question's options in another order each time, so that positions cannot be memorised."""
    describe_epochs: float = 0.0
    """Questions: passes over the captioned images that come first and ask for the caption, as the detailed
    descriptions in LLaVA's chat data do. A caption teaches to read an image with ten times the words of an
    answer."""
    image_position: Literal["first", "last"] = "first"
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
        if not self.trains or not set(self.trains) <= {"projector", "llm"}:
            raise ValueError(f"got trains={self.trains}, allowed are projector and llm, at least one")
        if self.n_epochs <= 0 or self.batch_size < 1 or self.describe_epochs < 0:
            raise ValueError(
                f"got n_epochs={self.n_epochs}, batch_size={self.batch_size}, allowed above 0; "
                f"describe_epochs={self.describe_epochs}, allowed 0 or more"
            )


def usable(config: StageConfig, examples: Sequence[Example]) -> list[Example]:
    """Return the examples that make a conversation in this stage.

    Captions need an image and a caption, questions an answer; an image that a question has must be on disk.
    """
    if config.tasks == "captions":
        return described(examples)
    return [e for e in examples if e.answer is not None and (e.image is not None or not e.has_image)]


def described(examples: Sequence[Example]) -> list[Example]:
    """Return the examples with an image and a caption."""
    return [e for e in examples if e.image is not None and e.caption]


def description(config: StageConfig, example: Example, rng: np.random.Generator) -> list[Turn]:
    """Return the turns that ask for a caption in one of several ways."""
    ask = DESCRIBE[rng.integers(len(DESCRIBE))]
    return [
        Turn(role="human", text=ask, image=config.image_position),
        Turn(role="assistant", text=str(example.caption)),
    ]


def conversation(config: StageConfig, example: Example, rng: np.random.Generator) -> list[Turn]:
    """Return the turns made of an example, drawn anew on each call."""
    if config.tasks == "captions":
        return description(config, example, rng)
    n_options, answer = len(example.options), example.answer
    assert answer is not None, "usable() keeps answered questions only"
    return question_turns(
        example,
        answer=example.options[answer],
        image=config.image_position,
        option_order=rng.permutation(n_options).tolist() if config.shuffle_options else None,
    )
