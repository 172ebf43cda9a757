"""Two variants of the tiny model, trained, asked and probed; then resumed."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd

Studies = Callable[..., subprocess.CompletedProcess[str]]
SMALL = (
    "--preset", "quick", "--limit", "30",
    "--set", "variants=both,stage_1_only,gated_cross_attention", "--set", "budget_frac=0.3",
)  # fmt: skip


def test_variants_are_trained_once_and_stand_side_by_side(studies: Studies, tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = studies("run", "stage_ablation", *SMALL, "--out", out)
    assert done.returncode == 0, done.stderr
    summary = json.loads((out / "summary.json").read_text())
    rows = {row["name"]: row for row in summary["variants"]}
    assert set(rows) == {"both", "stage_1_only", "gated_cross_attention"}
    assert [s["name"] for s in rows["both"]["training"][0]["stages"]] == ["align", "finetune"]
    assert [s["name"] for s in rows["stage_1_only"]["training"][0]["stages"]] == ["align"]
    assert rows["both"]["n_image_tokens"] == 16
    assert rows["gated_cross_attention"]["n_image_tokens"] == 1
    steps = [
        [stage["n_steps"] for stage in row["training"][0]["stages"]]
        for name, row in rows.items()
        if name != "stage_1_only"
    ]
    assert steps[0] == steps[1]
    assert not (out / "checkpoints" / "stage_1_only").exists()
    table, probes = pd.read_csv(out / "variants.csv"), pd.read_csv(out / "probes.csv")
    accuracy = table.set_index("variant")["accuracy_value"]
    assert accuracy["both"] == rows["both"]["accuracy"]["value"]
    assert len(probes) == 3 * 4
    assert summary["verdict"]["sentence"].split(";")[0][:20] in (out / "report.md").read_text()
    predictions = pd.read_parquet(out / "predictions.parquet")
    right = predictions[predictions["method"] == "both"].query("correct")["chosen"]
    assert abs(float(right.mean()) - rows["both"]["accuracy"]["value"]) < 1e-12

    # A run that was cut off after training goes on without training again.
    (out / "manifest.json").unlink()
    (out / "report.html").unlink()
    before = {path: path.stat().st_mtime_ns for path in out.rglob("model*.safetensors")}
    again = studies("run", "stage_ablation", *SMALL, "--out", out, "--resume")
    assert again.returncode == 0, again.stderr
    assert "torch loaded: False" in again.stderr
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("model*.safetensors")}
    assert (out / "report.html").is_file()
    page = (out / "report.html").read_text()
    assert studies("report", out).returncode == 0
    assert (out / "report.html").read_text() == page
    assert studies("verify", out).returncode == 0
    assert json.loads((out / "summary.json").read_text())["provenance"]["reproducible"] is (
        not json.loads((out / "steps" / "place.json").read_text())["facts"]["on_gpu"]
    )
