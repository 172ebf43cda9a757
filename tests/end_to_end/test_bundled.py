"""The whole line from nothing: bundled data, both stages trained, features, ensembles, report."""

import json
import shutil
import subprocess
from collections.abc import Callable
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import pytest

from studies.predictions import read_predictions

Studies = Callable[..., subprocess.CompletedProcess[str]]
SMALL = (
    "--preset",
    "quick",
    "--limit",
    "40",
    "--trials",
    "1",
    "--set",
    "curve_trees=",
    "--set",
    "curve_xgbs=",
)


@pytest.fixture(scope="module")
def bundled(studies: Studies, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bundled") / "run"
    done = studies("run", "ensemble_vs_llm", *SMALL, "--out", out)
    assert done.returncode == 0, done.stderr
    assert "torch loaded: True" in done.stderr
    return out


def test_a_run_from_nothing_trains_both_stages_and_answers_the_ladder(bundled: Path) -> None:
    summary = json.loads((bundled / "summary.json").read_text())
    methods = {method["name"]: method for method in summary["methods"]}
    assert {"llava", "llava_generated", "stacking_with_llava", "question_only"} <= set(methods)
    assert {method["status"] for method in methods.values()} == {"ok"}
    assert [stage["name"] for stage in summary["llava"]["stages"]] == ["align", "finetune"]
    assert {score["what"] for score in summary["llava"]["scores"]} == {
        "loglik", "generation", "blank_image", "stage1_only",
    }  # fmt: skip
    assert {"train_llm", "train", "val", "test"} == set(summary["data"]["splits"])
    assert not [check for check in summary["audit"]["checks"] if check["status"] == "fail"]
    assert summary["choice"]["why"] == "least log-loss on val"
    for name in ("features/manifest.json", "checkpoint/align", "checkpoint/finetune", "data/problems.json"):
        assert (bundled / name).exists(), name


def test_the_store_of_a_run_starts_another_without_torch(
    studies: Studies, bundled: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    done = studies(
        "run",
        "ensemble_vs_llm",
        *SMALL,
        "--data",
        bundled / "data",
        "--features",
        bundled / "features",
        "--out",
        out,
    )
    assert done.returncode == 0, done.stderr
    assert "torch loaded: False" in done.stderr
    first, second = (read_predictions(folder / "predictions.parquet") for folder in (bundled, out))
    both = first.merge(second, on=["method", "example_id", "option_index"])
    missing = set(first["method"]) - set(second["method"])
    assert missing == {"llava[blank image]", "llava[stage1 only]"}
    assert len(both) == len(second)
    assert np.nanmax(np.abs(both["prob_x"] - both["prob_y"])) < 1e-9


def test_another_process_gives_the_probabilities_of_the_stack_with_llava(
    studies: Studies, bundled: Path, tmp_path: Path
) -> None:
    out = tmp_path / "p.parquet"
    done = studies(
        "predict", bundled, "--data", bundled / "data", "--features", bundled / "features",
        "--method", "stacking_with_llava", "--out", out,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "torch loaded: False" in done.stderr
    assert "questions are in the store" in done.stderr
    studied = read_predictions(bundled / "predictions.parquet")
    studied = studied[studied["method"] == "stacking_with_llava"]
    both = studied.merge(read_predictions(out), on=["example_id", "option_index"])
    assert len(both) == len(studied) > 0
    assert np.abs(both["prob_x"] - both["prob_y"]).max() < 1e-7


def test_features_of_another_llava_are_refused(studies: Studies, bundled: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    shutil.copytree(bundled / "features", store)
    manifest = json.loads((store / "manifest.json").read_text())
    manifest["checkpoints"]["finetune"] = "0" * 64
    (store / "manifest.json").write_text(json.dumps(manifest))
    done = studies(
        "predict", bundled, "--data", bundled / "data", "--features", store, "--out", tmp_path / "p.parquet"
    )
    assert done.returncode == 2
    assert "another LLaVA" in done.stderr


def test_a_store_of_other_data_is_refused(
    studies: Studies, bundled: Path, questions: Path, tmp_path: Path
) -> None:
    done = studies(
        "run", "ensemble_vs_llm", *SMALL, "--data", questions, "--features", bundled / "features",
        "--out", tmp_path / "run",
    )  # fmt: skip
    assert done.returncode == 2
    assert "another data set" in done.stderr


def test_a_checkpoint_of_others_goes_to_the_report_in_one_command(
    studies: Studies, bundled: Path, tmp_path: Path
) -> None:
    """The shipped weights as Hugging Face has LLaVA: no text tower, no word of what training saw."""
    theirs = tmp_path / "llava-hf"
    theirs.mkdir()
    with as_file(files("llava_core") / "weights" / "mini") as ours:
        for name in (
            "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
            "processor_config.json",
        ):  # fmt: skip
            shutil.copy(ours / name, theirs / name)
    out = tmp_path / "run"
    done = studies(
        "run", "ensemble_vs_llm", *SMALL, "--data", bundled / "data", "--llava", theirs, "--limit", "24",
        "--set", "ablation=false", "--out", out,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    summary = json.loads((out / "summary.json").read_text())
    methods = {method["name"]: method for method in summary["methods"]}
    assert {"llava", "llava_generated", "stacking_with_llava"} <= set(methods)
    assert {method["status"] for method in methods.values()} == {"ok"}
    blocks = set(json.loads((out / "features" / "manifest.json").read_text())["blocks"])
    assert blocks == {"clip_image_patches", "projector", "llm_hidden", "option_logprob", "llm_answer"}
    told = {c["name"]: c["detail"] for c in summary["audit"]["checks"] if c["status"] == "reported"}
    assert told["questions that LLaVA was trained on"].startswith("unknown")
    assert "clip_similarity" in told["blocks of features that are missing"]
    report = (out / "report.html").read_text()
    assert "Blocks of features that are missing" in report
    assert "the checkpoint does not say what it was trained on" in report
    assert not (out / "features.parts").exists()
