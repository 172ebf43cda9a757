"""The `studies` command [edge].

Reads options, opens the run folder, shows progress; everything else is done by `studies.catalog` and
`studies.pipeline`. Bad input and a full disk end with one line on stderr and exit code 2.
"""

import os

# The order of the imports is the order of the commands in the help.
from studies.cli import study, probe, models, report, verify, data  # isort: skip
from studies.cli.terminal import app

__all__ = ["app", "data", "main", "models", "probe", "report", "study", "verify"]


def main() -> None:
    """Entry point of the `studies` command."""
    # Threads that spin while they wait starve each other on busy cores: LightGBM took 86 s in place of 0.2 s.
    # A short spin (microseconds) keeps two threads of a small training step together: 0.070 s, else 0.096 s.
    # OpenMP reads both when a library first loads it, which is after these lines.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")
    app()
