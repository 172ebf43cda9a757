"""Conversations to token ids and a loss mask, built together.

Source: LLaVA's ``preprocess_v1``, ``preprocess_plain``, ``preprocess_llama_2`` and, for the ``###`` style of
the paper's time, ``preprocess`` with ``_mask_targets``. LLaVA tokenizes the whole string and then searches it
for the borders of the answers by counting tokens, which drops whole samples when a tokenizer counts
differently; here every stretch of text says whether it is supervised, and the tokenizer's own character
offsets carry that to the tokens, so nothing has to be found again.

Text is cut into chunks at images and at start and stop tokens. A chunk is tokenized in one piece, by itself,
as LLaVA does between images: with a SentencePiece tokenizer each chunk begins with a prefix space. An image
stands in the ids as ``n_image_tokens`` copies of the image token, one per patch. Left out: the MPT and
ChatML styles of later LLaVA versions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from llava_core.data.example import Example
from llava_core.data.template import Template

IGNORE_INDEX = -100
"""Label of a token that carries no loss (the value torch's cross-entropy skips)."""

IMAGE_TOKEN = "<image>"
"""Name of the special token that stands once for every image patch."""


class Tokenizer(Protocol):
    """What is used of a Hugging Face tokenizer."""

    bos_token_id: int | None
    eos_token_id: int | None

    def __call__(
        self,
        text: str,
        *,
        add_special_tokens: bool,
        split_special_tokens: bool,
        return_offsets_mapping: bool,
    ) -> Mapping[str, Any]:
        """Return ``input_ids`` of ``text`` and, as ``offset_mapping``, the characters each one stands for."""
        ...

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
    """Where the images stand in a human turn: before its text, after it, or not at all."""
    n_images: int = 1
    """Images of a turn that has any."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Conversation:
    """Turns to learn from, and the images they show."""

    id: str
    """Not unique in published files: one picture has several conversations."""
    turns: tuple[Turn, ...]
    """Human and assistant by turns, the last one the assistant's."""
    images: tuple[Path, ...]
    """As many as the turns show, in their order."""


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
        If turns do not alternate, an assistant turn carries an image, the stop token is missing, or
        truncation would cut an image.

    Notes
    -----
    Words are tokenized with ``split_special_tokens``: a text that holds a literal ``</s>`` or ``<image>``
    stays text.
    """
    _check_turns(turns)
    if template.stop_token and tokenizer.eos_token_id is None:
        raise ValueError("got a tokenizer without eos_token; every answer ends with the stop token")
    draft = _Draft(tokenizer, joint=template.joint)
    draft.special(tokenizer.bos_token_id)
    draft.text(template.system)
    patches = [tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)] * n_image_tokens
    image_end = 0
    for index, turn in enumerate(turns):
        if turn.role == "assistant":
            draft.text(template.answer_prefix + turn.text + template.answer_suffix, supervised=True)
            if template.stop_token:
                draft.special(tokenizer.eos_token_id, supervised=True)
            continue
        if template.start_each_round and index > 0:
            draft.special(tokenizer.bos_token_id)
        first = index == 0 and template.first_human_prefix is not None
        prefix = (template.first_human_prefix or "") if first else template.human_prefix
        draft.text(template.marker, supervised=True)
        draft.text(prefix.removeprefix(template.marker))
        words = turn.text if template.human_text else ""
        if turn.image is None:
            draft.text(words)
        else:
            beside = template.image_separator if words else ""
            if turn.image == "last":
                draft.text(words + beside)
            for number in range(turn.n_images):
                if number > 0:
                    draft.text(template.image_separator)
                image_end = draft.image(patches)
            if turn.image == "first":
                draft.text(beside + words)
        draft.text(template.human_suffix)
        draft.text(template.assistant_prefix, supervised=bool(template.marker))
    if turns and turns[-1].role == "assistant":
        draft.text(template.closing, supervised=True)
    ids, labels = draft.finish()
    if max_tokens is not None and max_tokens < len(ids):
        if image_end > max_tokens:
            raise ValueError(
                f"got max_tokens={max_tokens}, but the image ends at token {image_end}: images are never cut"
            )
        del ids[max_tokens:], labels[max_tokens:]
    return Encoded(input_ids=tuple(ids), labels=tuple(labels))


def encode_answers(
    turns: Sequence[Turn],
    answers: Sequence[str],
    tokenizer: Tokenizer,
    template: Template,
    n_image_tokens: int,
    *,
    begun: str = "",
) -> tuple[tuple[int, ...], list[tuple[int, ...]]]:
    """Return the ids of an open conversation, and of each of several answers to it.

    Parameters
    ----------
    turns : sequence of Turn
        Alternating; the last one is human.
    answers : sequence of str
        At least one.
    tokenizer : Tokenizer
    template : Template
    n_image_tokens : int
        Image tokens per image, one per patch.
    begun : str
        Words that the assistant has said already, before every answer.

    Returns
    -------
    prompt_ids : tuple of int
        Ids that stand before every answer.
    answer_ids : list of tuple of int
        Each with all that training supervises of an answer: the space before it, the template's suffix and
        the stop token, where the template has them. What closes a conversation for good (v0) is left out.

    Raises
    ------
    ValueError
        If there is no answer, the last turn is not human, or as in `encode`.

    Notes
    -----
    ``prompt_ids + answer_ids[k]`` are the ids of `encode` for the conversation with answer k. The prompt is
    what `encode` makes of the open conversation; should a tokenizer merge the end of the prompt with the
    beginning of an answer, the merged token counts to the answers.
    """
    if not answers:
        raise ValueError("got no answers, needed is one or more")
    if not turns or turns[-1].role != "human":
        raise ValueError("got a conversation that does not end with a human turn: nothing to answer")
    unclosed = replace(template, closing="")
    prompt = encode_begun(turns, begun, tokenizer, template, n_image_tokens)
    wholes = [
        encode(
            [*turns, Turn(role="assistant", text=begun + answer)], tokenizer, unclosed, n_image_tokens
        ).input_ids
        for answer in answers
    ]
    n_shared = min(_n_shared(prompt, whole) for whole in wholes)
    return prompt[:n_shared], [whole[n_shared:] for whole in wholes]


def encode_begun(
    turns: Sequence[Turn], begun: str, tokenizer: Tokenizer, template: Template, n_image_tokens: int
) -> tuple[int, ...]:
    """Return the ids of a conversation whose answer has begun and will be written on.

    Raises
    ------
    ValueError
        As `encode`.
    """
    if not begun:
        return encode(turns, tokenizer, template, n_image_tokens).input_ids
    endless = replace(template, answer_suffix="", stop_token=False, closing="")
    return encode([*turns, Turn(role="assistant", text=begun)], tokenizer, endless, n_image_tokens).input_ids


class _Draft:
    """Ids and labels so far, and the stretches of text of the chunk that is open."""

    def __init__(self, tokenizer: Tokenizer, *, joint: bool) -> None:
        self.tokenizer = tokenizer
        self.joint = joint
        self.ids: list[int] = []
        self.labels: list[int] = []
        self.chunk: list[tuple[str, bool]] = []

    def text(self, words: str, *, supervised: bool = False) -> None:
        """Lengthen the open chunk."""
        if words:
            self.chunk.append((words, supervised))

    def special(self, token: int | None, *, supervised: bool = False) -> None:
        """Close the chunk with a start or stop token, where the tokenizer has it."""
        self._close()
        if token is not None:
            self._add([token], supervised=supervised)

    def image(self, patches: Sequence[int]) -> int:
        """Close the chunk with an image; return where the image ends."""
        self._close()
        self._add(patches, supervised=False)
        return len(self.ids)

    def finish(self) -> tuple[list[int], list[int]]:
        """Return ids and labels."""
        self._close()
        return self.ids, self.labels

    def _close(self) -> None:
        stretches, self.chunk = self.chunk, []
        if not self.joint:
            for words, supervised in stretches:
                self._add(
                    self.tokenizer.encode(words, add_special_tokens=False, split_special_tokens=True),
                    supervised=supervised,
                )
        elif stretches:
            found = self.tokenizer(
                "".join(words for words, _ in stretches),
                add_special_tokens=False,
                split_special_tokens=True,
                return_offsets_mapping=True,
            )
            carries_loss = [supervised for words, supervised in stretches for _ in words]
            for token, (start, end) in zip(found["input_ids"], found["offset_mapping"], strict=True):
                # A prefix space has no characters of its own: it goes with what follows it.
                self._add([token], supervised=carries_loss[min(max(start, end - 1), len(carries_loss) - 1)])

    def _add(self, ids: Sequence[int], *, supervised: bool) -> None:
        self.ids.extend(ids)
        self.labels.extend(ids if supervised else [IGNORE_INDEX] * len(ids))


def _check_turns(turns: Sequence[Turn]) -> None:
    for index, turn in enumerate(turns):
        expected = ("human", "assistant")[index % 2]
        if turn.role != expected:
            raise ValueError(
                f"got role {turn.role!r} in turn {index}, expected {expected!r}: turns alternate"
            )
        if turn.role == "assistant" and turn.image is not None:
            raise ValueError(f"got an image in assistant turn {index}; only human turns carry one")
        if turn.image is not None and turn.n_images < 1:
            raise ValueError(f"got n_images={turn.n_images} in turn {index}, allowed 1 or more")


def _n_shared(first: Sequence[int], second: Sequence[int]) -> int:
    """Return how many leading ids two sequences have in common."""
    for position, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return position
    return min(len(first), len(second))
