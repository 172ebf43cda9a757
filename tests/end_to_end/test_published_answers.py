"""A given split with published answers: every LLM, their vote, a nested stack, and the second figure."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ensembles.registry import MEMBERS
from studies.catalog.published import LEVEL0
from studies.predictions import read_predictions

Studies = Callable[..., subprocess.CompletedProcess[str]]
MODELS = {"good": 0.85, "poor": 0.5}


@pytest.fixture(scope="module")
def split_questions(questions: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The questions with parts that cut through families, as official splits do."""
    records = [json.loads(line) for line in questions.read_text().splitlines()]
    parts = ("train", "train", "test", "test", "val", "train", "test")
    path = tmp_path_factory.mktemp("split") / "split.jsonl"
    path.write_text(
        "\n".join(json.dumps({**r, "split": parts[i % len(parts)]}) for i, r in enumerate(records))
    )
    return path


@pytest.fixture(scope="module")
def answer_files(split_questions: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    test = [
        record
        for record in map(json.loads, split_questions.read_text().splitlines())
        if record["split"] == "test"
    ]
    files = []
    for name, skill in MODELS.items():
        results = {}
        for record in test:
            n = len(record["options"])
            results[record["id"]] = record["answer"] if rng.random() < skill else int(rng.integers(n))
        results[test[0]["id"]] = -1
        outputs = {
            pid: "I do not know." if k < 0 else f"The answer is {'ABCDE'[k]}." for pid, k in results.items()
        }
        path = split_questions.with_name(f"{name}.json")
        path.write_text(json.dumps({"results": results, "outputs": outputs}))
        files.append(path)
    return files


@pytest.fixture(scope="module")
def answered(
    studies: Studies,
    split_questions: Path,
    answer_files: list[Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    out = tmp_path_factory.mktemp("answered") / "run"
    given = [argument for file in answer_files for argument in ("--llm-answers", file)]
    done = studies(
        "run", "ensemble_vs_llm", "--preset", "quick", "--limit", "100", "--data", split_questions, *given,
        "--set", "curve_trees=", "--set", "curve_xgbs=", "--set", "ablation=false", "--out", out,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "torch loaded: False" in done.stderr
    return out


def test_every_llm_and_what_is_made_of_them_is_scored(answered: Path, answer_files: list[Path]) -> None:
    summary = json.loads((answered / "summary.json").read_text())
    methods = {method["name"]: method for method in summary["methods"]}
    assert {"llm:good", "llm:poor", "llm_vote", "llm_best", "stacking_with_llm"} <= set(methods)
    assert {method["status"] for method in methods.values()} == {"ok"}
    assert summary["reference"] == "llm_best"
    compared = {(row["a"], row["b"]) for row in summary["comparisons"]}
    assert {("stacking_with_llm", "llm_best"), ("stacking_with_llm", "llm_vote")} <= compared
    assert methods["llm:good"]["log_loss"] is None
    assert methods["stacking_with_llm"]["log_loss"] is not None
    told = {row["name"]: row for row in summary["llm"]}
    assert told["llm:good"]["not_answered"] == told["llm:poor"]["not_answered"] == 1


def test_an_llm_is_right_where_its_file_is(answered: Path, answer_files: list[Path]) -> None:
    frame = read_predictions(answered / "predictions.parquet")
    for file in answer_files:
        results = json.loads(file.read_text())["results"]
        rows = frame[frame["method"] == f"llm:{file.stem}"]
        for example_id, options in rows.groupby("example_id"):
            picked = options.loc[options["chosen"] == 1, "option_index"].tolist()
            assert picked == ([] if results[example_id] < 0 else [results[example_id]])


def test_nested_predictions_come_from_outer_folds_that_keep_families(answered: Path) -> None:
    frame = read_predictions(answered / "predictions.parquet")
    rows = frame[frame["method"] == "stacking_with_llm"]
    assert set(rows["fold"]) == {0, 1}
    family = rows["example_id"].str.removeprefix("q").astype(int) // 2
    assert rows.groupby(family)["fold"].nunique().max() == 1


def test_the_second_figure_has_the_shared_families_removed(answered: Path) -> None:
    removed = json.loads((answered / "summary.json").read_text())["families_removed"]
    assert removed["n_questions_removed"] > 0
    names = {method["name"] for method in removed["methods"]}
    assert {"xgboost", "stacking", "stacking_with_llm"} <= names
    assert not any(name.startswith("llm:") for name in names)
    assert ("stacking_with_llm", "llm_best") in {(row["a"], row["b"]) for row in removed["comparisons"]}


def test_the_stack_predicts_with_answers_and_refuses_without(
    studies: Studies, answered: Path, split_questions: Path, answer_files: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "p.parquet"
    refused = studies("predict", answered, "--data", split_questions, "--out", out)
    assert refused.returncode == 2
    assert "the method reads good, poor" in refused.stderr
    given = [argument for file in reversed(answer_files) for argument in ("--llm-answers", file)]
    done = studies("predict", answered, "--data", split_questions, "--out", out, *given)
    assert done.returncode == 0, done.stderr
    assert set(read_predictions(out)["method"]) == {"stacking_with_llm"}


@pytest.mark.parametrize(("limit", "code"), [("2", 2), ("8", 0)])
def test_the_frozen_preset_runs_on_a_handful_of_questions(
    studies: Studies, split_questions: Path, answer_files: list[Path], tmp_path: Path, limit: str, code: int
) -> None:
    given = [argument for file in answer_files for argument in ("--llm-answers", file)]
    done = studies(
        "run", "ensemble_vs_llm", "--preset", "published", "--limit", limit, "--trials", "1",
        "--data", split_questions, *given, "--out", tmp_path / "run",
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    if code:
        assert "allowed are 3 or more" in done.stderr
    else:
        methods = json.loads((tmp_path / "run" / "summary.json").read_text())["methods"]
        assert {method["status"] for method in methods if method["name"] == "stacking_with_llm"} == {"ok"}


def test_no_default_of_a_member_reaches_the_frozen_stack() -> None:
    for name, params in LEVEL0.items():
        assert set(MEMBERS[name].defaults) == set(params), name
