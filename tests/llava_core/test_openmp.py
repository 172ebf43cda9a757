"""Threads of the commands sleep while they wait, since OpenMP is told before a library loads it."""

import os
import subprocess
import sys

import pytest

COMMANDS = {
    "studies": "from studies.cli import main; main()",
    "llava": "from llava_core.cli import main; main()",
}


def policy(command: str, **environment: str) -> set[str]:
    """Return what OpenMP says of its waiting when a command has loaded it, or would have."""
    script = f"try: exec({command!r})\nexcept SystemExit: from sklearn.utils import _openmp_helpers"
    told = {**os.environ, "OMP_DISPLAY_ENV": "TRUE", **environment}
    done = subprocess.run(
        [sys.executable, "-c", script, "--help"], capture_output=True, text=True, check=True, env=told
    )
    return {line.split("'")[1] for line in done.stderr.splitlines() if "OMP_WAIT_POLICY" in line}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_tells_openmp_in_time_what_nobody_else_has_told(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    assert policy(COMMANDS[name]) == {"PASSIVE"}
    assert policy(COMMANDS[name], OMP_WAIT_POLICY="ACTIVE") == {"ACTIVE"}
