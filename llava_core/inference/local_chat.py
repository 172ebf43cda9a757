"""A language model in this process as a backend: any causal one of transformers with a chat template [edge].

Replies are decoded like LLaVA's answers (`llava_core.inference.decoding`): each prompt has its own random
draws, so that a reply does not depend on its batch. Left out: quantised loading, models on several devices.
"""

from collections.abc import Sequence
from dataclasses import replace
from threading import Lock

import torch
from jinja2 import TemplateError
from transformers import AutoModelForCausalLM, StoppingCriteriaList

from llava_core.backends.chat import BackendError, Message, Reply, Request
from llava_core.checkpoint.load import folder_hash
from llava_core.checkpoint.sources import find_folder, load_whole, read_tokenizer
from llava_core.errors import InputError
from llava_core.inference.asking import left_padded
from llava_core.inference.decoding import Decoding, EndOfSpan, generation_config, logits_processors
from llava_core.inference.place import choose_place


class LocalBackend:
    """A causal language model on this machine.

    Parameters
    ----------
    checkpoint : str
        Folder or hub name.
    device, dtype : str, optional
        As for `llava_core.inference.place.choose_place`.
    batch_size : int
        Requests decoded together.
    seed : int
        Of the draws at a temperature above 0.

    Raises
    ------
    InputError
        If there is no such model, it is no causal language model, or it has no chat template.
    """

    def __init__(
        self,
        checkpoint: str,
        *,
        device: str | None = None,
        dtype: str | None = None,
        batch_size: int = 8,
        seed: int = 0,
    ) -> None:
        place, precision = choose_place(device, dtype)
        folder = find_folder(checkpoint)
        self.batch_size = batch_size
        self._seed = seed
        self._checkpoint = f"{checkpoint} ({folder_hash(folder)[:12]})"
        self._dtype = str(precision).removeprefix("torch.")
        self._tokenizer = read_tokenizer(folder)
        if self._tokenizer.chat_template is None:
            raise InputError("has no chat template, which says how it is asked", path=folder)
        self._model = load_whole(AutoModelForCausalLM, folder, dtype=precision).to(place).eval()
        eos = self._model.generation_config.eos_token_id
        ends = eos if isinstance(eos, list) else [eos]
        self._ends = sorted({end for end in (*ends, self._tokenizer.eos_token_id) if end is not None})
        self._span = int(self._model.config.max_position_embeddings)
        self._lock = Lock()

    @property
    def name(self) -> str:
        """Checkpoint and what its files hold, precision, seed."""
        return f"{self._checkpoint} in {self._dtype}, seed {self._seed}"

    def n_tokens(self, messages: Sequence[Message]) -> int:
        """Return the length of a prompt, tokens."""
        return len(self._ids(messages))

    def reply(self, requests: Sequence[Request]) -> list[Reply | BackendError]:
        """Return a reply for each request, or that its prompt is longer than the model's span."""
        prompts = [self._ids(request.messages) for request in requests]
        replies: list[Reply | BackendError] = [
            BackendError(
                f"a prompt of {len(prompt)} tokens, the model's span is {self._span}", is_lasting=True
            )
            for prompt in prompts
        ]
        with self._lock:
            for decoding, places in self._by_settings(requests).items():
                fit = [place for place in places if len(prompts[place]) < self._span]
                written = self._decode([prompts[place] for place in fit], decoding) if fit else []
                for place, reply in zip(fit, written, strict=True):
                    replies[place] = reply
        return replies

    def _by_settings(self, requests: Sequence[Request]) -> dict[Decoding, list[int]]:
        """Return the places of the requests that are decoded alike."""
        places: dict[Decoding, list[int]] = {}
        for place, request in enumerate(requests):
            decoding = Decoding(
                max_new_tokens=request.max_tokens,
                temperature=request.temperature,
                seed=self._seed + request.attempt,
            )
            places.setdefault(decoding, []).append(place)
        return places

    def _ids(self, messages: Sequence[Message]) -> list[int]:
        try:
            text = self._told(messages)
        except TemplateError:  # Gemma's and others refuse a system message
            try:
                text = self._told(_without_system(messages))
            except TemplateError as error:
                raise InputError(
                    f"the chat template of {self._checkpoint} refuses what it is asked ({error})",
                    field="local",
                ) from None
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _told(self, messages: Sequence[Message]) -> str:
        told = [{"role": message.role, "content": message.text} for message in messages]
        return str(self._tokenizer.apply_chat_template(told, tokenize=False, add_generation_prompt=True))

    @torch.inference_mode()
    def _decode(self, prompts: Sequence[Sequence[int]], decoding: Decoding) -> list[Reply]:
        pad = self._ends[0] if self._ends else 0
        ids, mask = (part.to(self._model.device) for part in left_padded(prompts, pad))
        width = ids.shape[1]
        ends = [width + self._span - len(prompt) for prompt in prompts]
        written = self._model.generate(
            ids,
            attention_mask=mask,
            generation_config=generation_config(decoding, eos_token_id=self._ends or None, pad_token_id=pad),
            logits_processor=logits_processors(decoding, prompts),
            stopping_criteria=StoppingCriteriaList([EndOfSpan(ends)]),
        )
        replies = []
        for prompt, row in zip(prompts, written[:, width:].tolist(), strict=True):
            n_written = next((n for n, token in enumerate(row) if token in self._ends), None)
            told = row if n_written is None else row[:n_written]
            replies.append(
                Reply(
                    text=self._tokenizer.decode(told, skip_special_tokens=True).strip(),
                    finish="length" if n_written is None else "stop",
                    n_prompt_tokens=len(prompt),
                    n_completion_tokens=len(told),
                )
            )
        return replies


def _without_system(messages: Sequence[Message]) -> list[Message]:
    """Return the messages with what the system says at the head of the first that the user says."""
    system = [message.text for message in messages if message.role == "system"]
    others = [message for message in messages if message.role != "system"]
    if system and others:
        others[0] = replace(others[0], text="\n\n".join([*system, others[0].text]))
    return others
