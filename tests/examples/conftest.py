"""Examples are run as their readers run them: a process of its own, from any folder, warnings as errors."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RunExample = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def run_example() -> RunExample:
    """Run a script of examples/ with arguments, and return what it printed; it has to end well."""

    def run(name: str, *arguments: object, returncode: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-W", "error", str(ROOT / "examples" / name), *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "80"},
        )
        assert done.returncode == returncode, f"{done.stdout}\n{done.stderr}"
        return done

    return run
