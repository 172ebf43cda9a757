"""A full disk ends a job in one line; with room the job goes on to the same end."""

import random
from pathlib import Path

import pytest

from tests.faults.disks import fill
from tests.faults.jobs import JOBS, Material

SEED = 20_261_126
TESTED = ("generate", "align", "extract", "ensemble_vs_llm")
"""The others are left to the benchmark."""


@pytest.mark.parametrize("name", TESTED)
def test_a_job_that_fills_the_disk_goes_on_to_the_same_end(
    name: str, made: Material, tmp_path: Path, needs_disks: None
) -> None:
    share = random.Random(f"{name}:{SEED}").uniform(0.05, 0.95)
    assert fill(JOBS[name], made, tmp_path / "disk", share=share).defects == []
