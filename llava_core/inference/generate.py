"""Answers in the model's own words: batches of conversations, or one of them as a stream.

Decoding itself is transformers' ``generate``. Batches are padded on the left, and each row has its own span
and its own random draws, so that the answers do not depend on the batch (up to rounding in half precision).
Left out: beam search.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Event

import torch
from torch import Tensor
from transformers import StoppingCriteria, StoppingCriteriaList
from transformers.generation.streamers import BaseStreamer

from llava_core.checkpoint import LlavaBundle
from llava_core.data.conversation import Turn, encode_begun
from llava_core.data.example import Example
from llava_core.errors import InputError
from llava_core.inference.asking import BATCH_SIZE, Vision, left_padded, question_turns
from llava_core.inference.decoding import Decoding, EndOfSpan, generation_config, logits_processors
from llava_core.inference.image_source import ImageSource, open_image
from llava_core.model.cross_attention import SIGHT, seeing

_HALF_A_CHARACTER = "\ufffd"


@dataclass(frozen=True, kw_only=True, slots=True)
class Dialogue:
    """Turns that wait for the assistant's answer, and the images they speak of."""

    turns: tuple[Turn, ...]
    """The last one is human."""
    images: tuple[ImageSource, ...] = ()
    """In the order of the turns; as many as the turns' ``n_images`` add up to."""
    begun: str = ""
    """What the assistant has said already; its answer goes on behind it."""

    def __post_init__(self) -> None:
        expected = sum(turn.n_images for turn in self.turns if turn.image is not None)
        if len(self.images) != expected:
            raise ValueError(f"got {len(self.images)} images, the turns speak of {expected}")


def question_dialogue(bundle: LlavaBundle, example: Example) -> Dialogue:
    """Return a multiple-choice question as a model is asked: without an image where the file is missing."""
    return Dialogue(
        turns=tuple(question_turns(bundle, example)),
        images=() if example.image is None else (example.image,),
    )


