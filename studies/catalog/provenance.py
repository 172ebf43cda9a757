"""Where a run's numbers come from: versions, machine, time, memory [edge]."""

import os
import platform
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "llava-ensembles", "numpy", "scipy", "pandas", "pyarrow", "scikit-learn", "xgboost", "xgboost-cpu",
    "lightgbm", "optuna", "torch", "transformers",
)  # fmt: skip
SAMPLE_EVERY_S = 0.25
LLAVA_ON_GPU = "LLaVA ran on a GPU"


@dataclass(kw_only=True, slots=True)
class Peak:
    """Largest memory seen so far, and what was announced."""

    rss_bytes: int = 0
    """Resident memory of this process and its children together; pages that they share count twice."""
    announced_bytes: int | None = None
    """What was told beforehand that it would be at most (`studies.catalog.memory`)."""

    def told(self) -> dict[str, int | None]:
        """Return both for the summary."""
        return {"peak_rss_bytes": self.rss_bytes, "announced_bytes": self.announced_bytes}


@contextmanager
def watch_memory() -> Iterator[Peak]:
    """Sample the memory of this process and its children in the background."""
    import psutil

    peak, stop, own = Peak(), threading.Event(), psutil.Process()

    def sample() -> None:
        while True:
            total = 0
            for process in (own, *own.children(recursive=True)):
                try:
                    total += process.memory_info().rss
                except psutil.Error:  # a child that has just ended
                    continue
            peak.rss_bytes = max(peak.rss_bytes, total)
            if stop.wait(SAMPLE_EVERY_S):
                return

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        stop.set()
        thread.join()


def reproducibility(why_not: Sequence[str]) -> dict[str, Any]:
    """Return whether the same command gives the same results on this machine, and why it may not."""
    return {"reproducible": False, "not_reproducible": list(why_not)} if why_not else {"reproducible": True}


def versions() -> dict[str, str]:
    """Return the versions of Python and of what is installed of `PACKAGES`."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """Return what the speed depends on; no host name and no path."""
    import psutil

    return {
        "system": platform.system(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
    }


def git_commit() -> str | None:
    """Return the commit of a source checkout, with ``+`` where it was changed; None outside of one."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        return commit + ("+" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(root: Path, *arguments: str) -> str:
    answer = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True)
    return answer.stdout.strip()


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
