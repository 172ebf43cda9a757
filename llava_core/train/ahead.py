"""A step's data made ready while the step before is computed."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")


@contextmanager
def ahead(items: Iterator[Item]) -> Iterator[Iterator[Item]]:
    """Give an iterator that has its next item made by another thread, one item ahead, in order."""
    end = object()
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as pool:

        def step() -> Item | object:
            return next(items, end)

        def run() -> Iterator[Item]:
            pending: Future[Item | object] = pool.submit(step)
            while (item := pending.result()) is not end:
                pending = pool.submit(step)
                yield item  # type: ignore[misc]

        yield run()
