"""What is asked of a language model, what it replies, and what every backend is.

Words only: no backend here sends an image, as LLaVA's GPT-4 saw none. Left out: streams and tools.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """One turn of a chat."""

    role: Literal["system", "user", "assistant"]
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One reply that is wanted."""

    id: str
    """Unique among the requests of a run; names the record in errors and results."""
    messages: tuple[Message, ...]
    temperature: float = 0.0
    max_tokens: int = 1024
    """Longest reply, tokens."""
    attempt: int = 0
    """0, then 1, 2 ... where a malformed reply is asked for again: a request of its own to the cache."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """What a model said, and what it cost."""

    text: str
    finish: str
    """Why it ended, in the protocol's words: ``stop``, ``length`` (cut off), ``content_filter`` ..."""
    n_prompt_tokens: int
    n_completion_tokens: int


class BackendError(Exception):
    """A request that got no reply, after every retry; the run can go on with the others.

    Parameters
    ----------
    problem : str
    is_lasting : bool
        Whether the request itself was refused (too long, against a policy), and will be again.
    """

    def __init__(self, problem: str, *, is_lasting: bool = False) -> None:
        super().__init__(problem)
        self.is_lasting = is_lasting


class Backend(Protocol):
    """A language model."""

    @property
    def name(self) -> str:
        """Model and where it is, without any key; part of what the cache knows a reply by."""

    @property
    def batch_size(self) -> int:
        """Requests that are best asked together: 1 over HTTP."""

    def reply(self, requests: Sequence[Request]) -> list[Reply | BackendError]:
        """Return a reply, or why there is none, for each of up to `batch_size` requests.

        Raises
        ------
        InputError
            If no request can succeed: a wrong key, address or model name.
        """

    def n_tokens(self, messages: Sequence[Message]) -> int:
        """Return the length of a prompt, tokens; an estimate where the model's tokenizer is not at hand."""
