"""A full disk ends a job in one line; with room the job goes on to the same end."""

import random
import sys
from pathlib import Path

import pytest

from tests.faults.disks import PAGE_BYTES, disk, fill
from tests.faults.jobs import JOBS, Material

SEED = 20_261_126
TESTED = ("generate", "align", "extract", "ensemble_vs_llm")
"""The others are left to the benchmark."""
ARRAYS = """
import sys
from importlib import import_module
from pathlib import Path
import numpy as np
save = import_module(sys.argv[1]).save_array
lost = 0
for n in range(2000, 2080):
    try:
        save(Path("a.npy"), np.ones(n))
    except OSError:
        continue
    lost += Path("a.npy").stat().st_size != 128 + 8 * n
print(lost)
"""
"""Arrays about the size of the disk, of which numpy cuts some off by a page and says nothing."""


@pytest.mark.parametrize("name", TESTED)
def test_a_job_that_fills_the_disk_goes_on_to_the_same_end(
    name: str, made: Material, tmp_path: Path, needs_disks: None
) -> None:
    share = random.Random(f"{name}:{SEED}").uniform(0.05, 0.95)
    assert fill(JOBS[name], made, tmp_path / "full", share=share).defects == []


@pytest.mark.parametrize("module", ["llava_core.drafts", "ensembles.drafts"])
def test_no_array_is_cut_off_in_silence(module: str, tmp_path: Path, needs_disks: None) -> None:
    with disk(tmp_path / "disk", 4 * PAGE_BYTES) as small:
        written = small.run(sys.executable, "-c", ARRAYS, module, check=True)
    assert written.stdout == "0\n"
