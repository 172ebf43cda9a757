"""The command against a real server that misbehaves on purpose."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from llava_core.backends.openai_api import OpenAIBackend
from llava_core.cli import app
from llava_core.cli import generate as command
from llava_core.data.llava_json import load_conversations
from llava_core.errors import InputError
from tests.chat_server import Answer, ChatServer, Fault, Said
from tests.llava_core.instructions.conftest import good_reply

StartServer = Callable[[Answer], ChatServer]
WriteScenes = Callable[[int], Path]
KINDS = ("conversation", "detail", "reasoning")


def run(scenes: Path, server: ChatServer, out: Path, *words: str) -> Result:
    given = ["generate", "--scenes", str(scenes), "--endpoint", server.url, "--model", "m", "--out", str(out)]
    return CliRunner().invoke(app, [*given, *words], env={"COLUMNS": "80"})


def summary_of(out: Path) -> dict[str, Any]:
    return json.loads((out / "summary.json").read_text())


def asked(server: ChatServer) -> Counter[str]:
    """Return how often each request was seen."""
    return Counter(json.dumps(body["messages"]) for body in server.requests)


def set_aside(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "set_aside.jsonl").read_text().splitlines()]


def test_writes_records_that_training_reads(
    tmp_path: Path, write_scenes: WriteScenes, chat_server: StartServer
) -> None:
    out = tmp_path / "out"
    result = run(write_scenes(6), chat_server(good_reply), out)
    assert result.exit_code == 0, result.output
    assert max(len(line) for line in result.stdout.splitlines()) <= 80 or str(out) in result.stdout
    assert "written:" in result.stdout
    n_turns = {"conversation": 4, "detail": 2, "reasoning": 2}
    for kind in KINDS:
        found = load_conversations(out / f"{kind}.json", tmp_path, check_images=False)
        assert len(found.conversations) == found.n_with_images == 6
        assert {len(each.turns) for each in found.conversations} == {n_turns[kind]}
        assert {each.id for each in found.conversations} == {f"{n:03d}" for n in range(6)}
    joined = load_conversations(out / "all.json", tmp_path, image_position="as written", check_images=False)
    assert len(joined.conversations) == 18
    assert {each.turns[0].image for each in joined.conversations} == {"first", "last"}
    assert set_aside(out) == []
    assert sorted(file.name for file in out.iterdir()) == [
        "all.json",
        "conversation.json",
        "detail.json",
        "reasoning.json",
        "replies.sqlite",
        "samples.html",
        "set_aside.jsonl",
        "summary.json",
    ]


def test_each_kind_is_told_what_it_may_see(
    tmp_path: Path, write_scenes: WriteScenes, chat_server: StartServer
) -> None:
    server = chat_server(good_reply)
    run(write_scenes(2), server, tmp_path / "out", "--draw", "same", "--concurrency", "1")
    last = [body["messages"][-1]["content"] for body in server.requests]
    captions = [f"Scene number {n} with a dog.\nA dog outside." for n in (0, 1)]
    boxes = "\n\ndog: [0.1, 0.2, 0.5, 0.75]"
    assert Counter(last) == Counter([captions[0]] * 3 + [captions[1]] + [captions[1] + boxes] * 2)
    assert {body["temperature"] for body in server.requests} == {0.7}
    assert summary_of(tmp_path / "out")["kinds"]["detail"]["asked_without_boxes"] == 1


def test_lives_through_what_servers_do(
    tmp_path: Path, write_scenes: WriteScenes, chat_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every request first meets a fault, each a different one, and then goes well."""
    faults = [
        Fault(status=429),
        Fault(status=500),
        Fault(status=503),
        Fault(cut=True),
        Fault(drop=True),
        Fault(body="<html>busy</html>"),
        Fault(body='{"choices": []}'),
        Fault(hang_s=0.8),
        Said("Question:\nWhat is", finish="length"),
        Said("I'm sorry, but I cannot see the image."),
        Said("", finish="content_filter"),
    ]
    seen: set[str] = set()

    def answer(messages: list[dict[str, str]]) -> str | Said | Fault:
        key = json.dumps(messages)
        if key in seen or len(seen) == 0:
            seen.add(key)
            return good_reply(messages)
        seen.add(key)
        return faults[len(seen) % len(faults)]

    def patient(*, model: str, endpoint: str, **_: object) -> OpenAIBackend:
        return OpenAIBackend(model=model, endpoint=endpoint, timeout_s=0.4)

    monkeypatch.setattr(command, "open_backend", patient)
    out = tmp_path / "out"
    result = run(write_scenes(8), chat_server(answer), out)
    assert result.exit_code == 0, result.output
    told = summary_of(out)["kinds"]
    assert [told[kind]["read"] for kind in KINDS] == [8, 8, 8]
    assert set_aside(out) == []


