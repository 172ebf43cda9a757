"""Means over the seeds of finished runs on the bundled data, as Markdown tables.

    studies data mini --out mini
    for seed in 0 1 2; do studies run ensemble_vs_llm --seed $seed --out runs/seed$seed; done
    python benchmarks/seeds.py mini runs/seed0 runs/seed1 runs/seed2

All is computed from ``predictions.parquet``: the share of the choice that is right, averaged over questions
and then over seeds, with the single seeds beside it.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from llava_core.data.load import load_dataset
from studies.predictions import read_predictions

METHODS = (
    "chance", "majority_position", "question_only", "decision_tree", "random_forest", "xgboost", "lightgbm",
    "forest_of_xgboost", "neighbours", "linear", "greedy_selection", "stacking",
    "xgboost_with_llava", "lightgbm_with_llava", "llava", "llava_generated", "stacking_with_llava",
)  # fmt: skip
VARIANTS = ("llava", "llava_generated", "llava[blank image]", "llava[stage1 only]", "chance", "question_only")
SKILL_METHODS = (
    "chance",
    "question_only",
    "xgboost",
    "stacking",
    "llava",
    "llava[blank image]",
    "stacking_with_llava",
)


def main(data: Path, runs: Sequence[Path]) -> None:
    """Print the tables."""
    examples = {example.id: example for example in load_dataset(data).examples}
    tables = [read_predictions(run / "predictions.parquet") for run in runs]
    frame = pd.concat([_credits(table, place) for place, table in enumerate(tables)], ignore_index=True)
    frame["slice"] = [examples[id_].slice for id_ in frame["example_id"]]
    frame["skill"] = [examples[id_].skill for id_ in frame["example_id"]]
    frame["kind"] = ["image" if examples[id_].has_image else "text" for id_ in frame["example_id"]]
    test = frame[[examples[id_].split == "test" for id_ in frame["example_id"]]]
    main_image = test[(test["slice"] == "main") & (test["kind"] == "image")]

    print("LLaVA by itself, image questions of slice main\n")
    _print(main_image, "method", VARIANTS)
    print("\nMethods by slice and kind, mean over seeds\n")
    test = test.assign(where=test["slice"] + ", " + test["kind"])
    _print_wide(test, "where", METHODS, rows_are_methods=True)
    print("\nMethods on all questions of slice main, single seeds\n")
    _print(test[test["slice"] == "main"], "method", METHODS)
    print("\nMethods on the image questions of slice main, single seeds\n")
    _print(main_image, "method", METHODS)
    print("\nImage skills of slice main, mean over seeds\n")
    _print_wide(main_image, "skill", SKILL_METHODS)
    print("\nText skills, all slices of the test, mean over seeds\n")
    methods = [method for method in SKILL_METHODS if method != "llava[blank image]"]
    _print_wide(test[test["kind"] == "text"], "skill", methods)


def _credits(predictions: pd.DataFrame, place: int) -> pd.DataFrame:
    """Return the credit of each method for each question."""
    right = predictions[predictions["correct"].fillna(False).astype(bool)]
    found = right.groupby(["method", "example_id"], as_index=False)["chosen"].sum()
    return found.rename(columns={"chosen": "credit"}).assign(run=place)


def _print(frame: pd.DataFrame, by: str, rows: Sequence[str]) -> None:
    wide = 100 * frame.groupby([by, "run"])["credit"].mean().unstack()
    runs = list(wide.columns)
    print(f"| {by} | mean | {' | '.join(f'run {run}' for run in runs)} |")
    print("|---" * (len(runs) + 2) + "|")
    for row in rows:
        if row in wide.index:
            single = " | ".join(f"{wide.loc[row, run]:.1f}" for run in runs)
            print(f"| {row} | {wide.loc[row].mean():.1f} | {single} |")


def _print_wide(
    frame: pd.DataFrame, by: str, methods: Sequence[str], *, rows_are_methods: bool = False
) -> None:
    seen = frame[frame["method"].isin(methods)]
    mean = 100 * seen.groupby(["method", by, "run"])["credit"].mean().groupby(["method", by]).mean().unstack()
    mean = mean.loc[[method for method in methods if method in mean.index]]
    counts = seen[seen["run"] == 0].groupby(by)["example_id"].nunique()
    mean.columns = [f"{name} ({counts[name]})" for name in mean.columns]
    table = mean if rows_are_methods else mean.T
    print(f"| | {' | '.join(table.columns)} |")
    print("|---" * (len(table.columns) + 1) + "|")
    for name, values in table.iterrows():
        print(f"| {name} | {' | '.join('' if pd.isna(v) else f'{v:.1f}' for v in values)} |")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), [Path(argument) for argument in sys.argv[2:]])
