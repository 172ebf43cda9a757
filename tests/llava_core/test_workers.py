import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import psutil
import pytest

from llava_core.workers import worker_pool

ROOT = Path(__file__).resolve().parents[2]
POOL = """
    pool = worker_pool(2)
    pool.submit(sleep, 600)
    pool.submit(sleep, 0).result()
"""
JOBLIB = """
    next(done_by_workers(sleep, [0, 600], n_processes=3))  # one works, two are idle
"""
SCRIPT = """
import os, signal, psutil
from time import sleep
from llava_core.workers import done_by_workers, worker_pool
if __name__ == "__main__":
    {work}
    print(*[child.pid for child in psutil.Process().children()], flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_ctrl_c_is_left_to_the_process_that_the_user_started() -> None:
    with worker_pool(1) as pool:
        assert pool.submit(signal.getsignal, signal.SIGINT).result() == signal.SIG_IGN


def test_a_worker_killed_while_the_next_one_starts_breaks_the_pool_as_any_other() -> None:
    with worker_pool(2) as pool:
        pool.submit(time.sleep, 0.5)
        [first] = multiprocessing.active_children()
        pool._call_queue._reader.close()  # as the pool does that notices the death just then
        with pytest.raises(BrokenProcessPool):
            pool.submit(time.sleep, 0)
        first.kill()


@pytest.mark.parametrize("work", [POOL, JOBLIB], ids=["pool", "joblib"])
def test_workers_end_with_the_process_that_was_killed(work: str, tmp_path: Path) -> None:
    script, said = tmp_path / "script.py", tmp_path / "said"
    script.write_text(SCRIPT.format(work=work.strip()))
    with said.open("w") as file:  # a pipe would be waited for as long as workers hold it
        code = subprocess.call(
            [sys.executable, str(script)], stdout=file, env=os.environ | {"PYTHONPATH": str(ROOT)}
        )
    assert code == -signal.SIGKILL
    workers = [int(pid) for pid in said.read_text().split()]
    assert len(workers) >= 2
    end = time.monotonic() + 60
    while any(map(psutil.pid_exists, workers)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(map(psutil.pid_exists, workers))