def test_what_stays_malformed_or_unanswered_is_set_aside_with_its_texts(
    tmp_path: Path, write_scenes: WriteScenes, chat_server: StartServer
) -> None:
    tries: Counter[str] = Counter()

    def answer(messages: list[dict[str, str]]) -> str | Said | Fault:
        text = messages[-1]["content"]
        tries[json.dumps(messages)] += 1
        if "number 0 " in text:
            return Said("Question:\nWhat", finish="length")
        if "number 1 " in text:
            return f"Try {tries[json.dumps(messages)]}."
        if "number 2 " in text:
            return Fault(status=400)
        return good_reply(messages)

    out, server = tmp_path / "out", chat_server(answer)
    words = ("--kinds", "conversation", "--tries", "2")
    result = run(write_scenes(5), server, out, *words)
    assert result.exit_code == 1, result.output
    told = summary_of(out)["kinds"]["conversation"]
    assert {name: told[name] for name in ("asked", "read", "malformed", "failed", "unasked")} == {
        "asked": 5,
        "read": 2,
        "malformed": 2,
        "failed": 1,
        "unasked": 0,
    }
    assert told["set_aside_by_reason"] == {"cut off": 1, "no reply": 1, "not in its format": 1}
    aside = {row["id"]: row for row in set_aside(out)}
    assert aside["000"]["texts"] == ["Question:\nWhat"] * 2
    assert aside["000"]["problem"] == "cut off: 2 tokens were not enough"
    assert aside["001"]["texts"] == ["Try 1.", "Try 2."]
    assert (aside["002"]["why"], aside["002"]["texts"]) == ("failed", [])
    flat = " ".join(result.stdout.split())
    assert "2 set aside after 2 tries" in flat
    assert "1 got no reply; the same command asks for it again" in flat
    page = (out / "samples.html").read_text()
    assert "Try 2." in page

    n_before = len(server.requests)
    run(write_scenes(5), server, out, *words)
    assert len(server.requests) == n_before + 1  # the one without a reply
    run(write_scenes(5), server, out, *words[:-1], "3")
    assert len(server.requests) == n_before + 4  # and a third try of the two malformed ones
    assert {row["id"]: len(row["texts"]) for row in set_aside(out)} == {"000": 3, "001": 3, "002": 0}


def test_a_budget_ends_a_run_cleanly_and_a_larger_one_goes_on(
    tmp_path: Path, write_scenes: WriteScenes, chat_server: StartServer
) -> None:
    server, scenes, out = chat_server(good_reply), write_scenes(10), tmp_path / "out"
    words = ("--per-kind", "4", "--max-tokens", "100", "--price-in", "2", "--price-out", "8")
    result = run(scenes, server, out, *words, "--budget-tokens", "9000", "--concurrency", "1")
    assert result.exit_code == 1, result.output
    told = summary_of(out)["kinds"]
    unasked = sum(told[kind]["unasked"] for kind in KINDS)
    assert 0 < unasked < 12
    assert f"{unasked} unasked, as the budget is used up" in " ".join(result.stdout.split())
    # The kinds come by turns, so that none is left behind.
    read = [told[kind]["read"] for kind in KINDS]
    assert sum(read) == 12 - unasked
    assert max(read) - min(read) <= 1
    assert len(json.loads((out / "all.json").read_text())) == sum(read)
    n_before = len(server.requests)
    assert n_before == sum(read)

    result = run(scenes, server, out, *words, "--budget-cost", "1")
    assert result.exit_code == 0, result.output
    assert len(server.requests) == 12
    assert max(asked(server).values()) == 1
    whole = summary_of(out)
    assert sum(whole["kinds"][kind]["read"] for kind in KINDS) == 12
    spent = whole["spent"]
    assert spent["n_requests"] == 12
    assert spent["cost"] == pytest.approx(
        (2 * spent["n_prompt_tokens"] + 8 * spent["n_completion_tokens"]) / 1e6
    )


