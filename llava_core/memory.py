"""Main memory: what this process holds, what it may hold, and what is said of it before work begins [edge].

It may still take the least of what the machine has free and what each control group above the process leaves
(version 1 or 2, as containers and batch systems set them), caches of files not counted. Left out: the memory
of GPUs, and what other programs will take later.
"""

from collections.abc import Iterator
from pathlib import Path

GROUPS, GROUPS_OF_SELF = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
_FILES = {
    2: ("", "memory.max", "memory.current", "inactive_file"),
    1: ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}
"""By version: folder of the hierarchy, files of limit and usage, field of memory.stat for caches."""


def held_bytes() -> float:
    """Return what this process holds now, shared libraries included."""
    import psutil

    return float(psutil.Process().memory_info().rss)


def free_bytes() -> float:
    """Return what this process may hold in all: what it holds now, and what it may still take."""
    import psutil

    left = min(
        float(psutil.virtual_memory().available), *_left_in_groups(GROUPS, GROUPS_OF_SELF), float("inf")
    )
    return held_bytes() + left


def told_bytes(n_bytes: float) -> str:
    """Return a number of bytes as people read it.

    Examples
    --------
    >>> told_bytes(1.25e9), told_bytes(3e6)
    ('1.2 GB', '3.0 MB')
    """
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.1f} MB"


def announce(work: str, more: float) -> str:
    """Return the line that tells how much memory this process will hold at most, and if that may be too much.

    Parameters
    ----------
    work : str
        What needs it.
    more : float
        Bytes at most, beyond what it holds now.
    """
    need, free = held_bytes() + more, free_bytes()
    return f"{work} needs at most {told_bytes(need)} of memory; {told_free(free, need)}"


def told_free(free: float, need: float) -> str:
    """Return what is said of free memory beside what is needed at most: a bound, which may not be reached.

    Examples
    --------
    >>> told_free(8e9, 1e9), told_free(8e9, 9e9)
    ('8.0 GB are free', 'only 8.0 GB are free, it may run out')
    """
    is_little = need > free
    return f"{'only ' * is_little}{told_bytes(free)} are free{', it may run out' * is_little}"


def _left_in_groups(groups: Path, groups_of_self: Path) -> Iterator[float]:
    """Yield what each control group above the process leaves, of those that have a limit."""
    if not groups_of_self.is_file():
        return
    for line in groups_of_self.read_text(encoding="utf-8").splitlines():
        _, controllers, place = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        hierarchy, limit, usage, cache = _FILES[1 if controllers else 2]
        group = groups / hierarchy / place.lstrip("/")
        for folder in (group, *group.parents[: len(Path(place).parts) - 1]):
            most, used = _number(folder / limit), _number(folder / usage)
            if most is not None and used is not None:
                yield max(most - used + _cached(folder / "memory.stat", cache), 0.0)


def _number(file: Path) -> float | None:
    """Return what a file of a control group says; None where it is missing or sets no limit."""
    try:
        return float(file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _cached(file: Path, field: str) -> float:
    try:
        lines = file.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return next((float(line.split()[1]) for line in lines if line.split()[0] == field), 0.0)
