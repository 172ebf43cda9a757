import os
import signal
import subprocess
import sys
import time

import psutil

from llava_core.workers import worker_pool

KILLED = """
import os, signal, time
from llava_core.workers import worker_pool
if __name__ == "__main__":
    pool = worker_pool(2)
    busy = pool.submit(time.sleep, 600)
    print(*{pool.submit(os.getpid).result() for _ in range(20)}, flush=True)
    print(*pool._processes, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_ctrl_c_is_left_to_the_process_that_the_user_started() -> None:
    with worker_pool(1) as pool:
        assert pool.submit(signal.getsignal, signal.SIGINT).result() == signal.SIG_IGN


def test_workers_end_with_the_process_that_was_killed() -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    workers = [int(pid) for pid in killed.stdout.splitlines()[1].split()]
    assert len(workers) == 2
    assert os.getpid() not in workers
    end = time.monotonic() + 30
    while any(map(psutil.pid_exists, workers)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(map(psutil.pid_exists, workers))
