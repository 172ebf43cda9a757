"""The commands of docs/scienceqa.md, run in their order on a few questions with a tiny model."""

import json
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from llava_core.checkpoint import save_checkpoint
from llava_core.cli import app

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "scienceqa.md"


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", GUIDE.read_text(), flags=re.DOTALL)
    return [line for block in blocks for line in block.replace("\\\n", "").splitlines()]


def scienceqa(folder: Path, examples) -> None:
    problems = {}
    for number, e in enumerate(examples):
        split = "test" if number % 4 == 3 else "train"
        problems[e.id] = {
            "question": e.question,
            "choices": list(e.options),
            "answer": e.answer,
            "hint": e.hint or "",
            "image": "image.png" if e.image else None,
            "lecture": "Look.",
            "solution": "",
            "split": split,
            "topic": "physics",
        }
        if e.image:
            place = folder / "images" / split / e.id / "image.png"
            place.parent.mkdir(parents=True)
            place.write_bytes(e.image.read_bytes())
    (folder / "problems.json").write_text(json.dumps(problems))


def test_every_command_runs(bundle, drawn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    scienceqa(tmp_path / "SCIENCEQA", [*drawn[:8], *drawn[-4:]])
    bundle.model.llm.config.max_position_embeddings = 512
    save_checkpoint(bundle, tmp_path / "ckpt" / "align", stage="align", seen_ids=[])
    done = []
    for line in commands():
        given = shlex.split(line)[1:]
        if given[0] == "finetune":
            # The same prompt and template, but the tiny model's hours and precision.
            given[given.index("scienceqa_7b")] = "mini_cpu"
            given[1:1] = ["--set", "stage.template=llava_v1", "--set", "stage.prompt=QCM-LEA"]
            given += ["--set", "stage.n_epochs=1", "--set", "stage.describe_epochs=0"]
        if given[0] == "answer":
            given += ["--max-new-tokens", "4"]
        result = CliRunner().invoke(app, given)
        assert result.exit_code == 0, f"{line}\n{result.output}\n{result.exception}"
        done.append(given[0])
    assert done == ["finetune", "answer", "bench", "records", "finetune", "answer", "bench"]
    prompts = [
        json.loads(Path(name).read_text().splitlines()[0])["prompt"]
        for name in ("answers.jsonl", "lepa.jsonl")
    ]
    assert prompts == ["QCM-LEA", "QCM-LEPA"]
    scores = json.loads(Path("scores.json").read_text())["scores"]
    assert {(score["name"], score["columns"]["Avg"]["n"]) for score in scores} == {
        ("answers", 3),
        ("lepa", 3),
    }
