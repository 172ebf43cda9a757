import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

RunExample = Callable[..., subprocess.CompletedProcess[str]]
SCRIPT = "ladder_on_your_table.py"
RUNGS = ["decision_tree", "random_forest", "xgboost", "forest_of_xgboost", "stack"]


def test_five_rungs_with_intervals_and_the_rule_above_them(run_example: RunExample, tmp_path: Path) -> None:
    out = tmp_path / "ladder.csv"
    printed = run_example(SCRIPT, "--out", out).stdout
    lines = re.findall(r"^(\w+) +(\d\.\d{3}) \[(\d\.\d{3}), (\d\.\d{3})\]", printed, re.MULTILINE)
    assert [name for name, *_ in lines] == RUNGS
    ladder = pd.read_csv(out)
    assert [f"{value:.3f}" for value in ladder["accuracy"]] == [value for _, value, *_ in lines]
    assert (ladder["low"] < ladder["accuracy"]).all()
    assert (ladder["accuracy"] < ladder["high"]).all()
    # A rule with a product in it: one tree is behind everything that joins many.
    assert ladder["accuracy"].idxmin() == 0
    assert ladder["gain_low"][1] > 0
    rule = re.search(r"the rule behind it +(\d\.\d{3})", printed)
    assert rule is not None
    assert float(rule[1]) > ladder["high"].max()


def test_siblings_in_a_table_of_ones_own_teach_nothing(run_example: RunExample, tmp_path: Path) -> None:
    """Every question stands twice, and its answer is noise: who had met its twin would know it."""
    rng = np.random.default_rng(0)
    n_families, n_options = 80, 4
    once = pd.DataFrame(rng.normal(size=(n_families * n_options, 3)), columns=["a", "b", "c"])
    once["template"] = np.repeat([f"t{k}" for k in range(n_families)], n_options)
    once["hit"] = np.eye(n_options, dtype=int)[rng.integers(n_options, size=n_families)].ravel()
    both = [once.assign(asked=once["template"] + copy) for copy in ("-first", "-second")]
    table = tmp_path / "mine.csv"
    pd.concat(both).to_csv(table, index=False)
    out = tmp_path / "ladder.csv"
    columns = ("--question", "asked", "--family", "template", "--right", "hit")
    printed = run_example(SCRIPT, "--table", table, *columns, "--folds", 2, "--out", out).stdout
    assert "160 questions of 80 families" in printed
    assert "the rule behind it" not in printed
    assert (pd.read_csv(out)["accuracy"] < 0.45).all()


def test_a_column_that_is_not_there_is_named(run_example: RunExample, tmp_path: Path) -> None:
    pd.DataFrame({"question": [0], "right": [1]}).to_csv(tmp_path / "t.csv", index=False)
    ended = run_example(SCRIPT, "--table", tmp_path / "t.csv", returncode=2)
    assert "the table lacks family; its columns are question, right" in ended.stderr