def generate(
    bundle: LlavaBundle,
    conversations: Sequence[Dialogue],
    decoding: Decoding,
    *,
    batch_size: int = BATCH_SIZE,
    vision: Vision | None = None,
    stop: str = "",
    n_reserved: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[str]:
    """Return the assistant's next words in each conversation.

    Parameters
    ----------
    bundle : LlavaBundle
    conversations : sequence of Dialogue
        Conversations of similar length share a batch. Images are read when their batch comes.
    decoding : Decoding
    batch_size : int
        Conversations per batch; the answers do not depend on it.
    vision : callable, optional
        Gives patch features of the images; they are read and go through the tower here, if not given.
    stop : str
        Text at which an answer ends, beside the template's own.
    n_reserved : int
        Tokens of the language model's span to leave free behind the answer; half of what is left at most.
    progress : callable, optional
        Called with (conversations done, conversations in all).

    Returns
    -------
    list of str
        In the order of ``conversations``, without stop token or stop text and the space around.

    Raises
    ------
    InputError
        If an image cannot be read, or a conversation is longer than the language model's span.
    """
    prompts = [_prompt(bundle, conversation) for conversation in conversations]
    order = sorted(range(len(prompts)), key=lambda row: len(prompts[row]))
    answers = [""] * len(prompts)
    stops = _stops(bundle, stop)
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        images = [image for row in rows for image in conversations[row].images]
        written = _decode(
            bundle,
            [prompts[row] for row in rows],
            images,
            decoding,
            vision=vision,
            stops=stops,
            n_reserved=n_reserved,
        )
        for row, tokens in zip(rows, written.tolist(), strict=True):
            answers[row] = _cut(_text(bundle, tokens), *stops).strip()
        if progress is not None:
            progress(start + len(rows), len(order))
    return answers


def stream(bundle: LlavaBundle, conversation: Dialogue, decoding: Decoding) -> Iterator[str]:
    """Yield the answer that `generate` returns, piece by piece as it is written.

    The model runs in a thread of its own; closing the iterator stops it at the next token.

    Raises
    ------
    InputError
        If an image cannot be read, or the conversation is longer than the language model's span.
    """
    prompt = _prompt(bundle, conversation)
    streamer, closed = _TokenStreamer(), Event()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(
            _decode,
            bundle,
            [prompt],
            conversation.images,
            decoding,
            stops=_stops(bundle),
            streamer=streamer,
            closed=closed,
        )
        running.add_done_callback(lambda _: streamer.end())
        try:
            yield from _pieces((_text(bundle, tokens) for tokens in streamer), bundle.template.stop_text)
        finally:
            closed.set()
        running.result()


def n_context_tokens(bundle: LlavaBundle) -> int:
    """Return the language model's span: conversation and answer together, tokens."""
    return int(bundle.model.llm.config.max_position_embeddings)


def _prompt(bundle: LlavaBundle, conversation: Dialogue) -> tuple[int, ...]:
    ids = encode_begun(
        conversation.turns, conversation.begun, bundle.tokenizer, bundle.template, bundle.n_image_tokens
    )
    span = n_context_tokens(bundle)
    if len(ids) >= span:
        raise InputError(
            f"got a conversation of {len(ids)} tokens, {bundle.n_image_tokens} for each of its "
            f"{len(conversation.images)} images; allowed are fewer than the language model's span of {span}: "
            "begin a new one, or ask with fewer images or words"
        )
    return ids


@torch.inference_mode()
def _decode(
    bundle: LlavaBundle,
    prompts: Sequence[Sequence[int]],
    images: Sequence[ImageSource],
    decoding: Decoding,
    *,
    vision: Vision | None = None,
    stops: Sequence[str],
    n_reserved: int = 0,
    streamer: BaseStreamer | None = None,
    closed: Event | None = None,
) -> Tensor:
    """Return the new tokens, (batch, tokens), filled up with the pad token."""
    model, tokenizer = bundle.model, bundle.tokenizer
    features = None
    if images and vision is not None:
        features = vision(images)
    elif images:
        pictures = [open_image(image) for image in images]
        pixels: Tensor = bundle.image_processor(images=pictures, return_tensors="pt")["pixel_values"]
        features = model.vision_features(pixels)
    ids, mask = (part.to(model.device) for part in left_padded(prompts, bundle.pad_token_id))
    left = [n_context_tokens(bundle) - len(prompt) for prompt in prompts]
    config = generation_config(
        decoding,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=bundle.pad_token_id,
        stops=stops,
    )
    shown = model.inputs(ids, features, attention_mask=mask)
    with seeing(model.llm, shown.get(SIGHT)):
        written: Tensor = model.llm.generate(
            inputs_embeds=shown["inputs_embeds"],
            attention_mask=mask,
            generation_config=config,
            logits_processor=logits_processors(decoding, prompts),
            stopping_criteria=StoppingCriteriaList(
                [EndOfSpan([n - min(n_reserved, n // 2) for n in left]), _Closed(closed)]
            ),
            tokenizer=tokenizer,
            streamer=streamer,
        )
    return written


class _Closed(StoppingCriteria):
    """Ends all rows once nobody listens any more."""

    def __init__(self, closed: Event | None) -> None:
        self.closed = closed

    def __call__(self, input_ids: Tensor, scores: object, **_: object) -> Tensor:
        is_closed = self.closed is not None and self.closed.is_set()
        return torch.full((len(input_ids),), is_closed, device=input_ids.device)


class _TokenStreamer(BaseStreamer):
    """Hands the tokens written so far from the model's thread to the reader's."""

    def __init__(self) -> None:
        self.queue: SimpleQueue[list[int] | None] = SimpleQueue()

    def put(self, value: Tensor) -> None:
        self.queue.put(value.flatten().tolist())

    def end(self) -> None:
        self.queue.put(None)

    def __iter__(self) -> Iterator[list[int]]:
        tokens: list[int] = []
        while (new := self.queue.get()) is not None:
            tokens += new
            yield tokens


def _text(bundle: LlavaBundle, tokens: Sequence[int]) -> str:
    # Cleaning up would change, token by token, what a stream has told already.
    text: str = bundle.tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return text


def _stops(bundle: LlavaBundle, *more: str) -> list[str]:
    return [text for text in dict.fromkeys((bundle.template.stop_text, *more)) if text]


def _cut(text: str, *stops: str) -> str:
    for stop in stops:
        text = text.partition(stop)[0] if stop else text
    return text


def _pieces(texts: Iterator[str], stop_text: str) -> Iterator[str]:
    """Yield what each longer text adds, less the space around and an end that may become stop text."""
    n_told, text = 0, ""
    for written in texts:
        text = _cut(written, stop_text).strip()
        ready = text.rstrip(_HALF_A_CHARACTER)
        for n_signs in range(len(stop_text) - 1, 0, -1):
            ready = ready.removesuffix(stop_text[:n_signs])
        ready = ready.rstrip()
        if len(ready) > n_told:
            yield ready[n_told:]
            n_told = len(ready)
    if len(text) > n_told:
        yield text[n_told:]
