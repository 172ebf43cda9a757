"""The stored predictions that `examples/ladder.ipynb` reads: a small study, trimmed to what it needs.

    python benchmarks/ladder_predictions.py run WORK                        # draws, trains, fits: minutes
    python benchmarks/ladder_predictions.py trim WORK/run examples/ladder_run --command "..."

``run`` keeps five of the fourteen kinds of picture questions of the bundled data, and of each the first 300
that LLaVA may learn from. ``trim`` takes any finished run of `ensemble_vs_llm` with LLaVA.
"""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd

from llava_core.data.mini import write_mini
from studies.predictions import read_predictions, write_predictions

SKILLS = ("moon", "balance", "magnetic forces", "bulb", "thermometer")
N_PER_SKILL = 300
LADDER = ("decision_tree", "random_forest", "xgboost", "forest_of_xgboost", "stacking")
METHODS = (*LADDER, "llava", "stacking_with_llava")
SETTINGS = ("--set", "curve_trees=", "--set", "curve_xgbs=", "--set", "ablation=false", "--trials", "0")


def run(work: Path) -> None:
    """Draw the data, keep five skills, run the study."""
    write_mini(work / "data")
    keep_skills(work / "data")
    command = ["run", "ensemble_vs_llm", "--data", str(work / "data"), *SETTINGS, "--out", str(work / "run")]
    studies = [sys.executable, "-c", "from studies.cli import main; main()"]
    subprocess.run([*studies, *command], check=True)


def keep_skills(data: Path) -> None:
    """Take all other questions out of the lists of a data set in ScienceQA's layout; pictures stay."""
    lists = {name: json.loads((data / f"{name}.json").read_text()) for name in ("problems", "pid_splits")}
    problems, splits = lists["problems"], lists["pid_splits"]
    for part, ids in splits.items():
        seen = dict.fromkeys(SKILLS, 0)
        splits[part] = []
        for pid in ids:
            problem = problems[pid]
            skill = next((name for name in SKILLS if name in problem["skill"]), None)
            if skill is None or problem["image"] is None or problem["slice"] != "main":
                continue
            seen[skill] += 1
            if part != "train_llm" or seen[skill] <= N_PER_SKILL:
                splits[part].append(pid)
    kept = {pid for ids in splits.values() for pid in ids}
    lists["problems"] = {pid: problem for pid, problem in problems.items() if pid in kept}
    for name, content in lists.items():
        (data / f"{name}.json").write_text(json.dumps(content))


def trim(source: Path, out: Path, command: str) -> None:
    """Write the notebook's predictions, questions and provenance from a finished run."""
    out.mkdir(parents=True, exist_ok=True)
    summary = json.loads((source / "summary.json").read_text())
    questions = pd.read_parquet(source / "questions.parquet")
    predictions = read_predictions(source / "predictions.parquet")
    kept = predictions["method"].isin(METHODS) & predictions["example_id"].isin(questions["example_id"])
    write_predictions(predictions[kept].reset_index(drop=True), out / "predictions.parquet")
    questions.to_parquet(out / "questions.parquet", index=False)
    made = summary["provenance"]
    told = {
        "command": command,
        "commit": made["git_commit"],
        "seed": made["seed"],
        "versions": made["versions"],
        "splits": summary["data"]["splits"],
    }
    (out / "provenance.json").write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["run"] and len(sys.argv) == 3:
        run(Path(sys.argv[2]))
    elif sys.argv[1:2] == ["trim"] and len(sys.argv) == 6 and sys.argv[4] == "--command":
        trim(Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[5])
    else:
        sys.exit(__doc__)
