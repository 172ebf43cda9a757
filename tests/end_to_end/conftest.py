"""A small run without torch, made once and shared by the tests of this folder."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

Studies = Callable[..., subprocess.CompletedProcess[str]]
COLOURS = ("red", "green", "blue", "white", "black")
THINGS = ("ball", "cup", "door", "leaf", "stone", "car", "bird", "boat", "shoe", "hat")

PROBE = """
import sys
from studies.cli import main
try:
    main()
finally:
    print("torch loaded:", "torch" in sys.modules, file=sys.stderr)
"""


@pytest.fixture(scope="session")
def studies() -> Studies:
    """Run the `studies` command in a process of its own; stderr ends with whether torch was loaded."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", PROBE, *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "COLUMNS": "80", "OMP_NUM_THREADS": "1"},
        )

    return run


def write_questions(path: Path, n: int, *, labelled: bool = True, seed: int = 0) -> Path:
    """Write questions whose right option is named in the hint of most of them; two questions to a family."""
    rng = np.random.default_rng(seed)
    records = []
    for i in range(n):
        options = [str(colour) for colour in rng.permutation(COLOURS)[: rng.integers(2, 6)]]
        answer = int(rng.integers(len(options)))
        told = options[answer] if rng.random() < 0.85 else str(rng.choice(options))
        thing = THINGS[i // 2 % len(THINGS)]
        record = {
            "id": f"q{i}",
            "question": f"What is the colour of {thing} {seed}-{i // 2}?",
            "hint": f"There is a {told} {thing}.",
            "options": options,
        }
        records.append(record | ({"answer": answer} if labelled else {}))
    path.write_text("\n".join(map(json.dumps, records)) + "\n")
    return path


@pytest.fixture(scope="session")
def questions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """File of 240 labelled questions."""
    return write_questions(tmp_path_factory.mktemp("questions") / "questions.jsonl", 240)


@pytest.fixture(scope="session")
def finished(
    studies: Studies, questions: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str, str]:
    """Folder, stdout and stderr of a finished quick run."""
    out = tmp_path_factory.mktemp("runs") / "run"
    done = studies("run", "ensemble_vs_llm", "--preset", "quick", "--data", questions, "--out", out)
    assert done.returncode == 0, done.stderr
    return out, done.stdout, done.stderr
