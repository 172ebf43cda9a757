"""`llava serve` asked over HTTP, and what it refuses before it starts."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest
import torch
from transformers.utils import import_utils

from llava_core.checkpoint import save_checkpoint
from llava_core.data.conversation import encode
from llava_core.data.template import V0
from llava_core.errors import InputError
from llava_core.inference.assistant import Llava
from llava_core.inference.decoding import Decoding
from llava_core.inference.serve import servable_folder, serve_folder

SIX = Decoding(max_new_tokens=6)


def ask(address, **body):
    request = Request(
        f"{address}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urlopen(request, timeout=60) as answer:
        return answer.read().decode()


def image_part(path):
    data = base64.b64encode(path.read_bytes()).decode()
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}


@pytest.fixture
def address(lively_bundle, tmp_path):
    folder = save_checkpoint(lively_bundle, tmp_path / "checkpoint", stage="finetune", seen_ids=[])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["serve", "--checkpoint", str(folder), "--host", "127.0.0.1", "--port", str(port)]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "llava_core.cli", *words, "--device", "cpu"],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "HF_HOME": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"},
        )
    address = f"http://127.0.0.1:{port}"
    for _ in range(600):
        assert process.poll() is None, (tmp_path / "log").read_text()
        try:
            urlopen(f"{address}/health", timeout=5).close()
            break
        except URLError:
            time.sleep(0.1)
    yield address
    process.send_signal(signal.SIGINT)
    process.wait(timeout=20)


@pytest.mark.skipif(
    not import_utils.is_serve_available(), reason="needs the extra serve: fastapi, uvicorn, openai"
)
def test_answers_over_http_are_ours(address, lively_bundle, drawn) -> None:
    paths = [example.image for example in drawn[:3]]
    chat = Llava(lively_bundle).chat(decoding=SIX)
    first = "".join(chat.ask("Which colour?", paths[0]))
    second = "".join(chat.ask("And these?", paths[1], paths[2]))
    messages = [
        {"role": "user", "content": [image_part(paths[0]), {"type": "text", "text": "Which colour?"}]},
        {"role": "assistant", "content": first},
        {
            "role": "user",
            "content": [image_part(paths[1]), image_part(paths[2]), {"type": "text", "text": "And these?"}],
        },
    ]
    told = json.loads(ask(address, messages=messages[:1], temperature=0, max_tokens=6))
    assert told["choices"][0]["message"]["content"].strip() == first
    told = json.loads(ask(address, messages=messages, temperature=0, max_tokens=6))
    assert told["choices"][0]["message"]["content"].strip() == second
    prompt = encode(
        chat.turns[:3], lively_bundle.tokenizer, lively_bundle.template, lively_bundle.n_image_tokens
    )
    assert told["usage"]["prompt_tokens"] == len(prompt.input_ids)

    events = ask(address, messages=messages, temperature=0, max_tokens=6, stream=True).split("\n\n")
    pieces = [json.loads(event.removeprefix("data: ")) for event in events if event.startswith("data: {")]
    said = [piece["choices"][0]["delta"].get("content", "") for piece in pieces]
    assert "".join(said).strip() == second
    assert len(said) > 3
    with urlopen(f"{address}/v1/models", timeout=5) as answer:
        assert json.load(answer)["object"] == "list"


def test_a_template_with_a_stop_text_is_refused(bundle, tmp_path) -> None:
    folder = save_checkpoint(
        replace(bundle, template=V0), tmp_path / "checkpoint", stage="finetune", seen_ids=[]
    )
    with pytest.raises(InputError, match="field template: got template 'v0', whose answers end at '###'"):
        servable_folder(folder)


def test_the_original_layout_and_torn_folders_are_refused(bundle, tmp_path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"mm_vision_tower": "clip", "model_type": "llava"}))
    with pytest.raises(InputError, match="got the original layout, convert it first: llava convert"):
        servable_folder(tmp_path)
    folder = save_checkpoint(bundle, tmp_path / "checkpoint", stage="finetune", seen_ids=[])
    assert servable_folder(folder) == folder.resolve()
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(InputError, match="changed or torn"):
        servable_folder(folder)


def test_missing_packages_are_named(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(import_utils, "is_serve_available", lambda: False)
    with pytest.raises(InputError, match=r"pip install 'llava-ensembles\[serve\]'"):
        serve_folder(tmp_path, host="localhost", port=1, device=torch.device("cpu"), dtype=torch.float32)
