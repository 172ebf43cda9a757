import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from llava_core.data.example import Example
from llava_core.errors import InputError
from studies import stats
from studies.catalog.compare import compare_runs, read_runs
from studies.catalog.questions import write_questions
from studies.cli import app
from studies.predictions import build_predictions, write_predictions
from studies.report import terminal_rows
from studies.rundir import RunDir
from tests.studies.report.made_ablation import build_ablation_summary

N = 60
LABELS = {"xgboost": "XGBoost", "stacking": "Stacking"}


def write_run(path: Path, *, seed: int = 0, data: str = "aaaa", first: int = 0, **changes: Any) -> Path:
    """Write a finished run on questions q{first} to q{first + N - 1}, two options each."""
    path.mkdir(parents=True)
    rng = np.random.default_rng([seed, first])
    ids = [f"q{i}" for i in range(first, first + N)]
    methods = changes.pop("methods", LABELS)
    changes |= changes.pop("summary", {})
    tables, records = [], []
    for place, (name, label) in enumerate(methods.items()):
        right = rng.random(N) < 0.6 + 0.15 * place
        prob = [p for one in right for p in ((0.8, 0.2) if one else (0.3, 0.7))]
        tables.append(
            build_predictions(
                name,
                example_ids=np.repeat(ids, 2),
                option_index=[0, 1] * N,
                y=[1, 0] * N,
                prob=prob,
                seed=seed,
            )
        )
        families = [i // 2 for i in range(N)]
        accuracy = stats.accuracy_estimate(right.astype(float), families)
        record = {"name": name, "label": label, "kind": "ladder", "status": "ok"}
        told = {field: getattr(accuracy, field) for field in ("value", "low", "high", "level", "n")}
        records.append({**record, "accuracy": told, "log_loss": None})
    write_predictions(pd.concat(tables, ignore_index=True), path / "predictions.parquet")
    examples = [
        Example(id=id_, question="?", options=("a", "b"), answer=0, split=None, group=f"f{(first + i) // 2}")
        for i, id_ in enumerate(ids)
    ]
    write_questions(examples, path / "questions.parquet")
    summary = {
        "schema_version": 1,
        "study": "ensemble_vs_llm",
        "title": "t",
        "verdict": {"sentence": f"Seed {seed} ran."},
        "data": {
            "name": "d",
            "fingerprint": data,
            "n_questions": N,
            "n_families": N // 2,
            "evaluated_on": "test",
        },
        "methods": records,
        "choice": {"method": "stacking"},
        "provenance": {"seed": seed},
        **changes,
    }
    (path / "summary.json").write_text(json.dumps(summary))
    (path / "spec.json").write_text(json.dumps({"seed": seed, "trials": changes.get("trials", 2)}))
    RunDir(path=path).finish({})
    return path


def credit(path: Path, method: str, ids: list[str]) -> list[float]:
    frame = pd.read_parquet(path / "predictions.parquet")
    rows = frame[(frame["method"] == method) & frame["correct"]].set_index("example_id")["chosen"]
    return [float(rows[id_]) for id_ in ids]


def test_runs_on_the_same_data_are_paired_on_common_questions_by_family(tmp_path: Path) -> None:
    paths = [write_run(tmp_path / "a", first=0), write_run(tmp_path / "b", first=20, trials=9)]
    found = compare_runs(read_runs(paths), n_boot=300)
    (pair,) = found["pairs"]
    ids = [f"q{i}" for i in range(20, 60)]
    assert (pair["a"], pair["b"], pair["n_questions"]) == ("a", "b", 40)
    families = [i // 2 for i in range(20, 60)]
    for row in pair["rows"]:
        ours, theirs = credit(paths[1], row["method"], ids), credit(paths[0], row["method"], ids)
        want = stats.compare(ours, theirs, families, n_boot=300)
        assert row["difference"]["value"] == pytest.approx(want.difference.value)
        assert (row["gains"], row["losses"]) == (want.gains, want.losses)
        assert row["gains"] == sum(o > t for o, t in zip(ours, theirs, strict=True))
        assert row["p_holm"] >= row["mcnemar_p"]
    assert "From a to b, Stacking changes by" in found["sentence"]
    assert found["runs"][1]["differs"] == {"trials": 9}
    assert found["seeds"] == []


def test_the_leaderboard_has_what_all_runs_have_first_then_the_best_mean(tmp_path: Path) -> None:
    paths = [
        write_run(tmp_path / "a"),
        write_run(tmp_path / "b", methods={"xgboost": "XGBoost", "linear": "Logistic regression"}),
    ]
    rows = compare_runs(read_runs(paths), n_boot=50)["leaderboard"]
    assert {row["method"] for row in rows} == {"xgboost", "stacking", "linear"}
    missing = next(row for row in rows if row["method"] == "linear")
    assert missing["cells"][0] is None
    assert rows[0]["method"] == "xgboost"
    means = [np.mean([c["accuracy"]["value"] for c in row["cells"] if c]) for row in rows[1:]]
    assert means == sorted(means, reverse=True)


def test_seeds_are_summed_up_with_the_questions_apart(tmp_path: Path) -> None:
    paths = [write_run(tmp_path / f"s{seed}", seed=seed) for seed in range(3)]
    found = compare_runs(read_runs(paths), n_boot=50)
    (group,) = found["seeds"]
    assert group["seeds"] == [0, 1, 2]
    ids = [f"q{i}" for i in range(N)]
    row = next(row for row in group["rows"] if row["method"] == "stacking")
    accuracies = [np.mean(credit(path, "stacking", ids)) for path in paths]
    assert row["mean"] == pytest.approx(np.mean(accuracies))
    assert row["seed_sd"] == pytest.approx(np.std(accuracies, ddof=1))
    assert found["sentence"].startswith("Over 3 seeds Stacking gets")
    assert len(found["pairs"]) == 3


def test_other_data_stands_beside_without_a_difference(tmp_path: Path) -> None:
    paths = [write_run(tmp_path / "a"), write_run(tmp_path / "b", data="bbbb")]
    found = compare_runs(read_runs(paths), n_boot=50)
    assert found["pairs"] == found["seeds"] == []
    assert "no questions in common" in found["sentence"]
    assert "other data" in found["notes"][0]


def test_a_run_of_an_earlier_version_takes_no_part_in_differences(tmp_path: Path) -> None:
    paths = [write_run(tmp_path / "a"), write_run(tmp_path / "b", seed=1)]
    (paths[1] / "questions.parquet").unlink()
    found = compare_runs(read_runs(paths), n_boot=50)
    assert found["pairs"] == found["seeds"] == []
    assert found["notes"] == [
        "b is of an earlier version and has no questions.parquet: it takes no part in differences."
    ]


def test_runs_of_one_name_are_told_apart_by_their_parents(tmp_path: Path) -> None:
    paths = [write_run(tmp_path / where / "run") for where in ("x", "y")]
    assert [run.name for run in read_runs(paths)] == ["x/run", "y/run"]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        (
            {"study": "embedding_probe"},
            "runs of ensemble_vs_llm and embedding_probe, allowed are runs of one study",
        ),
        ({"methods": {"linear": "L"}}, "without a method in common"),
        ({"data": None}, "which scores no methods"),
    ],
)
def test_what_cannot_be_compared_is_refused(tmp_path: Path, changes: dict[str, Any], match: str) -> None:
    first, second = write_run(tmp_path / "a"), write_run(tmp_path / "b")
    summary = json.loads((second / "summary.json").read_text())
    if "methods" in changes:
        summary["methods"] = [{**summary["methods"][0], "name": "linear"}]
    else:
        summary |= changes
    (second / "summary.json").write_text(json.dumps(summary))
    RunDir(path=second).finish({})
    with pytest.raises(InputError, match=match):
        read_runs([first, second])


