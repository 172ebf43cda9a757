"""Climb the ladder on a table of your own: tree, forest, XGBoost, a forest of XGBoosts, a stack.

A table has a row per option of a question, columns of numbers, and three columns that say what belongs
together: which question a row is an option of, which family the question belongs to (questions made from
one template, about one picture, by one author), and whether the option is right. Every rung is fitted on
some families and judged on the others, so that no rung profits from having met a sibling.

    python examples/ladder_on_your_table.py                                   # a table drawn here
    python examples/ladder_on_your_table.py --table mine.parquet --out ladder.csv
    python examples/ladder_on_your_table.py --table mine.csv --question id --family template --right is_right

It prints a line per rung: the share of questions answered rightly with an interval over families, what the
rung gains over the one below it, paired, question by question, and the log-loss of its probabilities.
Without ``--table``, the right answers follow a rule with some noise, which a last line scores: no rung can
be expected to pass it. Eleven seconds of CPU.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console

from ensembles.choice import credit, question_log_loss, question_probabilities
from ensembles.registry import MEMBERS
from ensembles.splits import family_folds
from ensembles.stacking import OptionStacking
from studies.progress import Progress, shown
from studies.stats import accuracy_estimate, compare

SINGLE = ("decision_tree", "random_forest", "xgboost", "forest_of_xgboost")
STACKED = ("random_forest", "xgboost", "forest_of_xgboost", "neighbours", "linear")
PARAMS: Mapping[str, Mapping[str, Any]] = {"random_forest": {"max_features": "sqrt"}}
"""In place of a member's defaults, which are for hundreds of columns; `ensembles.tuning.tune` finds better
ones for all of them, at the price of minutes."""


def main() -> None:
    """Read or draw the table, fit every rung out of fold, print the ladder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", type=Path, help="CSV or parquet file; one is drawn without it")
    parser.add_argument("--question", default="question", help="column: which rows compete")
    parser.add_argument("--family", default="family", help="column: which questions stay together")
    parser.add_argument("--right", default="right", help="column: 1 in the row of the right option, else 0")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="threads of a fit")
    parser.add_argument("--out", type=Path, help="write the ladder as CSV")
    arguments = parser.parse_args()

    table = draw_table(600, seed=arguments.seed) if arguments.table is None else read_table(arguments.table)
    keys = [arguments.question, arguments.family, arguments.right]
    missing = [key for key in keys if key not in table]
    if missing:
        parser.error(f"the table lacks {', '.join(missing)}; its columns are {', '.join(table.columns)}")
    numbers = table.drop(columns=keys).select_dtypes("number")
    best = numbers.pop("best_guess") if arguments.table is None else None
    questions = pd.factorize(table[arguments.question])[0]
    families = pd.factorize(table[arguments.family])[0]
    right = table[arguments.right].to_numpy(dtype=int)

    with shown(Console(stderr=True)) as progress:
        ladder = climb(
            numbers.to_numpy(dtype=np.float32),
            right,
            questions=questions,
            families=families,
            n_folds=arguments.folds,
            seed=arguments.seed,
            n_jobs=arguments.jobs,
            progress=progress,
        )
    print_ladder(ladder, n_questions=len(np.unique(questions)), n_families=len(np.unique(families)))
    if best is not None:
        print(f"{'the rule behind it':<20}{credit(best, questions, right).mean():.3f}")
    if arguments.out is not None:
        ladder.to_csv(arguments.out, index=False)


def read_table(file: Path) -> pd.DataFrame:
    """Return a table on disk."""
    return pd.read_csv(file) if file.suffix == ".csv" else pd.read_parquet(file)


def draw_table(n_questions: int, *, seed: int) -> pd.DataFrame:
    """Return questions of four options whose right one follows a rule that no straight line can follow.

    Two questions make a family and share three columns, as questions about one picture do: these tell a
    family from the others, and nothing about its answers.
    """
    rng = np.random.default_rng(seed)
    question = np.repeat(np.arange(n_questions), 4)
    family = question // 2
    X = rng.normal(size=(len(question), 6))
    shared = rng.normal(size=(family.max() + 1, 3))[family]
    rule = 1.5 * X[:, 0] * np.sign(X[:, 1]) + X[:, 2] + np.abs(X[:, 3])
    felt = (rule + rng.gumbel(scale=0.5, size=len(rule))).reshape(-1, 4)
    columns = {f"x{place}": column for place, column in enumerate(np.hstack([X, shared]).T)}
    right = (np.arange(4) == felt.argmax(axis=1)[:, None]).ravel().astype(int)
    return pd.DataFrame(
        {"question": question, "family": family, "right": right, **columns, "best_guess": rule}
    )


def climb(
    X: NDArray[np.float32],
    right: NDArray[np.int64],
    *,
    questions: NDArray[np.int64],
    families: NDArray[np.int64],
    n_folds: int,
    seed: int,
    n_jobs: int,
    progress: Progress,
) -> pd.DataFrame:
    """Return a row per rung: accuracy with interval, the gain over the rung below, log-loss, seconds."""
    folds = family_folds(families, n_folds=n_folds, seed=seed)
    family = families[np.unique(questions, return_index=True)[1]]  # of each question
    rows: list[dict[str, Any]] = []
    below: NDArray[np.float64] | None = None
    for name in (*SINGLE, "stack"):
        tick, begun = progress.stage(f"fit {name}"), perf_counter()
        prob = np.full(len(right), np.nan)
        for done, (learn, judge) in enumerate(folds, start=1):
            model = make_rung(name, seed=seed, n_jobs=n_jobs)
            model.fit(X[learn], right[learn], questions=questions[learn], groups=families[learn])
            score = model.predict_proba(X[judge], questions=questions[judge])[:, 1]
            prob[judge] = question_probabilities(score, questions[judge])
            tick(done, len(folds))
        seconds = perf_counter() - begun
        earned = credit(prob, questions, right)
        accuracy = accuracy_estimate(earned, family)
        row = {"rung": name, "accuracy": accuracy.value, "low": accuracy.low, "high": accuracy.high}
        if below is not None:
            gain = compare(earned, below, family).difference
            row |= {"gain": gain.value, "gain_low": gain.low, "gain_high": gain.high}
        log_loss = float(question_log_loss(prob, questions, right).mean())
        rows.append({**row, "log_loss": log_loss, "seconds": seconds})
        below = earned
    return pd.DataFrame(rows)


def make_rung(name: str, *, seed: int, n_jobs: int) -> Any:
    """Return an unfitted estimator; the stack makes family folds of its own."""
    if name != "stack":
        return MEMBERS[name].make(PARAMS.get(name, {}), seed=seed, n_jobs=n_jobs)
    members = [(each, make_rung(each, seed=seed, n_jobs=n_jobs)) for each in STACKED]
    return OptionStacking(members, n_folds=3, seed=seed)


def print_ladder(ladder: pd.DataFrame, *, n_questions: int, n_families: int) -> None:
    """Print the table."""
    print(f"{n_questions} questions of {n_families} families, each judged by models that saw other families")
    print(f"{'rung':<20}{'accuracy, 95 %':<23}{'gain over the rung below':<27}log-loss")
    for row in ladder.itertuples():
        accuracy = f"{row.accuracy:.3f} [{row.low:.3f}, {row.high:.3f}]"
        gain = "" if np.isnan(row.gain) else f"{row.gain:+.3f} [{row.gain_low:+.3f}, {row.gain_high:+.3f}]"
        print(f"{row.rung:<20}{accuracy:<23}{gain:<27}{row.log_loss:.3f}")


if __name__ == "__main__":
    main()
