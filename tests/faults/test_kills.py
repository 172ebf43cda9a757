"""A dozen seeded kills, spread over all stages; `benchmarks/faults.py` runs many more."""

import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.faults.jobs import JOBS, Job, Material, material
from tests.faults.killing import Kill, disturb, draw_kills
from tests.faults.results import files_of, marks_of

SEED = 20_261_126
TESTED = ("generate", "filter", "align", "finetune", "extract", "ensemble_vs_llm")
"""The other study is left to the benchmark: its steps are kept in the same way."""
KILLS_EACH = 2


@pytest.mark.parametrize("name", TESTED)
def test_a_killed_job_goes_on_to_the_same_end(name: str, made: Material, tmp_path: Path) -> None:
    job = JOBS[name]
    # The first kill is at a file event, so that it meets the job however fast the machine is.
    n_events = len(made.events(job).read_text().splitlines())
    at_event = random.Random(f"{name}:{SEED}").randint(1, n_events)
    first = Kill(at_event=at_event, alone=TESTED.index(name) % 3 == 1)  # the filter has workers
    more = draw_kills(job, made, seed=SEED, number=0, n_cases=1, n_kills=KILLS_EACH - 1)
    outcome = disturb(job, made, tmp_path / "run", [first, *more])
    assert outcome.defects == []
    assert outcome.faults


def test_another_server_makes_no_difference(made: Material, tmp_path: Path) -> None:
    made.undisturbed(JOBS["generate"])
    with material(made.folder) as elsewhere:
        assert disturb(JOBS["generate"], elsewhere, tmp_path / "run", []).defects == []


def test_every_stage_has_a_job() -> None:
    stages = {stage for job in JOBS.values() for stage in job.stages}
    assert stages >= {
        "data generation", "stage 1", "stage 2", "extraction", "tuning", "stacking", "report",
    }  # fmt: skip


# What a job may do wrong, by the promise that it breaks; it makes three units and joins them.
GOOD = """
import os, time
from pathlib import Path
for n in range(3):
    unit = Path(f"unit{n}.json")
    if not unit.exists():
        draft = Path(f".unit{n}.json")
        draft.write_text(f"[{n}]")
        draft.replace(unit)
draft = Path(".out.json")
draft.write_text("[0, 1, 2]")
draft.replace("out.json")
"""
BAD: Mapping[str, tuple[str, str]] = {
    "torn": ('draft = Path(f".unit{n}.json")', "draft = unit; draft.write_text('['); os.mkdir(f'{n}')"),
    "redone": ("if not unit.exists():", "if True:"),
    "left: .unit": ('Path(f".unit{n}.json")', 'Path(f".unit{n}.{os.getpid()}")'),
    "failed: exit code 3": (
        "import os, time",
        "import os, time\nif os.path.exists('unit0.json'): os._exit(3)",
    ),
    "different: out.json": ('"[0, 1, 2]"', "str([os.getpid()])"),
    "left: process": ("import os, time", "import os, time\nif os.fork() == 0: time.sleep(600)"),
}


def job_of(script: str) -> Job:
    return Job(
        name="three units",
        stages={"joining": ("*",)},
        command=lambda made: ["-c", script],
        results=lambda folder: files_of(folder, "*.json"),
        finished=lambda folder: marks_of(folder, "unit*.json"),
    )


@pytest.fixture
def outcome_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], list[str]]]:
    monkeypatch.setattr("tests.faults.killing.ORPHANS_S", 1.0)
    with material(tmp_path / "made") as own:
        kills = [Kill(at_event=number, alone=True) for number in (3, 3, 2)]
        yield lambda script: disturb(job_of(script), own, tmp_path / "run", kills).defects


def test_a_job_that_keeps_the_promise_has_no_defect(outcome_of: Callable[[str], list[str]]) -> None:
    assert outcome_of(GOOD) == []


@pytest.mark.parametrize("broken", BAD)
def test_the_judge_sees_a_promise_broken(broken: str, outcome_of: Callable[[str], list[str]]) -> None:
    good, bad = BAD[broken]
    assert good in GOOD
    defects = outcome_of(GOOD.replace(good, bad))
    assert any(defect.startswith(broken) for defect in defects), defects
