from collections import Counter
from collections.abc import Callable

import pytest

from llava_core.backends import openai_api
from llava_core.backends.chat import BackendError, Message, Reply, Request
from llava_core.backends.openai_api import OpenAIBackend
from llava_core.errors import InputError
from tests.chat_server import Fault, Said

REQUEST = Request(
    id="1",
    messages=(
        Message(role="system", text="Be brief."),
        Message(role="user", text="How many legs has a cat?"),
    ),
    temperature=0.2,
    max_tokens=9,
)


def failing(n_times: int, fault: Fault) -> Callable[[list[dict[str, str]]], str | Fault]:
    """Misbehave at first, then answer."""
    calls = Counter[str]()

    def answer(messages: list[dict[str, str]]) -> str | Fault:
        calls["n"] += 1
        return fault if calls["n"] <= n_times else "Four."

    return answer


def test_what_is_sent_and_what_comes_back(chat_server) -> None:
    server = chat_server(lambda messages: f"{messages[-1]['content']} Four.")
    backend = OpenAIBackend(model="gpt-4-0314", endpoint=server.url)
    [reply] = backend.reply([REQUEST])
    assert reply == Reply(
        text="How many legs has a cat? Four.", finish="stop", n_prompt_tokens=8, n_completion_tokens=7
    )
    assert server.requests == [
        {
            "model": "gpt-4-0314",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "How many legs has a cat?"},
            ],
            "temperature": 0.2,
            "max_tokens": 9,
        }
    ]
    assert server.keys == ["Bearer sk-secret"]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=429),
        Fault(status=500),
        Fault(status=503),
        Fault(cut=True),
        Fault(drop=True),
        Fault(body="this is no JSON"),
        Fault(body='{"choices": []}'),
        Fault(body='{"choices": [{"message": {"content": 7}}]}'),
        Fault(body='["a list"]'),
        Fault(hang_s=0.6),
    ],
    ids=lambda fault: str(fault)[6:60],
)
def test_what_passes_is_tried_again(chat_server, fault: Fault) -> None:
    server = chat_server(failing(2, fault))
    backend = OpenAIBackend(model="m", endpoint=server.url, n_retries=2, timeout_s=0.3)
    [reply] = backend.reply([REQUEST])
    assert isinstance(reply, Reply)
    assert reply.text == "Four."
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Fault(status=500), "status 500: as asked: 500"),
        (Fault(status=429), "status 429: as asked: 429"),
        (Fault(cut=True), "a broken reply 2 times"),
        (Fault(status=400, param="messages", code="context_length_exceeded"), "status 400: as asked: 400"),
        (Fault(status=422, param="x"), "status 422: as asked: 422"),
    ],
    ids=lambda value: str(value)[6:40],
)
def test_what_does_not_pass_is_one_failed_request(chat_server, fault: Fault, told: str) -> None:
    backend = OpenAIBackend(model="m", endpoint=chat_server(lambda _: fault).url, n_retries=1)
    [reply] = backend.reply([REQUEST])
    assert isinstance(reply, BackendError)
    assert told in str(reply)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Fault(status=401), "the key is read from OPENAI_API_KEY"),
        (Fault(status=403), "refuses with status 403"),
        (Fault(status=404), "field model: "),
        (Fault(status=400, param="temperature"), "field temperature: "),
        (Fault(status=429, code="insufficient_quota"), "refuses with status 429"),
        (Fault(drop=True), "field endpoint: no connection"),
        (Fault(hang_s=0.3), "field endpoint: no reply in time"),
    ],
    ids=lambda value: str(value)[6:40],
)
def test_what_no_request_can_mend_ends_the_run(chat_server, fault: Fault, told: str) -> None:
    backend = OpenAIBackend(model="m", endpoint=chat_server(lambda _: fault).url, n_retries=0, timeout_s=0.1)
    with pytest.raises(InputError) as raised:
        backend.reply([REQUEST])
    assert told in str(raised.value)
    assert "sk-secret" not in str(raised.value)


def test_a_server_that_was_there_and_went_is_a_failed_request(chat_server) -> None:
    server = chat_server(lambda messages: "Four." if "cat" in messages[-1]["content"] else Fault(drop=True))
    backend = OpenAIBackend(model="m", endpoint=server.url, n_retries=0)
    other = Request(id="2", messages=(Message(role="user", text="And a bird?"),))
    backend.reply([REQUEST])
    assert str(backend.reply([other])[0]) == "no connection, 1 times"


def test_newer_models_call_the_length_by_another_name(chat_server) -> None:
    server = chat_server(failing(1, Fault(status=400, param="max_tokens")))
    backend = OpenAIBackend(model="m", endpoint=server.url)
    assert all(isinstance(reply, Reply) for reply in backend.reply([REQUEST, REQUEST]))
    assert [request.get("max_completion_tokens") for request in server.requests] == [None, 9, 9]


def test_a_length_refused_under_both_names_ends_the_run(chat_server) -> None:
    server = chat_server(lambda _: Fault(status=400, param="max_tokens"))
    with pytest.raises(InputError, match=r"field max_tokens: .* refuses with status 400"):
        OpenAIBackend(model="m", endpoint=server.url).reply([REQUEST])
    assert [request.get("max_completion_tokens") for request in server.requests] == [None, 9]


def test_a_server_that_does_not_count(chat_server) -> None:
    server = chat_server(lambda _: Said("Four legs.", finish="length", usage=False))
    backend = OpenAIBackend(model="m", endpoint=server.url)
    [reply] = backend.reply([REQUEST])
    assert reply == Reply(
        text="Four legs.", finish="length", n_prompt_tokens=backend.n_tokens(REQUEST.messages),
        n_completion_tokens=3,
    )  # fmt: skip
    assert backend.n_tokens(REQUEST.messages) == 3 + 4 + 6 + 4


def test_the_key_and_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(InputError, match="OPENAI_API_KEY is not set"):
        OpenAIBackend(model="m")
    with pytest.raises(InputError, match="got 'localhost:8000', allowed is an address such as"):
        OpenAIBackend(model="m", endpoint="localhost:8000")
    with pytest.raises(InputError, match="got a user or key in the address") as raised:
        OpenAIBackend(model="m", endpoint="http://user:sk-secret@localhost:8000/v1")
    assert "sk-secret" not in str(raised.value)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:1234/v1")
    assert OpenAIBackend(model="m").name == "m at http://localhost:1234/v1"
    assert openai_api.OPENAI.startswith("https://")
