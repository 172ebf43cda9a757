"""Runs started at once, on one data set, one feature store and one cache: each ends as it does alone."""

import hashlib
import io
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from llava_core.data.load import load_dataset
from llava_core.features.store import Block, write_store
from studies.cli import app

PARTS = {"train": 45, "validation": 18, "test": 27}
ENSEMBLE = (
    "ensemble_vs_llm", "--trials", "0", "--set", "ablation=false", "--set", "curve_trees=1",
    "--set", "curve_xgbs=1",
)  # fmt: skip
PROBE = ("embedding_probe", "--set", "probes=linear", "--set", "targets=answer", "--set", "jobs=2")
Command = Sequence[str]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data in parquet files, whose images each run puts into the cache, and a store of its vectors."""
    folder = tmp_path_factory.mktemp("shared")
    rng = np.random.default_rng(0)
    (folder / "data").mkdir()
    for part, n in PARTS.items():
        rows = []
        for number in range(n):
            drawn = io.BytesIO()
            Image.fromarray(rng.integers(256, size=(24, 24, 3), dtype=np.uint8)).save(drawn, "png")
            rows.append(
                {
                    "question": f"Question {number} of {part}?",
                    "choices": ["red", "green", "blue"],
                    "answer": int(rng.integers(3)),
                    "image": {"bytes": drawn.getvalue()},
                    "subject": "art",
                    "hint": "",
                }
            )
        pd.DataFrame(rows).to_parquet(folder / "data" / f"{part}-00000-of-00001.parquet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "other_cache"))
        dataset = load_dataset(folder / "data")
    rows = pd.DataFrame(
        {
            "example_id": [example.id for example in dataset.examples],
            "group": [example.group for example in dataset.examples],
            "split": [example.split for example in dataset.examples],
            "n_options": 3,
            "answer": [example.answer for example in dataset.examples],
            "seen_in_training": False,
        }
    )
    hidden = rng.normal(size=(len(rows), 3, 4)).astype(np.float32)
    hidden[np.arange(len(rows)), rows["answer"], 1] += 3
    blocks = {
        "projector": Block(level="example", array=rng.normal(size=(len(rows), 5)).astype(np.float32)),
        "llm_hidden": Block(level="option", array=hidden.reshape(-1, 4)),
        "option_logprob": Block(
            level="option", array=rng.normal(-2, 1, size=(3 * len(rows), 3)).astype(np.float32)
        ),
    }
    meta = {
        "data_fingerprint": dataset.fingerprint,
        "checkpoints": {},
        "settings": {"llm_hidden_layers": [-1]},
    }
    write_store(folder / "store", rows=rows, blocks=blocks, meta=meta)
    return folder


def start(command: Command, shared: Path, out: Path) -> subprocess.Popen[str]:
    study, *settings = command
    words = [
        "run", study, "--preset", "quick", "--limit", 24, "--set", "n_boot=20", "--data", shared / "data",
        "--features", shared / "store", "--out", out, *settings,
    ]  # fmt: skip
    (shared / "tmp").mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-c", "from studies.cli import main; main()", *map(str, words)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "XDG_CACHE_HOME": str(shared / "cache"),
            "TMPDIR": str(shared / "tmp"),
        },
    )


def finish(process: subprocess.Popen[str]) -> None:
    _, told = process.communicate()
    assert process.returncode == 0, told
    assert "needs at most" in told


def verify(*runs: Path) -> None:
    told = CliRunner().invoke(app, ["verify", *map(str, runs)], env={"COLUMNS": "80"})
    assert told.exit_code == 0, told.stdout


def test_runs_started_at_once_end_as_they_do_alone_and_leave_nothing(shared: Path, tmp_path: Path) -> None:
    at_once = {"ensemble": ENSEMBLE, "other_workers": (*ENSEMBLE, "--set", "jobs=1"), "probe": PROBE}
    processes = [start(command, shared, tmp_path / name) for name, command in at_once.items()]
    for process in processes:
        finish(process)
    for name, command in {"ensemble_alone": ENSEMBLE, "probe_alone": (*PROBE, "--set", "jobs=1")}.items():
        finish(start(command, shared, tmp_path / name))
    for name in at_once:
        verify(tmp_path / name)
    verify(tmp_path / "ensemble", tmp_path / "ensemble_alone")
    verify(tmp_path / "other_workers", tmp_path / "ensemble_alone")
    verify(tmp_path / "probe", tmp_path / "probe_alone")
    images = [file for file in (shared / "cache").rglob("*") if file.is_file()]
    assert len(images) == sum(PARTS.values())
    assert all(hashlib.sha256(file.read_bytes()).hexdigest() == file.stem for file in images)
    assert list((shared / "tmp").rglob("*")) == []
    pids = {str(process.pid) for process in processes}
    assert not [
        file for file in Path("/dev/shm").glob("*") if pids & set(file.name.replace("-", "_").split("_"))
    ]
