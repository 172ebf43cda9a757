"""The commands on models of others: join, align, finetune, convert; and what they refuse."""

import json
import subprocess
import sys

import pytest
from transformers import LlavaForConditionalGeneration
from typer.testing import CliRunner

from llava_core.checkpoint import load_checkpoint, read_seen_ids
from llava_core.cli import app

SHORT = ("--set", "stage.batch_size=8", "--set", "run.device=cpu")


def run(*words):
    ended = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert ended.exit_code == 0
    return ended


@pytest.fixture
def chat(drawn, tmp_path):
    records = [
        {
            "id": example.id,
            "image": example.image.name,
            "conversations": [
                {"from": "human", "value": "<image>\nwhat?"},
                {"from": "gpt", "value": example.caption},
            ],
        }
        for example in drawn
        if example.image is not None
    ]
    path = tmp_path / "chat.json"
    path.write_text(json.dumps(records))
    return "--chat", path, "--image-root", drawn[0].image.parent


def test_both_published_stages_run_from_bare_models_to_a_stock_checkpoint(
    clip_folder, llm_folder, chat, drawn, tmp_path
):
    align, finetune = tmp_path / "align", tmp_path / "finetune"
    parts = ("--clip", clip_folder, "--llm", llm_folder)
    run("align", "--recipe", "llava_v1_7b", *parts, *chat, "--out", align, *SHORT)
    run("finetune", "--recipe", "llava_v1_7b", "--base", align, *chat, "--out", finetune, *SHORT)
    trained = load_checkpoint(finetune)
    assert trained.meta["n_steps"] == 3 * 3
    assert trained.meta["run"]["strategy"] == "fsdp"
    assert trained.clip is not None
    assert read_seen_ids(finetune) == {example.id for example in drawn if example.image is not None}
    _, info = LlavaForConditionalGeneration.from_pretrained(finetune, output_loading_info=True)
    assert not info["missing_keys"]


def test_a_model_of_others_is_tuned_with_adapters_and_converted(hf_folder, chat, tmp_path):
    run(
        "finetune", "--recipe", "llava_v1_5_lora_7b", "--base", hf_folder, *chat, "--out", tmp_path / "lora",
        *SHORT, "--set", "stage.lora.rank=2", "--limit", 9,
    )  # fmt: skip
    assert load_checkpoint(tmp_path / "lora").meta["n_examples"] == 9
    run("convert", "--source", hf_folder, "--out", tmp_path / "ours", "--dtype", "float32")
    assert load_checkpoint(tmp_path / "ours").template.name == "v1"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("align", "--out", "x"), "field data: got both or none of --data and --chat, allowed is one"),
        (("align", "--out", "x", "--chat", "no.json"), "no.json: no such file"),
        (("convert", "--out", "x"), "field source: got neither --source nor both --clip and --llm"),
        (("convert", "--out", "x", "--source", "no/where/at/all"), "no/where/at/all: no such folder"),
    ],
)
def test_what_is_wrong_is_one_line(words, message, tmp_path):
    ended = subprocess.run(
        [sys.executable, "-m", "llava_core.cli", *words],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].startswith(f"error: {message}")
    assert "Traceback" not in ended.stderr
