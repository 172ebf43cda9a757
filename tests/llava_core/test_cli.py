import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from llava_core.checkpoint import save_checkpoint
from llava_core.cli import app, bench
from llava_core.cli.terminal import bar


def llava(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "llava_core.cli", *words], capture_output=True, text=True, check=False
    )


def test_the_verbs_are_frozen_and_each_has_an_example() -> None:
    runner = CliRunner()
    verbs = [
        "pretrain-mini",
        "align",
        "finetune",
        "convert",
        "extract",
        "generate",
        "filter",
        "answer",
        "chat",
        "serve",
        "records",
    ]
    assert [command.name or command.callback.__name__ for command in app.registered_commands] == verbs
    for verb in verbs:
        shown = runner.invoke(app, [verb, "--help"], env={"COLUMNS": "80"})
        assert shown.exit_code == 0
        assert f"Example: llava {verb}" in shown.output
        assert max(len(line) for line in shown.output.splitlines()) <= 80


def test_the_benches_are_frozen_and_each_has_an_example() -> None:
    assert [group.name for group in app.registered_groups] == ["bench"]
    benches = ["scienceqa", "judge", "score"]
    assert [command.name or command.callback.__name__ for command in bench.registered_commands] == benches
    for name in benches:
        shown = CliRunner().invoke(app, ["bench", name, "--help"], env={"COLUMNS": "80"})
        assert shown.exit_code == 0
        assert f"Example: llava bench {name}" in shown.output
        assert max(len(line) for line in shown.output.splitlines()) <= 80


@pytest.mark.parametrize(
    "words",
    [
        ("answer", "--checkpoint", "nowhere", "--data", "nowhere"),
        ("align", "--data", "nowhere", "--out", "x", "--recipe", "mini_cpu"),
        ("align", "--data", "nowhere", "--out", "x", "--recipe", "mini_gpu"),
        ("bench", "scienceqa", "--data", "nowhere", "--answers", "x"),
        ("records", "--data", "nowhere", "--out", "."),
        ("records", "--data", "nowhere", "--out", "/dev/null"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(words: tuple[str, ...]) -> None:
    ended = llava(*words)
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: ")
    assert len(ended.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "words",
    [
        ["records", "--data", "mine"],
        ["answer", "--checkpoint", "none", "--questions", "mine"],
        ["answer", "--checkpoint", "none", "--data", "mine"],
        ["answer", "--checkpoint", "none", "--question", "What?", "--image", "mine"],
        ["bench", "scienceqa", "--data", "none", "--answers", "mine"],
    ],
)
def test_what_is_read_is_not_written(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").write_text('{"id": ')
    ended = CliRunner().invoke(app, [*words, "--out", "mine"])
    assert str(ended.exception) == "mine, field out: got a file that is read; name another --out"
    assert (tmp_path / "mine").read_text() == '{"id": '


def test_a_bar_without_progress_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with bar("align"):
        pass
    with pytest.raises(KeyError), bar("align"):
        raise KeyError
    assert capsys.readouterr().err == ""
    with bar("align") as tick:
        tick(1, 2)
        tick(2, 2)
    assert "2/2" in capsys.readouterr().err


def test_answers_as_json_lines(bundle, drawn, tmp_path: Path) -> None:
    save_checkpoint(bundle, tmp_path / "checkpoint", stage="finetune", seen_ids=[])
    rows = [
        {
            "id": e.id,
            "question": e.question,
            "options": list(e.options),
            "answer": e.answer,
            "image": str(e.image),
        }
        for e in drawn[:3]
    ]
    data = tmp_path / "questions.jsonl"
    data.write_text("\n".join(json.dumps(row) for row in rows))
    result = CliRunner().invoke(
        app, ["answer", "--checkpoint", str(tmp_path / "checkpoint"), "--data", str(data), "--limit", "2"]
    )
    assert result.exit_code == 0, result.output
    told = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
    assert [row["id"] for row in told] == ["image-0", "image-1"]
    assert all(len(row["mean_logprob"]) == 3 and row["chosen"] in (0, 1, 2) for row in told)


@pytest.mark.parametrize(
    ("words", "place"),
    [
        (("align", "--base"), "llava_core.train.run.run_stage"),
        (("finetune", "--base"), "llava_core.train.run.run_stage"),
        (("extract", "--checkpoint"), "llava_core.features.extract.extract_features"),
        (("answer", "--checkpoint"), "llava_core.inference.choices.answer_choices"),
    ],
)
def test_ctrl_c_says_that_the_same_command_goes_on(
    words: tuple[str, ...], place: str, bundle, drawn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken_off(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(place, broken_off)
    save_checkpoint(bundle, tmp_path / "checkpoint", stage="align", seen_ids=[])
    row = {"id": "a", "question": "?", "options": ["a", "b"], "answer": 0, "split": "train_llm"}
    (tmp_path / "questions.jsonl").write_text(json.dumps(row))
    given = [*words, str(tmp_path / "checkpoint"), "--data", str(tmp_path / "questions.jsonl")]
    result = CliRunner().invoke(app, [*given, "--out", str(tmp_path / "out")])
    assert result.exit_code == 130, result.output
    assert result.stderr.endswith("stopped; the same command goes on from here\n")


def test_extract_shares_out_the_work(bundle, drawn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from llava_core.features import extract

    monkeypatch.setattr(extract, "CHUNK_BYTES", 1)
    monkeypatch.setattr(extract, "FEWEST_QUESTIONS", 2)
    save_checkpoint(bundle, tmp_path / "checkpoint", stage="finetune", seen_ids=[])
    rows = [{"id": e.id, "question": e.question, "options": list(e.options)} for e in drawn[:6]]
    (tmp_path / "questions.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    given = [
        "extract",
        "--checkpoint",
        str(tmp_path / "checkpoint"),
        "--data",
        str(tmp_path / "questions.jsonl"),
    ]
    store = tmp_path / "store"

    def run(*words: str) -> str:
        result = CliRunner().invoke(app, [*given, "--out", str(store), "--device", "cpu", *words])
        assert result.exit_code == 0, result.output
        return result.stdout

    assert run("--shard", "1/3").startswith("share 1/3 is done")
    for name, value in (("RANK", "2"), ("WORLD_SIZE", "3"), ("LOCAL_RANK", "2")):
        monkeypatch.setenv(name, value)
    assert run().startswith("share 2/3 is done")
    assert not store.exists()
    monkeypatch.setenv("RANK", "0")
    assert run() == f"written: {store}\n"
    told = json.loads((store / "manifest.json").read_text())
    assert told["n_examples"] == 6
    assert told["settings"]["llm_hidden_layers"] == [-3, -1]
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name)
    run("--layers", "0,-1", "--dtype", "bfloat16", "--clip-layers", "-2,-1")
    told = json.loads((store / "manifest.json").read_text())
    assert told["settings"]["llm_hidden_layers"] == [0, -1]
    assert told["settings"]["clip_layers"] == [-2, -1]
    assert told["settings"]["dtype"] == "bfloat16"


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--shard", "4/4"), "field shard: got '4/4', allowed are 0/4"),
        (("--layers", "first"), "field layers: got 'first'"),
        (("--clip-layers", "last"), "field clip_layers: got 'last'"),
        (("--dtype", "int8"), "field dtype: got 'int8', allowed are float32"),
        (("--device", "abacus"), "field device: got device 'abacus'"),
    ],
)
def test_extract_refuses_in_one_line(words: tuple[str, ...], problem: str) -> None:
    ended = llava("extract", "--checkpoint", "x", "--data", "x", "--out", "x", *words)
    assert ended.returncode == 2
    assert problem in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1
