"""Many requests to one backend: several at once, through the cache, within a budget, in their order.

A reply that does not keep to its format is asked for again, and after the last try handed back with all its
texts: nothing is dropped. Left out: anything about what the replies mean, which the caller's ``read`` knows.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Generic, Literal, TypeVar

from llava_core.backends.budget import Budget, Purse, Usage, at_most
from llava_core.backends.cache import ReplyCache
from llava_core.backends.chat import Backend, BackendError, Reply, Request
from llava_core.errors import InputError

Value = TypeVar("Value")
_AHEAD = 2
"""Batches that wait for each thread; few, so that memory stays level over any number of requests."""


GIVE_UP = 20
"""Requests in a row without a reply after which nobody seems to be there any more."""


class Malformed(ValueError):
    """A reply that does not keep to its format; its text is the reason."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome(Generic[Value]):
    """What came of a request."""

    request: Request
    """As it was given, first attempt."""
    kind: Literal["read", "malformed", "failed", "unasked"]
    """failed: no reply after every retry; unasked: the budget does not cover it."""
    value: Value | None = None
    """What was read; for kind ``read`` only."""
    texts: tuple[str, ...] = ()
    """Every reply there was, the last one last."""
    problem: str | None = None
    """Why there is no value."""
    is_lasting: bool = False
    """Of kind ``failed``: the request itself was refused, and will be again."""


def ask_all(
    backend: Backend,
    requests: Iterable[Request],
    read: Callable[[Request, Reply], Value],
    *,
    cache: ReplyCache,
    budget: Budget | None = None,
    n_tries: int = 1,
    concurrency: int = 8,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Outcome[Value]]:
    """Yield what came of each request, in their order.

    Parameters
    ----------
    backend : Backend
    requests : iterable of Request
    read : callable
        Turns a reply into a value, or raises `Malformed`. A reply that was cut off is read as well.
    cache : ReplyCache
        Asked first; holds every reply before it is read.
    budget : Budget, optional
        Counts all that the cache holds. Where it does not cover a request, that one and those after it that
        the cache does not know are left unasked.
    n_tries : int
        How often a reply is asked for until it can be read.
    concurrency : int
        Batches under way at once.
    progress : callable, optional
        Called with (requests done, requests in all).

    Raises
    ------
    InputError
        If no request can succeed, e.g. for a wrong key, or `GIVE_UP` in a row got no reply. Replies that came
        before are in the cache.
    """
    asked = list(requests)
    asker = _Asker(backend, read, cache, Purse(budget or Budget(), cache.spent), n_tries)
    batches = deque(
        asked[start : start + backend.batch_size] for start in range(0, len(asked), backend.batch_size)
    )
    waiting: deque[Future[list[Outcome[Value]]]] = deque()
    n_done = n_lost = 0
    with ThreadPoolExecutor(concurrency) as pool:
        try:
            while batches or waiting:
                while batches and len(waiting) < _AHEAD * concurrency:
                    waiting.append(pool.submit(asker.outcomes, batches.popleft()))
                for outcome in waiting.popleft().result():
                    n_done += 1
                    lost = outcome.kind == "failed" and not outcome.is_lasting
                    n_lost = n_lost + 1 if lost else 0
                    if n_lost == GIVE_UP:
                        raise InputError(
                            f"{GIVE_UP} requests in a row got no reply ({outcome.problem}); "
                            "the replies before are kept, run again to go on"
                        )
                    if progress is not None:
                        progress(n_done, len(asked))
                    yield outcome
        finally:  # whoever stops listening, or Ctrl-C: what is under way ends, nothing new begins
            for future in waiting:
                future.cancel()


class _Asker(Generic[Value]):
    """Brings batches of requests to their outcomes; called by several threads."""

    def __init__(
        self,
        backend: Backend,
        read: Callable[[Request, Reply], Value],
        cache: ReplyCache,
        purse: Purse,
        n_tries: int,
    ) -> None:
        self.backend = backend
        self.read = read
        self.cache = cache
        self.purse = purse
        self.n_tries = n_tries

    def outcomes(self, requests: Sequence[Request]) -> list[Outcome[Value]]:
        """Return the outcomes of one batch."""
        found: dict[int, Outcome[Value]] = {}
        texts: list[tuple[str, ...]] = [()] * len(requests)
        for attempt in range(self.n_tries):
            left = [place for place in range(len(requests)) if place not in found]
            tried = [replace(requests[place], attempt=attempt) for place in left]
            for place, request, reply in zip(left, tried, self._replies(tried), strict=True):
                given = requests[place]
                if reply is None:
                    found[place] = Outcome(
                        request=given, kind="unasked", texts=texts[place], problem="the budget is used up"
                    )
                elif isinstance(reply, BackendError):
                    found[place] = Outcome(
                        request=given,
                        kind="failed",
                        texts=texts[place],
                        problem=str(reply),
                        is_lasting=reply.is_lasting,
                    )
                else:
                    texts[place] += (reply.text,)
                    try:
                        value = self.read(request, reply)
                    except Malformed as error:
                        if attempt + 1 == self.n_tries:
                            found[place] = Outcome(
                                request=given, kind="malformed", texts=texts[place], problem=str(error)
                            )
                    else:
                        found[place] = Outcome(request=given, kind="read", value=value, texts=texts[place])
        return [found[place] for place in range(len(requests))]

    def _replies(self, requests: Sequence[Request]) -> list[Reply | BackendError | None]:
        """Return replies from the cache or the backend; None where the budget does not cover one."""
        replies: list[Reply | BackendError | None] = [
            self.cache.get(self.backend, request) for request in requests
        ]
        missing = [place for place, reply in enumerate(replies) if reply is None]
        reserved = {place: at_most(self.backend, requests[place]) for place in missing}
        # One reservation for all: threads that each held a part and waited for the rest would wait for ever.
        whole = sum(reserved.values(), Usage())
        if not missing or not self.purse.reserve(whole):
            return replies
        taken = Usage()
        try:
            came = self.backend.reply([requests[place] for place in missing])
            for place, reply in zip(missing, came, strict=True):
                replies[place] = reply
                if isinstance(reply, Reply):
                    self.cache.put(self.backend, requests[place], reply)
                    taken += Usage(
                        n_requests=1,
                        n_prompt_tokens=reply.n_prompt_tokens,
                        n_completion_tokens=reply.n_completion_tokens,
                    )
        finally:
            self.purse.settle(whole, taken)
        return replies
