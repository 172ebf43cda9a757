import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from llava_core.backends.asking import Malformed, Outcome, ask_all
from llava_core.backends.budget import Budget, Prices, Purse, Usage, estimate
from llava_core.backends.cache import ReplyCache
from llava_core.backends.chat import BackendError, Message, Reply, Request
from llava_core.errors import InputError


class Echo:
    """Says the last message again; ten tokens each way."""

    def __init__(self, *, batch_size: int = 1, name: str = "echo") -> None:
        self.batch_size = batch_size
        self.name = name
        self.asked: list[Request] = []
        self.lock = threading.Lock()

    def n_tokens(self, messages: Sequence[Message]) -> int:
        return 10

    def reply(self, requests: Sequence[Request]) -> list[Reply | BackendError]:
        with self.lock:
            self.asked += requests
        return [self.say(request) for request in requests]

    def say(self, request: Request) -> Reply | BackendError:
        text = request.messages[-1].text
        if text == "fail":
            return BackendError("status 500")
        return Reply(text=text, finish="stop", n_prompt_tokens=10, n_completion_tokens=10)


def requests_of(*texts: str) -> list[Request]:
    return [
        Request(id=str(n), messages=(Message(role="user", text=text),), max_tokens=30)
        for n, text in enumerate(texts)
    ]


def number(request: Request, reply: Reply) -> int:
    try:
        return int(reply.text)
    except ValueError:
        raise Malformed(f"got {reply.text!r}, expected a number") from None


@pytest.mark.parametrize("concurrency", [1, 3])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_outcomes_come_in_order(concurrency: int, batch_size: int) -> None:
    class Slow(Echo):
        def say(self, request: Request) -> Reply | BackendError:
            time.sleep(0.02 if request.id == "0" else 0)  # the first is the last to be ready
            return super().say(request)

    ticks: list[tuple[int, int]] = []
    backend = Slow(batch_size=batch_size)
    asked = requests_of(*map(str, range(30)))
    with ReplyCache(None) as cache:
        outcomes = list(
            ask_all(
                backend, asked, number, cache=cache, concurrency=concurrency,
                progress=lambda *tick: ticks.append(tick),
            )
        )  # fmt: skip
    assert [outcome.value for outcome in outcomes] == list(range(30))
    assert [outcome.request for outcome in outcomes] == asked
    assert ticks == [(n + 1, 30) for n in range(30)]


@pytest.mark.parametrize("batch_size", [1, 3])
def test_malformed_replies_are_asked_again_and_kept(batch_size: int) -> None:
    class Twice(Echo):
        def say(self, request: Request) -> Reply | BackendError:
            text = request.messages[-1].text
            said = "7" if text == "later" and request.attempt == 1 else f"{text} {request.attempt}"
            return Reply(text=said, finish="stop", n_prompt_tokens=1, n_completion_tokens=1)

    backend = Twice(batch_size=batch_size)
    asked = requests_of("never", "later")
    with ReplyCache(None) as cache:
        never, later = ask_all(backend, asked, number, cache=cache, n_tries=3)
    assert never == Outcome(
        request=asked[0], kind="malformed", texts=("never 0", "never 1", "never 2"),
        problem="got 'never 2', expected a number",
    )  # fmt: skip
    assert later == Outcome(request=asked[1], kind="read", value=7, texts=("later 0", "7"))


def test_a_failed_request_stops_no_other(tmp_path: Path) -> None:
    with ReplyCache(tmp_path / "replies.sqlite") as cache:
        kinds = [
            outcome.kind for outcome in ask_all(Echo(), requests_of("1", "fail", "2"), number, cache=cache)
        ]
    assert kinds == ["read", "failed", "read"]


def test_a_second_run_pays_for_nothing_twice(tmp_path: Path) -> None:
    asked = requests_of("1", "no number", "fail", "3")
    path = tmp_path / "folder" / "replies.sqlite"
    with ReplyCache(path) as cache:
        first = list(ask_all(Echo(), asked, number, cache=cache, n_tries=2))
    again = Echo()
    with ReplyCache(path) as cache:
        assert list(ask_all(again, asked, number, cache=cache, n_tries=2)) == first
        assert cache.spent == Usage(n_requests=4, n_prompt_tokens=40, n_completion_tokens=40)
    assert [request.id for request in again.asked] == ["2"]


def test_a_run_that_ends_early_has_kept_what_came(tmp_path: Path) -> None:
    path = tmp_path / "replies.sqlite"
    backend = Echo()
    with ReplyCache(path) as cache:
        outcomes = ask_all(backend, requests_of(*map(str, range(50))), number, cache=cache, concurrency=2)
        next(outcomes)
        outcomes.close()
        assert cache.spent.n_requests == len(backend.asked) < 50