def test_predictions_without_answers_of_a_method_are_refused(tmp_path: Path) -> None:
    first, second = write_run(tmp_path / "a"), write_run(tmp_path / "b")
    table = pd.read_parquet(second / "predictions.parquet")
    write_predictions(table[table["method"] != "stacking"], second / "predictions.parquet")
    RunDir(path=second).finish({})
    with pytest.raises(
        InputError, match=r"does not fit questions.parquet: method stacking, which has no answers"
    ):
        compare_runs(read_runs([first, second]), n_boot=50)


def test_the_command_writes_page_and_json_and_a_table_of_80_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    paths = [write_run(tmp_path / f"a_run_with_a_very_long_name_{seed}", seed=seed) for seed in range(4)]
    out = tmp_path / "out" / "compare.html"
    done = CliRunner().invoke(app, ["compare", *map(str, paths), "--out", str(out)])
    assert done.exit_code == 0, done.output
    table = done.output.split("comparison:")[0]
    assert max(map(len, table.splitlines())) <= 80
    assert "Stacking" in table
    assert "Over 4 seeds" in table
    assert json.loads(out.with_suffix(".json").read_text())["runs"][3]["seed"] == 3
    page = out.read_text(encoding="utf-8")
    assert "Differences between runs" in page
    assert page.count("<script") == 1
    assert "http" not in page


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["{a}"], "got 1 run, allowed are 2 or more"),
        (["{a}", "{a}"], "the same run twice"),
        (["{a}", "{none}"], "holds no run"),
        (["{a}", "{b}", "--out", "{a}/page.txt"], "ends in .html"),
    ],
)
def test_bad_input_is_told_in_one_line(tmp_path: Path, arguments: list[str], match: str) -> None:
    places = {"a": write_run(tmp_path / "a"), "b": write_run(tmp_path / "b"), "none": tmp_path / "none"}
    done = CliRunner().invoke(app, ["compare", *(argument.format(**places) for argument in arguments)])
    assert done.exit_code == 2
    assert match in " ".join(done.output.split())
    assert "Traceback" not in done.output


