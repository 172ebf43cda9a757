"""Processes that work for another one, and do not outlive it [edge]."""

import os
import signal
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from threading import Thread


def worker_pool(n_processes: int) -> ProcessPoolExecutor:
    """Return processes that leave Ctrl-C to this one, and end with it however it ends."""
    # Spawned, not forked: progress bars, pyarrow and torch have threads of their own.
    return ProcessPoolExecutor(n_processes, mp_context=get_context("spawn"), initializer=_begin)


def _begin() -> None:
    """Watch over the process that started this one: if it is killed, nobody else will end this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None, "only a worker watches"
    wait([parent.sentinel])
    os._exit(1)
