"""The stored predictions that `examples/ladder.ipynb` reads: a finished run, trimmed to what it needs.

make study OUT=runs/ensemble_vs_llm
python benchmarks/ladder_predictions.py runs/ensemble_vs_llm examples/ladder_run
"""

import json
import sys
from pathlib import Path

import pandas as pd

from studies.predictions import read_predictions, write_predictions

LADDER = ("decision_tree", "random_forest", "xgboost", "forest_of_xgboost", "stacking")
METHODS = (*LADDER, "llava", "stacking_with_llava")


def trim(source: Path, out: Path) -> None:
    """Write the notebook's predictions, questions and provenance, from a run with LLaVA."""
    out.mkdir(parents=True, exist_ok=True)
    summary = json.loads((source / "summary.json").read_text())
    questions = pd.read_parquet(source / "questions.parquet")
    predictions = read_predictions(source / "predictions.parquet")
    kept = predictions["method"].isin(METHODS) & predictions["example_id"].isin(questions["example_id"])
    write_predictions(predictions[kept].reset_index(drop=True), out / "predictions.parquet")
    questions.to_parquet(out / "questions.parquet", index=False)
    made = summary["provenance"]
    told = {
        "command": made["command"],
        "commit": made["git_commit"],
        "seed": made["seed"],
        "versions": made["versions"],
        "splits": summary["data"]["splits"],
    }
    (out / "provenance.json").write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    trim(Path(sys.argv[1]), Path(sys.argv[2]))
