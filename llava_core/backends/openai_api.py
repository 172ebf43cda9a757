"""Models behind an endpoint in OpenAI's protocol (OpenAI, vLLM, a local server), through `openai` [edge].

The client waits and tries again by itself after 408, 409, 429 (as long as ``Retry-After`` says) and 5xx,
refused connections and time-outs; a body that was cut off or is no completion is tried again here. The key
comes from ``OPENAI_API_KEY`` and is told nowhere. Left out: streaming, and OpenAI's older completions.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from llava_core.backends.chat import BackendError, Message, Reply, Request
from llava_core.errors import InputError
from llava_core.keys import tells_secret, without_secrets

if TYPE_CHECKING:
    from openai import APIStatusError

KEY = "OPENAI_API_KEY"
OPENAI = "https://api.openai.com/v1"
_BYTES_PER_TOKEN = 4
"""English text; the model's own tokenizer is not at hand."""
_TOKENS_PER_MESSAGE = 4
_NO_CREDIT = "insufficient_quota"
_PASSING = (408, 409, 429)
"""Refusals below 500 that another time may not meet."""
_LENGTH, _NEWER_LENGTH = "max_tokens", "max_completion_tokens"
_OUR_FIELDS = ("model", "temperature", "messages", _LENGTH, _NEWER_LENGTH)


class OpenAIBackend:
    """A model behind an endpoint.

    Parameters
    ----------
    model : str
        Name that the endpoint knows.
    endpoint : str, optional
        Address up to ``/v1``; ``OPENAI_BASE_URL``, else OpenAI's own, if not given.
    n_retries : int
        Further tries of a request that failed; 12 wait for about 70 s, so that a limit per minute passes.
    timeout_s : float
        Seconds to wait for one reply.

    Raises
    ------
    InputError
        If the client is not installed, the address is none, or there is no key for OpenAI's own endpoint.
    """

    batch_size = 1

    def __init__(
        self, *, model: str, endpoint: str | None = None, n_retries: int = 12, timeout_s: float = 120.0
    ) -> None:
        try:
            from openai import OpenAI
        except ModuleNotFoundError:
            raise InputError(
                "needs the extra chat: pip install 'llava-ensembles[chat]'", field="endpoint"
            ) from None
        address = endpoint or os.environ.get("OPENAI_BASE_URL") or OPENAI
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(
                f"got {without_secrets(address)!r}, allowed is an address such as http://localhost:8000/v1",
                field="endpoint",
            )
        if parts.username is not None or tells_secret(address):
            raise InputError(f"got a user or key in the address; keys are read from {KEY}", field="endpoint")
        key = os.environ.get(KEY)
        if not key and address.startswith(OPENAI):
            raise InputError(f"{KEY} is not set; name a key, or another --endpoint", field="endpoint")
        self.model = model
        self.n_retries = n_retries
        # A server of one's own asks for no key, but the client insists on one.
        self._client = OpenAI(
            api_key=key or "none", base_url=address, max_retries=n_retries, timeout=timeout_s
        )
        self._where = address
        self._length_field = _LENGTH
        self._has_answered = False
        self._lock = Lock()

    @property
    def name(self) -> str:
        """Model and address."""
        return f"{self.model} at {self._where}"

    def n_tokens(self, messages: Sequence[Message]) -> int:
        """Return a rough length of a prompt: four bytes a token, four tokens a message."""
        return sum(
            -(-len(message.text.encode()) // _BYTES_PER_TOKEN) + _TOKENS_PER_MESSAGE for message in messages
        )

    def reply(self, requests: Sequence[Request]) -> list[Reply | BackendError]:
        """Return a reply, or why there is none, for each request.

        Raises
        ------
        InputError
            If the endpoint refuses key, model or settings, or has never been there.
        """
        return [self._reply(request) for request in requests]

    def _reply(self, request: Request) -> Reply | BackendError:
        import openai

        problem = ""
        for _ in range(self.n_retries + 1):
            length_field = self._length_field
            try:
                reply = self._asked(request, length_field)
            except openai.APIStatusError as error:
                return self._refused(request, error, length_field)
            except openai.APIConnectionError as error:
                said = "no reply in time" if isinstance(error, openai.APITimeoutError) else "no connection"
                if not self._has_answered:
                    raise InputError(f"{said}: {self._where}", field="endpoint") from None
                return BackendError(f"{said}, {self.n_retries + 1} times")
            except (json.JSONDecodeError, openai.APIResponseValidationError, _NoCompletion) as error:
                problem = str(error).partition("\n")[0]
                continue
            self._has_answered = True
            return reply
        return BackendError(f"a broken reply {self.n_retries + 1} times ({problem})")

    def _asked(self, request: Request, length_field: str) -> Reply:
        settings: dict[str, Any] = {
            "temperature": request.temperature,
            length_field: request.max_tokens,
        }
        completion: Any = self._client.chat.completions.create(
            model=self.model,
            messages=[{"role": message.role, "content": message.text} for message in request.messages],  # type: ignore[misc]
            **settings,
        )
        try:
            choice = completion.choices[0]
            text = choice.message.content or choice.message.refusal or ""
            usage = completion.usage
        except (AttributeError, IndexError, TypeError):
            raise _NoCompletion("no completion in it") from None
        if not isinstance(text, str):
            raise _NoCompletion("its content is no text")
        reply = Reply(
            text=text,
            finish=choice.finish_reason or "stop",
            n_prompt_tokens=self.n_tokens(request.messages),
            n_completion_tokens=-(-len(text.encode()) // _BYTES_PER_TOKEN),
        )
        if usage is None:  # some servers do not count
            return reply
        return replace(
            reply, n_prompt_tokens=usage.prompt_tokens, n_completion_tokens=usage.completion_tokens
        )

    def _refused(self, request: Request, error: "APIStatusError", sent: str) -> Reply | BackendError:
        """Return why one request was refused, or raise where all will be.

        OpenAI's newer models refuse ``max_tokens`` and want ``max_completion_tokens``, which older servers do
        not know: the second name is taken after the first was refused. A length that is refused under both
        is too long for the model.
        """
        status, field = error.status_code, error.param
        said = f"{self._where} refuses with status {status}: {_words(error)}"
        if status == 400 and field == _LENGTH and sent == _LENGTH:
            with self._lock:
                self._length_field = _NEWER_LENGTH
            return self._reply(request)
        if status == 400 and field in _OUR_FIELDS and "context_length" not in str(error.code):
            raise InputError(said, field=field) from None
        if status in (401, 403):
            raise InputError(f"{said} (the key is read from {KEY})", field="endpoint") from None
        if status == 404:
            raise InputError(said, field="model") from None
        if error.code == _NO_CREDIT:
            raise InputError(said, field="endpoint") from None
        return BackendError(
            f"status {status}: {_words(error)}", is_lasting=status < 500 and status not in _PASSING
        )


class _NoCompletion(Exception):
    """A body that is JSON, but no completion."""


def _words(error: "APIStatusError") -> str:
    """Return the server's own words, in one line, without the key should it repeat it."""
    body = error.body
    said = body.get("message") if isinstance(body, dict) else body
    return without_secrets(" ".join(str(said or error.message).split()))[:300]
