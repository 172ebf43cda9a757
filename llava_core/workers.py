"""Processes that work for another one, and do not outlive it [edge].

A process that is killed cannot end those that it started. They would wait for work for ever, or go on writing
beside the run that takes up its place; so each looks whether its parent is still there.
"""

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from threading import Thread
from time import sleep
from typing import Any, TypeVar

LOOK_S = 0.1
Job = TypeVar("Job")
Result = TypeVar("Result")


def worker_pool(n_processes: int) -> ProcessPoolExecutor:
    """Return processes that leave Ctrl-C to this one, and end with it however it ends.

    What they return must be small, and go by files where it is not: of one that is killed in the middle of a
    large message the pool waits for the other half for ever. So does Python before 3.11.5 for whoever should
    read what it sends, where that is larger than a pipe holds (64 KB).
    """
    # Spawned, not forked: progress bars, pyarrow and torch have threads of their own.
    return _Pool(n_processes, mp_context=get_context("spawn"), initializer=_begin, initargs=(os.getpid(),))


def done_by_workers(
    do: Callable[[Job], Result], jobs: Iterable[Job], *, n_processes: int
) -> Iterator[Result]:
    """Yield the results of jobs as they are done by processes of joblib, which end with this one."""
    from joblib import Parallel, delayed

    work: Any = Parallel(
        n_jobs=n_processes,
        backend="loky",
        return_as="generator_unordered",
        initializer=_watch,
        initargs=(os.getpid(),),
    )
    results: Iterator[Result] = work(delayed(do)(job) for job in jobs)
    return results


class _Pool(ProcessPoolExecutor):
    """One that is broken in one way only."""

    def submit(self, call: Callable[..., Any], /, *args: Any, **named: Any) -> Future[Any]:
        try:
            return super().submit(call, *args, **named)
        except OSError as error:
            # A worker was killed while the next one is being started: what that one gets is closed already.
            if error.errno is None:
                raise BrokenProcessPool("a worker was killed") from error
            raise


def _begin(parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _watch(parent)


def _watch(parent: int) -> None:
    """Let this process end soon after its parent."""

    def end_with_parent() -> None:
        while os.getppid() == parent:
            sleep(LOOK_S)
        os._exit(1)

    Thread(target=end_with_parent, daemon=True).start()
