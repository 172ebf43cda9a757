"""A worker process that is killed ends the job in one line, and nothing that was done is lost."""

from pathlib import Path

import pytest

from tests.faults.beside import lose_a_worker
from tests.faults.jobs import JOBS, Material


@pytest.mark.parametrize(("name", "options"), [("filter", ()), ("embedding_probe", ("--set", "jobs=2"))])
def test_a_job_that_lost_a_worker_goes_on_to_the_same_end(
    name: str, options: tuple[str, ...], made: Material, tmp_path: Path
) -> None:
    assert lose_a_worker(JOBS[name], made, tmp_path / "run", *options).defects == []