def test_a_file_of_others_beside_the_page_is_not_replaced(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name) for name in "ab"]
    numbers = shutil.copy(runs[0] / "summary.json", tmp_path / "c.json")
    before = numbers.read_bytes()
    command = ["compare", *map(str, runs), "--out", str(tmp_path / "c.html")]
    done = CliRunner().invoke(app, command)
    assert (done.exit_code, numbers.read_bytes()) == (2, before)
    assert f"{numbers}: would be replaced beside c.html" in done.stderr
    numbers.unlink()
    for _ in range(2):
        assert CliRunner().invoke(app, command).exit_code == 0


def test_the_page_is_written_where_a_link_leads(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name) for name in "ab"]
    link, there = tmp_path / "link.html", tmp_path / "there" / "page.html"
    link.symlink_to(there)
    done = CliRunner().invoke(app, ["compare", *map(str, runs), "--out", str(link)])
    assert done.exit_code == 0
    assert link.is_symlink()
    assert sorted(file.name for file in there.parent.iterdir()) == ["page.html", "page.json"]


def test_a_run_is_not_written_into(tmp_path: Path) -> None:
    first, second = (write_run(tmp_path / name) for name in "ab")
    before = {file: file.read_bytes() for file in first.rglob("*") if file.is_file()}
    for command in (
        ["compare", str(first), str(second), "--out", str(first / "summary.html")],
        ["optuna", str(first / "k.log"), "--out", str(first / "spec.html")],
        ["predict", str(first), "--data", "none", "--out", str(first / "summary.json")],
    ):
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 2
        assert f"got a place within {first}, which holds a run" in done.stderr
    assert {file: file.read_bytes() for file in first.rglob("*") if file.is_file()} == before


def test_runs_of_the_ablation_are_compared_by_their_means_over_seeds(tmp_path: Path) -> None:
    summary = build_ablation_summary(seeds=(0, 1))
    labels = {method["name"]: method["label"] for method in summary["methods"]}
    told = {key: summary[key] for key in ("study", "title", "methods", "reference")}
    paths = []
    for place, seed in enumerate((0, 2)):
        path = write_run(tmp_path / f"run{place}", seed=seed, methods=labels, **{"summary": told})
        again = write_run(tmp_path / f"more{place}", seed=seed + 1, methods=labels)
        both = [pd.read_parquet(each / "predictions.parquet") for each in (path, again)]
        write_predictions(pd.concat(both, ignore_index=True), path / "predictions.parquet")
        RunDir(path=path).finish({})
        paths.append(path)
    found = compare_runs(read_runs(paths), n_boot=50)
    row = next(row for row in found["pairs"][0]["rows"] if row["method"] == "no_stage_1")
    means = [
        pd.read_parquet(path / "predictions.parquet")
        .query("method == 'no_stage_1' and correct")["chosen"]
        .mean()
        for path in paths
    ]
    assert row["difference"]["value"] == pytest.approx(means[1] - means[0])
    assert {each["kind"] for each in found["leaderboard"]} == {"llm", "ablation"}
    assert all(cell["accuracy"]["n"] > 0 for each in found["leaderboard"] for cell in each["cells"])
    assert terminal_rows(found)[1][0][0] in labels.values()
