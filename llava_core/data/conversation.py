"""Conversations to token ids and a loss mask, built together segment by segment.

Source: LLaVA's ``preprocess_v1`` and ``preprocess_plain``. LLaVA tokenizes the whole string and then
searches it for the borders of the answers, which drops whole samples when a tokenizer counts differently;
here every segment is tokenized on its own and brings its part of the mask along, so nothing has to be found
again.

Supervised are exactly the assistant's answers and the stop token after each; everything else carries
`IGNORE_INDEX`. An image stands in the ids as ``n_image_tokens`` copies of the image token, one per patch.
Left out: the ``###`` style of LLaVA v0, which also supervises human markers, and several images in one
conversation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from llava_core.data.example import Example

IGNORE_INDEX = -100
"""Label of a token that carries no loss (the value torch's cross-entropy skips)."""

IMAGE_TOKEN = "<image>"
"""Name of the special token that stands once for every image patch."""


class Tokenizer(Protocol):
    """What is used of a Hugging Face tokenizer."""

    bos_token_id: int | None
    eos_token_id: int | None

    def encode(self, text: str, *, add_special_tokens: bool, split_special_tokens: bool) -> list[int]:
        """Return the ids of ``text``."""
        ...

    def convert_tokens_to_ids(self, tokens: str) -> int:
        """Return the id of one token."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """One side's words in a conversation."""

    role: Literal["human", "assistant"]
    text: str
    image: Literal["first", "last"] | None = None
    """Where the image stands in a human turn: before its text, after it, or not at all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Template:
    """The fixed strings around the turns."""

    name: str
    system: str
    """System message at the start; may be empty."""
    human_prefix: str
    human_suffix: str
    assistant_prefix: str
    """Without the space before the answer, which belongs to the answer."""
    image_separator: str
    """Between image and text of a human turn."""
    human_text: bool = True
    """False: human words are dropped, only the image stays (stage 1 of LLaVA)."""


V1 = Template(
    name="v1",
    system=(
        "A chat between a curious human and an artificial intelligence assistant. "
        "The assistant gives helpful, detailed, and polite answers to the human's questions. "
    ),
    human_prefix="USER: ",
    human_suffix=" ",
    assistant_prefix="ASSISTANT:",
    image_separator="\n",
)
"""Vicuna v1, as LLaVA uses it for stage 2."""

PLAIN = Template(
    name="plain",
    system="",
    human_prefix="",
    human_suffix="",
    assistant_prefix="",
    image_separator="",
    human_text=False,
)
"""Image, then caption: stage 1. LLaVA ends a caption with a newline; here the stop token ends it."""

MINI_V1 = Template(
    name="mini_v1",
    system="A chat about science.\n",
    human_prefix="USER: ",
    human_suffix="\n",
    assistant_prefix="ASSISTANT:",
    image_separator="\n",
)
"""V1 with a system message that a model of 50 tokens' span can afford."""

TEMPLATES = {template.name: template for template in (V1, PLAIN, MINI_V1)}


DESCRIBE = ("Describe the picture.", "What does the picture show?", "Tell what you see.")
"""Instructions that ask for a caption."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoded:
    """Token ids and labels of one conversation, equally long."""

    input_ids: tuple[int, ...]
    labels: tuple[int, ...]
    """The id itself where it is supervised, `IGNORE_INDEX` elsewhere. Not shifted."""


def question_prompt(example: Example, *, option_order: Sequence[int] | None = None) -> str:
    """Return the human's words for a question: question, context, options.

    Parameters
    ----------
    example : Example
    option_order : sequence of int, optional
        Permutation in which the options are listed; the order of the data set if not given.

    Returns
    -------
    str

    Notes
    -----
    Options are listed as texts without letters: a small language model learns to repeat a text long before
    it learns to bind a letter to it.
    """
    order = range(len(example.options)) if option_order is None else option_order
    lines = [example.question]
    if example.hint:
        lines.append(f"Context: {example.hint}")
    lines.append("Options: " + "; ".join(example.options[index] for index in order))
    return "\n".join(lines)


def question_turns(
    example: Example,
    *,
    answer: str | None,
    image: Literal["first", "last"] = "first",
    option_order: Sequence[int] | None = None,
) -> list[Turn]:
    """Return the turns of one question; without ``answer`` the assistant's turn is left open for scoring."""
    placed = image if example.has_image else None
    turns = [Turn(role="human", text=question_prompt(example, option_order=option_order), image=placed)]
    if answer is not None:
        turns.append(Turn(role="assistant", text=answer))
    return turns


def encode(
    turns: Sequence[Turn],
    tokenizer: Tokenizer,
    template: Template,
    n_image_tokens: int,
    *,
    max_tokens: int | None = None,
) -> Encoded:
    """Return token ids and labels of a conversation.

    Parameters
    ----------
    turns : sequence of Turn
        Alternating, human first. A last human turn is left open: the ids end with the assistant's prefix,
        so that the next token is the first of the answer.
    tokenizer : Tokenizer
        With a stop token (``eos_token``) and an image token; a start token is used if it has one.
    template : Template
    n_image_tokens : int
        Image tokens per image, one per patch.
    max_tokens : int, optional
        The ids are cut on the right to this many.

    Returns
    -------
    Encoded

    Raises
    ------
    ValueError
        If turns do not alternate, an assistant turn carries an image, there is more than one image, the
        stop token is missing, or truncation would cut an image.

    Notes
    -----
    Words are tokenized with ``split_special_tokens``: a text that holds a literal ``</s>`` or ``<image>``
    stays text. The answer is tokenized with a leading space of its own, never merged with the prefix before
    it, so that prompt ids are a prefix of the ids of prompt and answer.
    """
    _check_turns(turns)
    if tokenizer.eos_token_id is None:
        raise ValueError("got a tokenizer without eos_token; every answer ends with the stop token")
    ids: list[int] = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    labels = [IGNORE_INDEX] * len(ids)
    image_end = 0

    def add(segment: Sequence[int], *, supervised: bool = False) -> None:
        ids.extend(segment)
        labels.extend(segment if supervised else [IGNORE_INDEX] * len(segment))

    def words(text: str) -> list[int]:
        if not text:
            return []
        return tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)

    add(words(template.system))
    for turn in turns:
        if turn.role == "assistant":
            add([*words(" " + turn.text), tokenizer.eos_token_id], supervised=True)
            continue
        text = turn.text if template.human_text else ""
        patches = [tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)] * n_image_tokens
        add(words(template.human_prefix))
        if turn.image == "first":
            add(patches)
            image_end = len(ids)
            add(words(template.image_separator + text))
        elif turn.image == "last":
            add(words(text + template.image_separator))
            add(patches)
            image_end = len(ids)
        else:
            add(words(text))
        add(words(template.human_suffix))
        add(words(template.assistant_prefix))
    if max_tokens is not None and max_tokens < len(ids):
        if image_end > max_tokens:
            raise ValueError(
                f"got max_tokens={max_tokens}, but the image ends at token {image_end}: images are never cut"
            )
        del ids[max_tokens:], labels[max_tokens:]
    return Encoded(input_ids=tuple(ids), labels=tuple(labels))


def _check_turns(turns: Sequence[Turn]) -> None:
    for index, turn in enumerate(turns):
        expected = ("human", "assistant")[index % 2]
        if turn.role != expected:
            raise ValueError(
                f"got role {turn.role!r} in turn {index}, expected {expected!r}: turns alternate"
            )
        if turn.role == "assistant" and turn.image is not None:
            raise ValueError(f"got an image in assistant turn {index}; only human turns carry one")
    if sum(turn.image is not None for turn in turns) > 1:
        raise ValueError("got more than one image in a conversation, allowed one")
