"""`llava answer` and `llava chat` from the outside: lines in, lines out, resumption, what is refused."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from llava_core.checkpoint import save_checkpoint
from llava_core.cli import app
from llava_core.data.conversation import encode
from llava_core.inference.assistant import Chat, Llava
from llava_core.inference.decoding import Decoding

SIX = ("--max-new-tokens", "6", "--device", "cpu")
ALONE = Decoding(max_new_tokens=6)


@pytest.fixture
def bundle(lively_bundle):
    return lively_bundle


@pytest.fixture
def folder(bundle, tmp_path) -> str:
    return str(save_checkpoint(bundle, tmp_path / "checkpoint", stage="finetune", seen_ids=[]))


@pytest.fixture
def file(drawn, tmp_path) -> Path:
    """Twenty questions, more than are written at once."""
    rows = [
        {"id": f"q{k}", "question": f"Which colour is ball {k}?", "image": str(drawn[k].image)}
        for k in range(20)
    ]
    path = tmp_path / "q.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def run(*words: str, given: str = ""):
    return CliRunner().invoke(app, list(words), input=given)


def test_one_question_about_two_images(bundle, folder, drawn) -> None:
    paths = [str(example.image) for example in drawn[:2]]
    result = run(
        "answer", "--checkpoint", folder, "--image", paths[0], "--image", paths[1],
        "--question", "Which is darker?", *SIX,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    (line,) = result.stdout.splitlines()
    expected = Llava(bundle).answer("Which is darker?", *paths, decoding=ALONE)
    row = json.loads(line)
    assert (row["id"], row["images"], row["text"]) == ("1", paths, expected)


def test_each_image_of_a_folder(bundle, folder, drawn) -> None:
    images = drawn[0].image.parent
    result = run(
        "answer", "--checkpoint", folder, "--images", str(images), "--question", "What?", "--limit", "3", *SIX
    )
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    names = sorted(file.name for file in images.iterdir())[:3]
    assert [row["id"] for row in rows] == names
    alone = [Llava(bundle).answer("What?", images / name, decoding=ALONE) for name in names]
    assert [row["text"] for row in rows] == alone


def test_a_file_is_answered_and_gone_on_with(folder, file, tmp_path) -> None:
    words = ("answer", "--checkpoint", folder, "--questions", str(file), *SIX)
    whole = run(*words, "--batch-size", "5").stdout.splitlines()
    assert [json.loads(line)["id"] for line in whole] == [f"q{k}" for k in range(20)]
    out = tmp_path / "sub" / "answers.jsonl"
    first = run(*words, "--out", str(out), "--batch-size", "2", "--limit", "18")
    assert first.exit_code == 0, first.output
    assert first.stdout == ""
    assert out.read_text().splitlines() == whole[:18]
    out.write_text("\n".join(whole[:7]) + "\n" + whole[7][:20])  # the run was killed in the midst of a line
    second = run(*words, "--out", str(out), "--batch-size", "1")
    assert "13 answered, 7 were there already" in second.stderr
    assert out.read_text().splitlines() == whole
    assert "0 answered, 20 were there already" in run(*words, "--out", str(out)).stderr


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"temperature": "0.7"}, "record line 1, field settings: got an answer made with another checkpoint"),
        ({"swap": "q0"}, "record line 1: got an answer to another question of id 'q0'"),
        ({"line": '{"pid": 3}\n'}, "record line 1: got a line that is no answer of ours"),
    ],
)
def test_an_answer_file_of_another_kind_is_left_alone(folder, file, tmp_path, changes, told) -> None:
    out = tmp_path / "answers.jsonl"
    words = ["answer", "--checkpoint", folder, "--questions", str(file), *SIX, "--out", str(out)]
    run(*words, "--limit", "2")
    if "line" in changes:
        out.write_text(changes["line"])
    if "swap" in changes:
        file.write_text(file.read_text().replace("Which colour is ball 0?", "How large?"))
    before = out.read_bytes()
    result = run(*words, "--temperature", changes.get("temperature", "0"))
    assert told in str(result.exception)
    assert out.read_bytes() == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--image", "a.png"), "got nothing to ask"),
        (("--questions", "q.jsonl", "--image", "a.png"), "got --image beside --questions"),
        (("--data", "mini", "--questions", "x"), "got --questions beside --data"),
        (("--question", "What?", "--prompt", "QCM-LEA"), "field prompt: got --prompt without --data"),
        (("--question", "What?", "--part", "test"), "got --part beside --question"),
        (("--question", "What?", "--dtype", "int3"), "field dtype: got 'int3'"),
        (("--question", "What?", "--quantize", "4bit"), "field quantize: got"),
        (("--question", "What?", "--template", "v9"), "v9"),
        (("--question", "What?", "--image", "lost.png"), "lost.png: no such file"),
        (("--questions", "nowhere.jsonl"), "nowhere.jsonl: no such file"),
    ],
)
def test_what_does_not_fit_is_told(folder, words, told) -> None:
    result = run("answer", "--checkpoint", folder, *words)
    assert result.exit_code != 0
    assert told in str(result.exception)


def test_a_chat_from_a_pipe(bundle, folder, drawn) -> None:
    paths = [str(example.image) for example in drawn[:3]]
    lines = [
        "Which colour?", f"/image '{paths[1]}'", f"/image {paths[2]}", "/image lost.png", "/image", "/look",
        "And these?", "/history", "/reset", "/history", "Why?", "/quit", "Never asked?",
    ]  # fmt: skip
    ended = subprocess.run(
        [sys.executable, "-m", "llava_core.cli", "chat", "--checkpoint", folder, "--image", paths[0], *SIX],
        input="\n".join(lines), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    chat = Llava(bundle).chat(decoding=ALONE)
    first = "".join(chat.ask("Which colour?", paths[0]))
    second = "".join(chat.ask("And these?", paths[1], paths[2]))
    chat.reset()
    third = "".join(chat.ask("Why?"))
    history = ["> [1 image] Which colour?", first, "> [2 images] And these?", second]
    assert ended.stdout.splitlines() == [first, second, *history, third]
    assert ended.stderr.splitlines() == [
        "error: lost.png: no such image file",
        "error: got /image by itself, expected /image PATH_OR_URL",
        "error: got /look, allowed are /image /reset /history /help /quit",
    ]


def test_a_chat_that_outgrows_the_span_says_so_and_goes_on(bundle, drawn, tmp_path) -> None:
    template, n_image_tokens = bundle.template, bundle.n_image_tokens
    turn = Llava(bundle).chat(decoding=ALONE)
    list(turn.ask("Why?"))
    span = len(encode(turn.turns, bundle.tokenizer, template, n_image_tokens).input_ids) + 2
    bundle.model.llm.config.max_position_embeddings = span
    folder = save_checkpoint(bundle, tmp_path / "short", stage="finetune", seen_ids=[])
    result = run("chat", "--checkpoint", str(folder), *SIX, given="Why?\nWhy?\n/reset\nWhy?\n\nWhy?\n")
    assert result.exit_code == 0, result.output
    assert result.stdout == turn.turns[1].text + "\n" + turn.turns[1].text + "\n"
    assert f"allowed are fewer than the language model's span of {span}: begin a new one" in result.stderr


def test_help_in_the_chat_fits_a_terminal(folder) -> None:
    result = run("chat", "--checkpoint", folder, *SIX, given="/help\n")
    assert "/image PATH_OR_URL" in result.stdout
    assert max(len(line) for line in result.stdout.splitlines()) <= 80


def test_an_answer_is_broken_off_and_the_chat_goes_on(bundle, folder, monkeypatch) -> None:
    ask, n_asked = Chat.ask, []

    def interrupted(self, text, *images):
        n_asked.append(text)
        for piece in ask(self, text, *images):
            yield piece
            if len(n_asked) == 1:
                raise KeyboardInterrupt

    monkeypatch.setattr(Chat, "ask", interrupted)
    result = run("chat", "--checkpoint", folder, *SIX, given="Which?\nWhy?\n/history\n")
    assert result.exit_code == 0, result.output
    assert "Broken off; the conversation is as it was before." in result.stderr
    assert "> Which?" not in result.stdout
    assert result.stdout.endswith(f"> Why?\n{Llava(bundle).answer('Why?', decoding=ALONE)}\n")
