"""`studies run embedding_probe` and `studies probe` as a user types them."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from llava_core.data.load import load_dataset
from llava_core.features.store import Block, write_store
from studies.cli import app

Studies = Callable[..., subprocess.CompletedProcess[str]]
SKILLS = ("count", "compare", "name")
runner = CliRunner()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Data of 90 questions, three to a family, and a store of it in which the skill is planted."""
    folder = tmp_path_factory.mktemp("probing")
    rng = np.random.default_rng(0)
    records = [
        {
            "id": f"q{i}",
            "question": f"Question {i}?",
            "options": ["red", "green", "blue"],
            "answer": int(rng.integers(3)),
            "group": f"f{i // 3}",
            "split": "test" if i // 3 % 3 == 0 else "val" if i // 3 % 8 == 1 else "train",
            "skill": SKILLS[i // 9 % 3],
        }
        for i in range(90)
    ]
    data = folder / "questions.jsonl"
    data.write_text("\n".join(map(json.dumps, records)) + "\n")
    skill = np.array([SKILLS.index(str(record["skill"])) for record in records])
    image = rng.normal(size=(90, 5)).astype(np.float32)
    image[np.arange(90), skill] += 5
    answer = np.array([record["answer"] for record in records])
    hidden = rng.normal(size=(90, 3, 4)).astype(np.float32)
    hidden[np.arange(90), answer, 1] += 6
    rows = pd.DataFrame(records).rename(columns={"id": "example_id"})
    rows = rows.assign(n_options=3, seen_in_training=False)
    blocks = {
        "clip_image_patches": Block(level="example", array=image),
        "projector": Block(level="example", array=image @ rng.normal(size=(5, 6)).astype(np.float32)),
        "llm_hidden": Block(level="option", array=hidden.reshape(270, 4)),
    }
    meta = {
        "data_fingerprint": load_dataset(data).fingerprint,
        "checkpoints": {},
        "settings": {"llm_hidden_layers": [-1]},
    }
    write_store(folder / "store", rows=rows, blocks=blocks, meta=meta)
    return folder / "store", data


def test_the_study_runs_from_a_store_without_torch(
    studies: Studies, store: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    features, data = store
    arguments = ("--preset", "quick", "--features", features, "--data", data, "--out", out)
    done = studies("run", "embedding_probe", *arguments)
    assert done.returncode == 0, done.stderr
    assert "torch loaded: False" in done.stderr
    assert done.stdout == f"report: {out / 'report.html'}\n"
    summary = json.loads((out / "summary.json").read_text())
    cells = {(cell["target"], cell["stage"], cell["probe"]): cell for cell in summary["cells"]}
    assert len(cells) == 2 * 3 * 3
    assert all(cell["status"] == "ok" for cell in cells.values())
    assert cells["skill", "projector", "linear"]["score"]["value"] > 0.9
    assert cells["skill", "llm_hidden_-1", "linear"]["score"]["value"] < 0.7
    assert cells["answer", "llm_hidden_-1", "linear"]["score"]["value"] > 0.8
    assert cells["answer", "projector", "linear"]["score"]["value"] < 0.7
    hardest = summary["hard"]["answer"]["items"][0]
    assert hardest["options"] == ["red", "green", "blue"]
    assert hardest["label"] == hardest["options"][hardest["answer"]]

    # The run itself can be probed again, for something else; the report is rendered anew from its summary.
    again = studies("probe", out, "--target", "answer", "--blocks", "llm_hidden", "--probes", "linear",
                    "--out", tmp_path / "again")  # fmt: skip
    assert again.returncode == 0, again.stderr
    other = json.loads((tmp_path / "again" / "summary.json").read_text())
    assert [stage["name"] for stage in other["stages"]] == ["llm_hidden_-1"]
    assert other["cells"][0]["score"] == pytest.approx(
        cells["answer", "llm_hidden_-1", "linear"]["score"], abs=0.2
    )
    page = (out / "report.html").read_bytes()
    assert studies("report", out).returncode == 0
    assert (out / "report.html").read_bytes() == page


def probe(*arguments: object) -> tuple[int, str, str]:
    done = runner.invoke(app, ["probe", *map(str, arguments)], env={"COLUMNS": "80"})
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A table of two blocks: the label is plain in the first and faint in the second."""
    rng = np.random.default_rng(0)
    kind = np.repeat(rng.integers(3, size=40), 3)
    early = np.eye(4)[kind] * 5 + rng.normal(size=(120, 4))
    late = np.eye(4)[kind] * 0.4 + rng.normal(size=(120, 4))
    frame = pd.DataFrame({"label": kind, "family": np.arange(120) // 3, "early": list(early)})
    frame[[f"late_{i}" for i in range(4)]] = late
    frame.to_parquet(tmp_path / "own.parquet")
    np.save(tmp_path / "early.npy", early)
    frame[["label", "family"]].to_csv(tmp_path / "labels.csv", index=False)
    return tmp_path


def test_vectors_of_ones_own_end_in_a_table_of_eighty_columns(own: Path) -> None:
    code, stdout, stderr = probe(
        own / "own.parquet", "--target", "label", "--groups", "family", "--probes", "linear,tree",
        "--set", "jobs=1", "--set", "n_boot=50", "--out", own / "run",
    )  # fmt: skip
    assert code == 0, stderr
    lines = stdout.splitlines()
    assert max(map(len, lines[:-1])) <= 80
    rows = {line.split()[0]: line.split() for line in lines if line.startswith(("early", "late"))}
    assert float(rows["early"][1]) > 90 > float(rows["late"][1])
    summary = json.loads((own / "run" / "summary.json").read_text())
    assert summary["data"]["n_families_train"] == 28
    (linear, _) = summary["comparisons"]
    assert (linear["a"], linear["b"]) == ("late", "early")
    assert linear["difference"]["high"] < 0
    assert lines[-1] == f"report: {own / 'run' / 'report.html'}"


def test_an_array_with_labels_beside_it(own: Path) -> None:
    labels = own / "labels.csv"
    code, _, stderr = probe(
        own / "early.npy", "--target", f"{labels}:label", "--probes", "linear", "--set", "jobs=1",
        "--set", "n_boot=50", "--out", own / "run",
    )  # fmt: skip
    assert code == 0, stderr
    summary = json.loads((own / "run" / "summary.json").read_text())
    assert summary["title"] == "What early.npy holds, and which probes can read it"
    assert not summary["data"]["has_families"]
    assert summary["data"]["n_families_train"] == 84
    assert any("No family was named" in detail for detail in summary["verdict"]["details"])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["own.parquet", "--target", "hue"], "field target: got 'hue', allowed are label, family"),
        (["own.parquet", "--target", "label", "--blocks", "mid"], "got 'mid', allowed are early, late"),
        (["own.parquet", "--target", "label", "--probes", "knn"], "got 'knn', allowed are linear"),
        (["own.parquet", "--target", "label", "--groups", "hue"], "field groups: got 'hue'"),
        (["own.parquet", "--target", "label", "--set", "split=none"], "allowed are family, random"),
        (["own.parquet", "--target", "label", "--data", "own.parquet"], "field data"),
        (["own.parquet", "--target", "label", "--target", "label"], "got 'label' twice"),
        (["early.npy"], "got 'skill', allowed are a file of labels"),
        (["early.npy", "--target", "labels.csv"], "got columns label, family"),
        (["early.npy", "--target", "few.csv"], "got 3 labels, allowed are 120"),
        (["early.npy", "--target", "same.npy"], "got '1' for every row"),
        (
            ["early.npy", "--target", "labels.csv:label", "--groups", "same.npy"],
            "families to learn from and 1 to score",
        ),
        (["early.npy", "--target", "real.npy"], "allowed are labels"),
        (["nowhere.npy", "--target", "labels.csv:label"], "no such file or folder"),
        ([".", "--target", "labels.csv:label"], "not a feature store"),
        (["nan.npy", "--target", "labels.csv:label"], "record row 3"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_two(
    own: Path, arguments: list[str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(own)
    (own / "few.csv").write_text("label\na\nb\na\n")
    np.save(own / "same.npy", np.ones(120))
    np.save(own / "real.npy", np.linspace(0, 1, 120))
    holed = np.load(own / "early.npy")
    holed[2, 1] = np.nan
    np.save(own / "nan.npy", holed)
    code, _, stderr = probe(*arguments, "--out", "run")
    errors = [line for line in stderr.splitlines() if line.startswith("error: ")]
    assert code == 2
    assert len(errors) == 1
    assert told in errors[0]
    assert not (own / "run" / "summary.json").exists()


def test_a_store_of_other_data_asks_for_its_data(store: tuple[Path, Path], tmp_path: Path) -> None:
    features, _ = store
    code, _, stderr = probe(features, "--target", "skill", "--out", tmp_path / "run")
    assert code == 2
    assert "allowed is --data DATA" in stderr
    other = tmp_path / "other.jsonl"
    other.write_text(json.dumps({"id": "a", "question": "?", "options": ["x", "y"], "answer": 0}) + "\n")
    code, _, stderr = probe(features, "--target", "skill", "--data", other, "--out", tmp_path / "run")
    assert code == 2
    assert "allowed is the store's" in stderr
