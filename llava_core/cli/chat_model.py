"""What commands that ask a language model share: which one, and what it may and will cost [edge]."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from llava_core.errors import InputError

if TYPE_CHECKING:
    from llava_core.backends.budget import Budget, Usage
    from llava_core.backends.cache import ReplyCache
    from llava_core.backends.chat import Backend, Request

Model = Annotated[
    str | None, typer.Option(help="Model at the endpoint, e.g. gpt-4o; the key is OPENAI_API_KEY.")
]
Endpoint = Annotated[
    str | None,
    typer.Option(
        help="OpenAI-compatible address up to /v1; else OPENAI_BASE_URL or OpenAI's.", show_default=False
    ),
]
Local = Annotated[
    str | None, typer.Option(help="In place of --model: a chat model of transformers, folder or hub name.")
]
Concurrency = Annotated[int, typer.Option(help="Requests under way at once.", min=1, max=256)]
Tries = Annotated[int, typer.Option(help="How often a malformed reply is asked for in all.", min=1)]
BudgetTokens = Annotated[
    int | None, typer.Option(help="Stop before so many tokens, earlier runs of this --out included.", min=1)
]
BudgetCost = Annotated[
    float | None, typer.Option(help="Stop before so much money, at --price-in and --price-out.", min=0.0)
]
PriceIn = Annotated[float | None, typer.Option(help="Price of a million prompt tokens.", min=0.0)]
PriceOut = Annotated[float | None, typer.Option(help="Price of a million reply tokens.", min=0.0)]


def open_backend(
    *,
    model: str | None,
    endpoint: str | None,
    local: str | None,
    device: str | None = None,
    dtype: str | None = None,
    seed: int = 0,
) -> "Backend":
    """Return the language model that the options name.

    Raises
    ------
    InputError
        If they name none or two, or the named one cannot be used.
    """
    if (model is None) == (local is None):
        raise InputError("got both or none of --model and --local, allowed is one", field="model")
    if local is not None:
        if endpoint is not None:
            raise InputError("got --endpoint beside --local, which needs none", field="endpoint")
        from llava_core.inference.local_chat import LocalBackend

        return LocalBackend(local, device=device, dtype=dtype, seed=seed)
    from llava_core.backends.openai_api import OpenAIBackend

    assert model is not None
    return OpenAIBackend(model=model, endpoint=endpoint)


def open_budget(
    *, tokens: int | None, cost: float | None, price_in: float | None, price_out: float | None
) -> "Budget":
    """Return the budget that the options name.

    Raises
    ------
    InputError
        If one price is there and not the other, or a budget in money without prices.
    """
    from llava_core.backends.budget import Budget, Prices

    if (price_in is None) != (price_out is None):
        raise InputError("got one of --price-in and --price-out, allowed are both or none", field="price")
    prices = None
    if price_in is not None and price_out is not None:
        prices = Prices(prompt_per_million=price_in, completion_per_million=price_out)
    return Budget(max_tokens=tokens, max_cost=cost, prices=prices)


def tell_estimate(
    backend: "Backend", requests: Sequence["Request"], cache: "ReplyCache", budget: "Budget"
) -> None:
    """Say, before anything is asked, how much is already there and what the rest will take at most."""
    from llava_core.backends.budget import estimate

    missing = [request for request in requests if cache.get(backend, request) is None]
    ahead, spent = estimate(backend, missing), cache.spent
    lines = [f"{len(requests):,} requests to {backend.name}"]
    if spent.n_requests and not requests:
        lines.append(f"spent so far: {spent.n_tokens:,} tokens{_money(spent, budget)}")
    elif spent.n_requests:
        lines.append(
            f"{len(requests) - len(missing):,} of them are answered already; spent so far: "
            f"{spent.n_tokens:,} tokens{_money(spent, budget)}"
        )
    if missing:
        lines.append(
            f"{len(missing):,} to ask, each once: about {ahead.n_prompt_tokens:,} prompt tokens and at most "
            f"{ahead.n_completion_tokens:,} reply tokens{_money(ahead, budget)}"
        )
    if not budget.covers(spent + ahead):
        lines.append("the budget may end before they do; the run then stops and can go on later")
    for line in lines:
        typer.echo(line, err=True)


def _money(usage: "Usage", budget: "Budget") -> str:
    return "" if budget.prices is None else f", {usage.cost(budget.prices):,.2f} in money"