def test_more_images_later_cost_only_themselves(
    tmp_path: Path, write_scenes: WriteScenes, chat_server: StartServer
) -> None:
    server, scenes, out = chat_server(good_reply), write_scenes(9), tmp_path / "out"
    run(scenes, server, out, "--per-kind", "2")
    first = json.loads((out / "detail.json").read_text())
    run(scenes, server, out, "--per-kind", "5")
    assert len(server.requests) == 15
    assert json.loads((out / "detail.json").read_text())[:2] == first
    run(scenes, server, out, "--per-kind", "5", "--kinds", "detail")
    assert len(server.requests) == 15
    assert not (out / "conversation.json").exists()
    assert list(summary_of(out)["kinds"]) == ["detail"]


def test_a_malformed_reply_is_told_though_the_budget_covers_no_further_try(
    tmp_path: Path, write_scenes: WriteScenes, chat_server: StartServer
) -> None:
    server, scenes, out = chat_server(lambda _: "No format at all."), write_scenes(1), tmp_path / "out"
    words = ("--kinds", "conversation", "--max-tokens", "900", "--concurrency", "1")
    result = run(scenes, server, out, *words, "--budget-tokens", "2500")
    assert result.exit_code == 1, result.output
    assert len(server.requests) < 3
    [row] = set_aside(out)
    assert row["why"] == "unasked"
    assert row["texts"] == ["No format at all."] * len(server.requests)
    run(scenes, server, out, *words)
    assert [row["why"] for row in set_aside(out)] == ["malformed"]
    assert len(server.requests) == 3


def test_a_folder_of_another_command_is_left_alone(
    tmp_path: Path, write_scenes: WriteScenes, chat_server: StartServer
) -> None:
    out = tmp_path / "filtered"
    out.mkdir()
    (out / "summary.json").write_text("of the filter")
    result = run(write_scenes(2), chat_server(good_reply), out)
    assert isinstance(result.exception, InputError)
    assert "not ours to replace" in str(result.exception)
    assert (out / "summary.json").read_text() == "of the filter"


def test_a_killed_run_goes_on_and_ends_as_an_unbroken_one(
    tmp_path: Path, write_scenes: WriteScenes, chat_server: StartServer
) -> None:
    def answer(messages: list[dict[str, str]]) -> str:
        time.sleep(0.02)
        return good_reply(messages)

    server, scenes = chat_server(answer), write_scenes(12)
    words = ["--concurrency", "1", "--scenes", str(scenes), "--endpoint", server.url, "--model", "m"]
    killed = subprocess.Popen(
        [sys.executable, "-m", "llava_core.cli", "generate", *words, "--out", str(tmp_path / "a")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": str(Path(command.__file__).parents[2])},
    )
    while len(server.requests) < 8:
        assert killed.poll() is None
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "a" / "summary.json").exists()
    n_before = len(server.requests)
    assert n_before < 36
    result = run(scenes, server, tmp_path / "a", "--concurrency", "1")
    assert result.exit_code == 0, result.output
    # Only the request that was under way may have been asked twice.
    assert len(asked(server)) == 36
    assert len(server.requests) <= 37

    run(scenes, server, tmp_path / "b", "--concurrency", "7")
    for name in (
        "all.json",
        "conversation.json",
        "detail.json",
        "reasoning.json",
        "set_aside.jsonl",
        "samples.html",
    ):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
    assert summary_of(tmp_path / "a") == summary_of(tmp_path / "b")
    assert [file.name for file in (tmp_path / "a").glob(".*")] == []


