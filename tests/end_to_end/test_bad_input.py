"""Bad input to `studies run` and `studies predict`: one line, exit code 2, nothing half-written used."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Studies = Callable[..., subprocess.CompletedProcess[str]]
Finished = tuple[Path, str, str]


def refused(done: subprocess.CompletedProcess[str], *told: str) -> None:
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode == 2, done.stderr
    assert len(errors) == 1, done.stderr
    assert "Traceback" not in done.stderr
    for text in told:
        assert text in errors[0]


def test_data_that_is_not_there(studies: Studies, tmp_path: Path) -> None:
    done = studies("run", "ensemble_vs_llm", "--data", tmp_path / "nowhere", "--out", tmp_path / "run")
    refused(done, str(tmp_path / "nowhere"))


def test_an_option_index_out_of_range(studies: Studies, questions: Path, tmp_path: Path) -> None:
    lines = questions.read_text().splitlines()
    lines[6] = json.dumps(json.loads(lines[6]) | {"answer": 9})
    broken = tmp_path / "broken.jsonl"
    broken.write_text("\n".join(lines))
    refused(
        studies("run", "ensemble_vs_llm", "--data", broken, "--out", tmp_path / "run"),
        str(broken),
        "answer",
        "9",
    )


def test_answers_to_other_questions(studies: Studies, questions: Path, tmp_path: Path) -> None:
    answers = tmp_path / "other.json"
    answers.write_text(json.dumps({"results": {"x1": 0}, "outputs": {"x1": "The answer is A."}}))
    done = studies(
        "run", "ensemble_vs_llm", "--data", questions, "--llm-answers", answers, "--out", tmp_path / "run"
    )
    refused(done, str(answers))


def test_a_checkpoint_that_is_none(studies: Studies, questions: Path, tmp_path: Path) -> None:
    (tmp_path / "ck").mkdir()
    done = studies(
        "run", "ensemble_vs_llm", "--data", questions, "--llava", tmp_path / "ck", "--out", tmp_path / "run"
    )
    refused(done, str(tmp_path / "ck"))


def test_a_half_written_store(studies: Studies, questions: Path, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "rows.parquet").write_bytes(b"half")
    done = studies(
        "run",
        "ensemble_vs_llm",
        "--data",
        questions,
        "--features",
        tmp_path / "store",
        "--out",
        tmp_path / "run",
    )
    refused(done, str(tmp_path / "store"))


def test_a_folder_that_holds_something_else(studies: Studies, questions: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    refused(studies("run", "ensemble_vs_llm", "--data", questions, "--out", tmp_path), "holds no run")
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


def test_a_run_is_not_overwritten(studies: Studies, questions: Path, finished: Finished) -> None:
    done = studies("run", "ensemble_vs_llm", "--preset", "quick", "--data", questions, "--out", finished[0])
    refused(done, "--resume")


def test_a_leak_in_our_own_split_stops_the_study(studies: Studies, questions: Path, tmp_path: Path) -> None:
    records = [json.loads(line) for line in questions.read_text().splitlines()]
    parts = {"train_llm": 0, "train_ensemble": 1, "val": 2, "test": 3}
    split = [{**r, "split": list(parts)[i % 4], "group": f"g{i // 2}"} for i, r in enumerate(records)]
    data = tmp_path / "leaky.jsonl"
    data.write_text("\n".join(map(json.dumps, split)))
    refused(
        studies("run", "ensemble_vs_llm", "--data", data, "--out", tmp_path / "run"), "audit", "--allow-leak"
    )


@pytest.mark.parametrize(
    ("method", "told"), [("nearest", "allowed are decision_tree"), ("../models/xgboost", "allowed are")]
)
def test_a_method_that_the_run_lacks(
    method: str, told: str, studies: Studies, questions: Path, finished: Finished, tmp_path: Path
) -> None:
    out = tmp_path / "p.parquet"
    refused(studies("predict", finished[0], "--data", questions, "--method", method, "--out", out), told)
    assert not out.exists()


def test_a_folder_without_a_run_cannot_predict(studies: Studies, questions: Path, tmp_path: Path) -> None:
    refused(
        studies("predict", tmp_path, "--data", questions, "--out", tmp_path / "p.parquet"), "holds no run"
    )
    refused(studies("report", tmp_path), "holds no run")


def test_an_unknown_recipe_is_told_before_anything_is_drawn(studies: Studies, tmp_path: Path) -> None:
    done = studies("run", "ensemble_vs_llm", "--set", "recipe=nearly", "--out", tmp_path / "run")
    refused(done, "field recipe", "'nearly'", "mini_cpu")
    assert not (tmp_path / "run" / "data").exists()
