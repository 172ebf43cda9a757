import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

RunExample = Callable[..., subprocess.CompletedProcess[str]]
SCRIPT = "probe_your_embeddings.py"


def test_what_is_drawn_is_what_is_found(run_example: RunExample, tmp_path: Path) -> None:
    out = tmp_path / "probes.csv"
    printed = run_example(SCRIPT, "--out", out).stdout
    found = pd.read_csv(out)
    assert ((found["low"] <= found["value"]) & (found["value"] <= found["high"])).all()
    table = found.set_index(["embeddings", "probe", "question"])

    def told(embeddings: str, probe: str, question: str) -> pd.Series:
        return table.loc[(embeddings, probe, question)]

    # The concept has a direction: new families do not hide it, and erasing it does.
    for probe in ("linear", "neighbours", "forest"):
        assert told("a direction", probe, "new families")["low"] > 0.75
        assert told("a direction", probe, "selectivity")["low"] > 0.1
    assert told("a direction", "linear", "erased")["value"] < 0.62
    # Nothing but families: the forest seems to know the concept, until it is asked about new ones, and its
    # selectivity says so without any.
    assert told("families only", "forest", "known families")["low"] > 0.65
    assert told("families only", "forest", "new families")["low"] < 0.5
    assert abs(told("families only", "forest", "selectivity")["value"]) < 0.1
    for row in found.itertuples():
        assert f"{row.value:.2f} [{row.low:.2f}, {row.high:.2f}]" in printed


def test_vectors_and_labels_of_ones_own(run_example: RunExample, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    author, tone = np.repeat(np.arange(40), 3), rng.choice(["calm", "angry", "sad"], size=120)
    vectors = rng.normal(size=(120, 6)) + 2 * np.eye(6)[pd.factorize(tone)[0]]
    np.save(tmp_path / "v.npy", vectors.astype(np.float16))
    pd.DataFrame({"tone": tone, "author": author}).to_csv(tmp_path / "l.csv", index=False)
    out = tmp_path / "probes.csv"
    given = ("--embeddings", tmp_path / "v.npy", "--labels", tmp_path / "l.csv")
    done = run_example(SCRIPT, *given, "--label", "tone", "--group", "author", "--out", out)
    assert "v: 120 vectors of 40 families" in done.stdout
    found = pd.read_csv(out).set_index(["probe", "question"])["value"]
    assert found["linear", "new families"] > 0.7
    assert found["linear", "erased"] < 0.55
    assert set(pd.read_csv(out)["n"]) == {30}

    ended = run_example(SCRIPT, *given, "--label", "mood", returncode=2)
    assert "lacks mood; it has tone, author" in ended.stderr