def test_a_dry_run_estimates_and_asks_nothing(
    tmp_path: Path, write_scenes: WriteScenes, chat_server: StartServer
) -> None:
    server, out = chat_server(good_reply), tmp_path / "out"
    result = run(write_scenes(5), server, out, "--dry-run", "--price-in", "1000000", "--price-out", "0")
    assert result.exit_code == 0, result.output
    assert server.requests == []
    assert not out.exists()
    assert "15 requests to m at" in result.stderr
    assert f"at most {15 * 1024:,} reply tokens" in result.stderr


def test_coco_from_annotations_to_records(
    tmp_path: Path, write_coco: Callable[..., tuple[Path, Path]], chat_server: StartServer
) -> None:
    captions, instances = write_coco()
    server = chat_server(good_reply)
    given = [
        "generate",
        "--captions",
        str(captions),
        "--instances",
        str(instances),
        "--out",
        str(tmp_path / "out"),
    ]
    given += ["--endpoint", server.url, "--model", "m", "--no-crowds"]
    result = CliRunner().invoke(app, given)
    assert result.exit_code == 0, result.output
    assert "1 boxes around crowds passed over" in result.stderr
    made = json.loads((tmp_path / "out" / "detail.json").read_text())
    assert {each["image"] for each in made} == {
        "COCO_val2014_000000000009.jpg",
        "COCO_val2014_000000000025.jpg",
    }


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--captions", "c.json"), "got both or none of --captions and --scenes"),
        (("--instances", "i.json"), "got --instances beside --scenes"),
        (("--kinds", "poem"), "got poem; allowed are conversation, detail, reasoning"),
        (("--per-kind", "9"), "field per-kind: got 9, allowed are 1 to 3"),
        (("--images", "nowhere"), "nowhere: no such folder of images"),
        (("--prompts", "nowhere"), "nowhere: no such folder of prompts"),
        (("--local", "x"), "got both or none of --model and --local"),
        (("--budget-cost", "1"), "got a budget in money without prices"),
    ],
)
def test_bad_input_is_told_before_anything_is_asked(
    tmp_path: Path, write_scenes: WriteScenes, chat_server: StartServer, words: tuple[str, ...], problem: str
) -> None:
    server = chat_server(good_reply)
    result = run(write_scenes(3), server, tmp_path / "out", *words)
    assert isinstance(result.exception, InputError)
    assert problem in str(result.exception)
    assert server.requests == []
    assert not (tmp_path / "out").exists()


def test_a_folder_of_others_is_left_alone(
    tmp_path: Path, write_scenes: WriteScenes, chat_server: StartServer
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    result = run(write_scenes(3), chat_server(good_reply), out)
    assert isinstance(result.exception, InputError)
    assert [file.name for file in out.iterdir()] == ["thesis.txt"]


def test_a_local_model_that_writes_nonsense_gives_no_records_and_no_error(
    tmp_path: Path, write_scenes: WriteScenes
) -> None:
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    torch.manual_seed(0)
    words = {word: n for n, word in enumerate(["<end>", *"abcdefghijk"])}
    core = Tokenizer(models.WordLevel(words, unk_token="a"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    template = "{% for m in messages %}{{ m.role }} {{ m.content }} {% endfor %}"
    PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<end>", chat_template=template).save_pretrained(
        tmp_path / "model"
    )
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=4096,
        eos_token_id=0,
        bos_token_id=0,
    )
    LlamaForCausalLM(config).save_pretrained(tmp_path / "model")
    out = tmp_path / "out"
    given = [
        "generate",
        "--scenes",
        str(write_scenes(3)),
        "--local",
        str(tmp_path / "model"),
        "--out",
        str(out),
    ]
    result = CliRunner().invoke(app, [*given, "--device", "cpu", "--max-tokens", "6", "--tries", "2"])
    assert result.exit_code == 0, result.output
    told = summary_of(out)["kinds"]
    assert [(told[kind]["read"], told[kind]["malformed"]) for kind in KINDS] == [(0, 3)] * 3
    assert json.loads((out / "all.json").read_text()) == []
    assert [len(row["texts"]) for row in set_aside(out)] == [2] * 9
    assert "No records." in (out / "samples.html").read_text()
