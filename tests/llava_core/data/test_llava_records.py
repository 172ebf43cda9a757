"""Questions written as LLaVA records, and what training makes of them."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from llava_core.cli import app
from llava_core.data.conversation import encode
from llava_core.data.llava_json import load_conversations
from llava_core.data.llava_records import write_records
from llava_core.data.prompts import PROMPTS
from llava_core.data.template import TEMPLATES
from llava_core.errors import InputError
from llava_core.model.llava import hf_names
from llava_core.recipes import mini_cpu
from llava_core.train.run import run_stage
from llava_core.train.stage import conversation

STAGE = dataclasses.replace(
    mini_cpu().finetune, shuffle_options=False, describe_epochs=0, n_epochs=0.5, batch_size=4
)


@pytest.fixture
def told(drawn):
    """Questions with and without image, some with reasons."""
    return [
        dataclasses.replace(e, lecture="Colours  differ.", solution="Look.") if k % 2 else e
        for k, e in enumerate(drawn)
    ]


def test_records_are_as_published(told, tmp_path: Path) -> None:
    image, text = told[1], told[-1]
    out = tmp_path / "sub" / "r.json"
    assert write_records([image, text], PROMPTS["QCM-LEA"], out, image_root=image.image.parent).n_records == 2
    options = "(A) {} (B) {} (C) {}".format(*image.options)
    assert json.loads(out.read_text()) == [
        {
            "id": image.id,
            "image": image.image.name,
            "conversations": [
                {"from": "human", "value": f"{image.question}\nContext: N/A\nOptions: {options}\n<image>"},
                {"from": "gpt", "value": f"Colours differ. Look. The answer is {'ABC'[image.answer]}."},
            ],
        },
        {
            "id": text.id,
            "conversations": [
                {
                    "from": "human",
                    "value": f"{text.question}\nContext: {text.hint}\nOptions: (A) yes (B) no",
                },
                {"from": "gpt", "value": f"Colours differ. Look. The answer is {'AB'[text.answer]}."},
            ],
        },
    ]
    write_records([image], PROMPTS["CQM-A"], out, image_root=out.parent)
    (entry,) = json.loads(out.read_text())
    assert entry["conversations"][0]["value"].startswith("<image>\n")
    assert (out.parent / entry["image"]).resolve() == image.image.resolve()


@pytest.mark.parametrize("prompt", PROMPTS)
def test_training_tokens_are_those_of_the_questions(
    told, tmp_path: Path, tiny_tokenizer, prompt: str
) -> None:
    out = tmp_path / "r.json"
    write_records(told, PROMPTS[prompt], out, image_root=tmp_path)
    read = load_conversations(out, tmp_path)
    assert (len(read.conversations), read.n_with_images) == (32, 24)
    stage = dataclasses.replace(STAGE, prompt=prompt)
    rng = np.random.default_rng(0)
    for example, found in zip(told, read.conversations, strict=True):
        assert [path.resolve() for path in found.images] == [
            path.resolve() for path in (example.image,) if path is not None
        ]
        for template in (TEMPLATES["llava_v1"], TEMPLATES["v0"], TEMPLATES["mini_v1"]):
            asked, read_back = (
                encode(conversation(stage, item, rng), tiny_tokenizer, template, 4)
                for item in (example, found)
            )
            assert asked == read_back


def test_training_on_records_gives_the_same_weights(told, tmp_path: Path, tiny_sizes, tiny_tokenizer) -> None:
    from llava_core.train.pretrain import tiny_bundle

    out = tmp_path / "r.json"
    write_records(told, PROMPTS["QCM-LEA"], out, image_root=tmp_path)
    stage = dataclasses.replace(STAGE, prompt="QCM-LEA")
    trained = []
    for name, items in (("data", told), ("chat", load_conversations(out, tmp_path).conversations)):
        bundle = tiny_bundle(tiny_sizes, tiny_tokenizer, seed=0)
        before = {key: weights.clone() for key, weights in hf_names(bundle.model).items()}
        run_stage(stage, bundle, items, out=tmp_path / name, seed=0, n_threads=1)
        after = hf_names(bundle.model)
        assert any(not after[key].equal(before[key]) for key in before)
        trained.append(after)
    assert all(trained[0][key].equal(trained[1][key]) for key in trained[0])


def test_what_cannot_be_learned_is_passed_over_and_counted(told, tmp_path: Path) -> None:
    mixed = [
        told[0],
        dataclasses.replace(told[1], answer=None),
        dataclasses.replace(told[2], image=None),
        dataclasses.replace(told[3], image=None),
    ]
    found = write_records(mixed, PROMPTS["QCM-LEA"], tmp_path / "r.json", image_root=tmp_path)
    assert (found.n_records, found.n_unlabelled, found.n_lost) == (1, 1, 2)
    with pytest.raises(
        InputError, match="got 1 questions without an answer and 2 whose image is not on disk"
    ):
        write_records(mixed[1:], PROMPTS["QCM-LEA"], tmp_path / "none.json", image_root=tmp_path)
    assert not (tmp_path / "none.json").exists()
    marked = dataclasses.replace(told[0], question="What is <image>?")
    with pytest.raises(InputError, match="record image-0: got <image> in the words"):
        write_records([marked], PROMPTS["QCM-LEA"], tmp_path / "r.json", image_root=tmp_path)


def test_the_command(told, tmp_path: Path) -> None:
    rows = [
        {
            "id": e.id,
            "question": e.question,
            "options": list(e.options),
            "answer": None if k == 2 else e.answer,
            "image": None if e.image is None else str(e.image),
            "split": "train",
        }
        for k, e in enumerate(told)
    ]
    data = tmp_path / "q.jsonl"
    data.write_text(
        "".join(json.dumps({k: v for k, v in row.items() if v is not None}) + "\n" for row in rows)
    )

    def run(*words: str):
        out = tmp_path / "r.json"
        return CliRunner().invoke(app, ["records", "--data", str(data), "--out", str(out), *words])

    result = run("--part", "train", "--prompt", "QCM-LEPA", "--limit", "5")
    assert result.exit_code == 0, result.output
    assert "passed over: 1 questions without an answer" in result.stderr
    assert len(load_conversations(tmp_path / "r.json", tmp_path).conversations) == 4
    assert "ANSWER: " in (tmp_path / "r.json").read_text()
    assert "got 'val', allowed are train" in str(run("--part", "val").exception)
    assert "field prompt: got 'LEA'" in str(run("--prompt", "LEA").exception)
