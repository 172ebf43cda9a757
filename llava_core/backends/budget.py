"""Tokens and money: what requests will cost at most, what was spent, and where to stop.

Prices are the user's to tell; none is built in, as they change. A request that was sent and never answered
(a time-out) counts nothing here, though the other side may charge for it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from threading import Condition

from llava_core.backends.chat import Backend, Request
from llava_core.errors import InputError

MILLION = 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Prices:
    """In any currency, per million tokens."""

    prompt_per_million: float
    completion_per_million: float

    def __post_init__(self) -> None:
        if not (self.prompt_per_million >= 0 and self.completion_per_million >= 0):
            raise InputError("got a price below 0, allowed are 0 and more", field="price")


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """What replies took."""

    n_requests: int = 0
    n_prompt_tokens: int = 0
    n_completion_tokens: int = 0

    @property
    def n_tokens(self) -> int:
        """Tokens in both directions."""
        return self.n_prompt_tokens + self.n_completion_tokens

    def cost(self, prices: Prices) -> float:
        """Return what this costs.

        Examples
        --------
        >>> usage = Usage(n_requests=2, n_prompt_tokens=500_000, n_completion_tokens=100_000)
        >>> usage.cost(Prices(prompt_per_million=2.0, completion_per_million=8.0))
        1.8
        """
        return (
            self.n_prompt_tokens * prices.prompt_per_million
            + self.n_completion_tokens * prices.completion_per_million
        ) / MILLION

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            n_requests=self.n_requests + other.n_requests,
            n_prompt_tokens=self.n_prompt_tokens + other.n_prompt_tokens,
            n_completion_tokens=self.n_completion_tokens + other.n_completion_tokens,
        )

    def __sub__(self, other: "Usage") -> "Usage":
        return Usage(
            n_requests=self.n_requests - other.n_requests,
            n_prompt_tokens=self.n_prompt_tokens - other.n_prompt_tokens,
            n_completion_tokens=self.n_completion_tokens - other.n_completion_tokens,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """The most that a run, over all its resumptions, may spend; None for no limit."""

    max_tokens: int | None = None
    max_cost: float | None = None
    prices: Prices | None = None

    def __post_init__(self) -> None:
        if self.max_cost is not None and self.prices is None:
            raise InputError("got a budget in money without prices; tell both", field="budget")

    def covers(self, usage: Usage) -> bool:
        """Return whether so much may be spent in all."""
        if self.max_tokens is not None and usage.n_tokens > self.max_tokens:
            return False
        return self.max_cost is None or self.prices is None or usage.cost(self.prices) <= self.max_cost


def at_most(backend: Backend, request: Request) -> Usage:
    """Return what one request takes if its reply is as long as it may be."""
    return Usage(
        n_requests=1,
        n_prompt_tokens=backend.n_tokens(request.messages),
        n_completion_tokens=request.max_tokens,
    )


def estimate(backend: Backend, requests: Iterable[Request]) -> Usage:
    """Return what requests take, asked once each, if every reply is as long as it may be."""
    return sum((at_most(backend, request) for request in requests), Usage())


class Purse:
    """What is spent and what requests under way may still take; shared by the threads that ask.

    Parameters
    ----------
    budget : Budget
    spent : Usage
        Before, by the same run.
    """

    def __init__(self, budget: Budget, spent: Usage) -> None:
        self._budget = budget
        self._spent = spent
        self._reserved = Usage()
        self._is_closed = False
        self._change = Condition()

    def reserve(self, usage: Usage) -> bool:
        """Set tokens aside for a request, waiting for those under way where only they stand in its way.

        Returns
        -------
        bool
            False where the budget does not cover it; then it covers no later request either.
        """
        with self._change:
            while not self._is_closed:
                if self._budget.covers(self._spent + self._reserved + usage):
                    self._reserved += usage
                    return True
                if self._reserved.n_requests == 0:
                    self._is_closed = True
                    break
                self._change.wait()
            self._change.notify_all()
            return False

    def settle(self, reserved: Usage, taken: Usage) -> None:
        """Put what was set aside back, and take what the request really took."""
        with self._change:
            self._reserved -= reserved
            self._spent += taken
            self._change.notify_all()