@pytest.mark.parametrize(
    "changed",
    [
        {"temperature": 0.5},
        {"max_tokens": 31},
        {"messages": (Message(role="system", text="1"),)},
        {"attempt": 1},
    ],
)
def test_the_cache_knows_all_that_a_reply_depends_on(changed) -> None:
    from dataclasses import replace

    [request] = requests_of("1")
    reply = Reply(text="x", finish="length", n_prompt_tokens=3, n_completion_tokens=4)
    with ReplyCache(None) as cache:
        cache.put(Echo(), request, reply)
        assert cache.get(Echo(), replace(request, id="other")) == reply
        assert cache.get(Echo(), replace(request, **changed)) is None
        assert cache.get(Echo(name="another"), request) is None


def test_another_file_is_no_cache(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database at all, but some words that are long enough to be looked at")
    with pytest.raises(InputError, match=r"notes.txt: cannot be used as a cache of replies"):
        ReplyCache(path)
    assert path.read_text().startswith("not a database")


@pytest.mark.parametrize("concurrency", [1, 4])
def test_the_budget_is_kept_and_all_that_is_left_is_told(concurrency: int) -> None:
    # A reply takes 20 tokens and may take 40: of 100, four are asked (60 + 40 <= 100), the fifth is not.
    backend = Echo()
    with ReplyCache(None) as cache:
        outcomes = list(
            ask_all(
                backend, requests_of(*map(str, range(9))), number, cache=cache,
                budget=Budget(max_tokens=100), concurrency=concurrency,
            )
        )  # fmt: skip
        kinds = [outcome.kind for outcome in outcomes]
        assert len(kinds) == 9
        assert kinds.count("read") == 4
        assert kinds.count("unasked") == 5
        assert cache.spent.n_tokens == 80
        # What is known costs nothing, so it is still read.
        again = list(
            ask_all(
                backend, requests_of(*map(str, range(9))), number, cache=cache, budget=Budget(max_tokens=1)
            )
        )
        assert [outcome.kind for outcome in again] == kinds
    assert len(backend.asked) == 4


def test_a_budget_in_money() -> None:
    prices = Prices(prompt_per_million=100_000, completion_per_million=200_000)
    backend = Echo()
    [request] = requests_of("1")
    assert estimate(backend, [request] * 3).cost(prices) == pytest.approx(3 * (1 + 6))
    with ReplyCache(None) as cache:
        budget = Budget(max_cost=10.0, prices=prices)  # 3 a reply, 7 at most: two are asked
        outcomes = ask_all(backend, requests_of("1", "2", "3"), number, cache=cache, budget=budget)
        # Which two is chance: they are asked side by side.
        assert sorted(outcome.kind for outcome in outcomes) == ["read", "read", "unasked"]
    with pytest.raises(InputError, match="without prices"):
        Budget(max_cost=1.0)
    with pytest.raises(InputError, match="below 0"):
        Prices(prompt_per_million=-1, completion_per_million=0)


def test_a_purse_waits_for_those_under_way_only() -> None:
    each = Usage(n_requests=1, n_prompt_tokens=60)
    purse = Purse(Budget(max_tokens=100), Usage())
    assert purse.reserve(each)
    got: list[bool] = []
    waiting = threading.Thread(target=lambda: got.append(purse.reserve(each)))
    waiting.start()
    purse.settle(each, Usage(n_requests=1, n_prompt_tokens=30))
    waiting.join(10)
    assert got == [True]
    purse.settle(each, each)
    assert not purse.reserve(each)
    assert not purse.reserve(Usage(n_requests=1, n_prompt_tokens=1))


def test_wrong_input_ends_the_run_at_once() -> None:
    class Refused(Echo):
        def reply(self, requests: Sequence[Request]) -> list[Reply | BackendError]:
            self.asked += requests
            raise InputError("refused", field="endpoint")

    backend = Refused()
    with ReplyCache(None) as cache, pytest.raises(InputError, match="refused"):
        list(ask_all(backend, requests_of(*map(str, range(100))), number, cache=cache, concurrency=2))
    assert len(backend.asked) < 20


def test_a_backend_that_has_gone_ends_the_run_and_one_refused_request_does_not() -> None:
    class Gone(Echo):
        def say(self, request: Request) -> Reply | BackendError:
            is_lasting = request.messages[-1].text == "refused"
            return BackendError("no connection", is_lasting=is_lasting)

    with ReplyCache(None) as cache:
        refused = list(ask_all(Gone(), requests_of(*["refused"] * 50), number, cache=cache))
        assert [(outcome.kind, outcome.is_lasting) for outcome in refused] == [("failed", True)] * 50
        gone = Gone()
        with pytest.raises(InputError, match=r"20 requests in a row got no reply \(no connection\)"):
            list(ask_all(gone, requests_of(*map(str, range(1000))), number, cache=cache))
        assert len(gone.asked) < 100
