import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from llava_core.data.load import load_dataset
from llava_core.evaluation.answers import read_answers

RunExample = Callable[..., subprocess.CompletedProcess[str]]
SCRIPT = "published_answers_against_an_ensemble.py"


@pytest.fixture(scope="module")
def finished(run_example: RunExample, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Folder of a run on simulated answers, and what was printed."""
    out = tmp_path_factory.mktemp("published") / "out"
    return out, run_example(SCRIPT, "--out", out).stdout


def test_simulated_answers_are_called_so(finished: tuple[Path, str]) -> None:
    out, printed = finished
    assert printed.splitlines()[0] == "The answers are SIMULATED: no language model was asked."
    for name in ("reader", "knower"):
        assert json.loads((out / f"{name}.json").read_text())["model"] == f"simulated {name}"
        # Texts and positions agree, and each abstention is one.
        answers = read_answers(out / f"{name}.json", load_dataset(out / "questions.jsonl"))
        assert answers.strict == answers.chosen
        assert len(answers.chosen) == 240
        assert 0 < list(answers.chosen.values()).count(-1) < 20


def test_the_stack_finds_out_whom_to_believe(finished: tuple[Path, str]) -> None:
    out, printed = finished
    told = re.findall(r"^([\w:]+) +(\d\.\d{3}) \[(\d\.\d{3}), (\d\.\d{3})\]", printed, re.MULTILINE)
    low = {name: float(bound) for name, _, bound, _ in told}
    high = {name: float(bound) for name, *_, bound in told}
    assert {"llm:reader", "llm:knower", "llm_vote", "llm_best", "xgboost", "stacking"} <= set(low)
    assert low["stacking_with_llm"] > max(high[name] for name in ("llm:reader", "llm:knower", "llm_vote"))
    assert re.search(r"^stack against llm_best: \+\d\.\d{3} \[\+", printed, re.MULTILINE)
    (better,) = re.findall(r"^the better one, by kind +(\d\.\d{3})", printed, re.MULTILINE)
    assert float(better) > max(high["llm:reader"], high["llm:knower"])
    methods = json.loads((out / "run" / "summary.json").read_text())["methods"]
    assert {method["status"] for method in methods} == {"ok"}
    assert len(told) == len(methods)


def test_files_of_ones_own_are_asked_for_together(run_example: RunExample, tmp_path: Path) -> None:
    ended = run_example(SCRIPT, "--data", tmp_path, returncode=2)
    assert "got one of --data and --answers, which go together" in ended.stderr
