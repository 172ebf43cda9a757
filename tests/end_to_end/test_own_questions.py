"""The whole line on a file of questions: no image, no LLM, no torch."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from studies.predictions import read_predictions

Studies = Callable[..., subprocess.CompletedProcess[str]]
Finished = tuple[Path, str, str]
REQUIRED = {
    "decision_tree", "random_forest", "xgboost", "lightgbm", "forest_of_xgboost", "stacking", "chance",
    "majority_position",
}  # fmt: skip


def stamps(folder: Path) -> dict[str, int]:
    return {
        str(file.relative_to(folder)): file.stat().st_mtime_ns
        for file in folder.rglob("*")
        if file.is_file() and file.name != ".lock"
    }


def test_the_run_ends_with_the_path_of_its_report(finished: Finished) -> None:
    out, stdout, stderr = finished
    assert stdout.splitlines()[-1] == f"report: {out / 'report.html'}"
    assert "torch loaded: False" in stderr
    for name in (
        "report.html",
        "optuna.html",
        "summary.json",
        "predictions.parquet",
        "manifest.json",
        "spec.json",
    ):
        assert (out / name).is_file(), name
    assert list((out / "optuna").iterdir())
    assert not list(out.rglob("*.writing"))


def test_the_summary_has_the_promised_methods_and_fields(finished: Finished) -> None:
    summary = json.loads((finished[0] / "summary.json").read_text())
    methods = {method["name"]: method for method in summary["methods"]}
    assert set(methods) >= REQUIRED
    for name, method in methods.items():
        assert method["status"] == "ok", (name, method["error"])
        assert set(method["accuracy"]) == {"value", "low", "high", "level", "n"}
        assert method["accuracy"]["low"] <= method["accuracy"]["value"] <= method["accuracy"]["high"]
    assert {"fit_s", "predict_s", "size_bytes"} <= set(methods["xgboost"])
    assert methods["xgboost"]["size_bytes"] > 0
    assert {curve["method"] for curve in summary["curves"]} == {
        "random_forest",
        "xgboost",
        "forest_of_xgboost",
    }
    assert summary["ablation"]
    assert {check["status"] for check in summary["audit"]["checks"]} == {"pass"}
    assert 0 < summary["provenance"]["peak_rss_bytes"] < summary["provenance"]["announced_bytes"]


def test_the_ensembles_find_the_planted_signal(finished: Finished) -> None:
    summary = json.loads((finished[0] / "summary.json").read_text())
    value = {method["name"]: method["accuracy"]["value"] for method in summary["methods"]}
    assert value["xgboost"] > value["chance"] + 0.2
    assert value["stacking"] > value["chance"] + 0.2


def test_every_method_predicts_every_test_question_once(finished: Finished) -> None:
    frame = read_predictions(finished[0] / "predictions.parquet")
    counts = frame.groupby("method")["example_id"].nunique()
    assert counts.nunique() == 1
    assert {f"random_forest[M={m}]" for m in (1, 10)} <= set(counts.index)


def test_a_finished_run_is_not_redone(studies: Studies, questions: Path, finished: Finished) -> None:
    out = finished[0]
    before = stamps(out)
    again = studies(
        "run", "ensemble_vs_llm", "--preset", "quick", "--data", questions, "--out", out, "--resume"
    )
    assert again.returncode == 0, again.stderr
    assert again.stdout.splitlines()[-1] == f"report: {out / 'report.html'}"
    assert stamps(out) == before


def test_a_broken_off_run_redoes_only_what_is_missing(
    studies: Studies, questions: Path, finished: Finished, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    shutil.copytree(finished[0], out)
    wanted = (out / "predictions.parquet").read_bytes()
    lost = {"manifest.json", "summary.json", "report.html", "predictions.parquet"}
    lost |= {"optuna.html", "optuna.csv", "optuna.json"}
    lost |= {"report.md", "questions.parquet", *(str(p.relative_to(out)) for p in out.glob("tables/*.csv"))}
    for name in lost:
        (out / name).unlink()
    (out / "steps" / "fit.xgboost.json").unlink()
    before = stamps(out)
    again = studies(
        "run", "ensemble_vs_llm", "--preset", "quick", "--data", questions, "--out", out, "--resume"
    )
    assert again.returncode == 0, again.stderr
    after = stamps(out)
    redone = {name for name in after if after[name] != before.get(name)}
    assert redone - lost == {
        "steps/fit.xgboost.json", "steps/xgboost.parquet",
        "models/xgboost/method.json",
            "models/xgboost/model/model.skops", "models/xgboost/model/manifest.json",
    }  # fmt: skip
    assert (out / "predictions.parquet").read_bytes() == wanted


@pytest.mark.parametrize(
    "method", ["decision_tree", "forest_of_xgboost", "lightgbm", "stacking", "xgboost", None]
)
def test_another_process_gives_the_probabilities_of_the_study(
    method: str | None, studies: Studies, questions: Path, finished: Finished, tmp_path: Path
) -> None:
    out = tmp_path / "deep" / "p.parquet"
    chosen = () if method is None else ("--method", method)
    done = studies("predict", finished[0], "--data", questions, "--out", out, *chosen)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"predictions: {out}"
    assert "torch loaded: False" in done.stderr
    predicted, studied = read_predictions(out), read_predictions(finished[0] / "predictions.parquet")
    name = method or json.loads((finished[0] / "summary.json").read_text())["choice"]["method"]
    assert set(predicted["method"]) == {name}
    both = predicted.merge(studied[studied["method"] == name], on=["example_id", "option_index"])
    assert len(both) == (studied["method"] == name).sum() > 0
    # Distances of neighbours are matrix products, whose last bits depend on how many rows are asked at once.
    assert np.abs(both["prob_x"] - both["prob_y"]).max() < 1e-7


def test_labels_are_not_needed_to_predict(
    studies: Studies, questions: Path, finished: Finished, tmp_path: Path
) -> None:
    records = [json.loads(line) for line in questions.read_text().splitlines()]
    bare = tmp_path / "bare.jsonl"
    bare.write_text("\n".join(json.dumps({k: v for k, v in r.items() if k != "answer"}) for r in records))
    tables = []
    for data, name in ((questions, "labelled"), (bare, "bare")):
        out = tmp_path / f"{name}.parquet"
        done = studies("predict", finished[0], "--data", data, "--method", "xgboost", "--out", out)
        assert done.returncode == 0, done.stderr
        tables.append(read_predictions(out))
    assert tables[1]["correct"].isna().all()
    pd.testing.assert_frame_equal(*(table.drop(columns="correct") for table in tables))


def test_the_report_is_rendered_again(studies: Studies, finished: Finished, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(finished[0], out)
    (out / "report.html").unlink()
    done = studies("report", out)
    assert done.returncode == 0, done.stderr
    assert (out / "report.html").read_bytes() == (finished[0] / "report.html").read_bytes()


def test_the_manifest_describes_the_files(finished: Finished) -> None:
    manifest = json.loads((finished[0] / "manifest.json").read_text())
    assert set(manifest["files"]) == set(stamps(finished[0])) - {"manifest.json"}
    assert manifest["command"].startswith("studies run ensemble_vs_llm") or manifest["command"]


def test_the_report_takes_the_ensembles_apart_in_every_form(finished: tuple[Path, str, str]) -> None:
    run = finished[0]
    summary = json.loads((run / "summary.json").read_text())
    anatomy = summary["anatomy"]
    assert {row["without"] for row in anatomy["without_members"]} == {
        "random_forest", "xgboost", "lightgbm", "neighbours", "linear",
    }  # fmt: skip
    assert {row["method"] for row in anatomy["importance"]} == {"xgboost", "stacking"}
    most = max(anatomy["importance"], key=lambda row: row["accuracy_lost"]["value"])
    assert most["block"] == "overlap"
    for part in ("calibration", "risk_coverage", "complementarity", "positions", "cost_fronts"):
        assert summary[part], part
    page = (run / "report.html").read_text()
    for section in ("cost", "complementarity", "anatomy", "calibration", "risk", "positions"):
        assert f'<section id="{section}">' in page
    assert "## Stacks without each member" in (run / "report.md").read_text()
    listed = json.loads((run / "manifest.json").read_text())["files"]
    assert {"report.md", "questions.parquet", "tables/methods.csv", "tables/importance.csv"} <= set(listed)
    assert (run / "report.html").stat().st_size < 2_000_000
