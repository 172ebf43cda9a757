"""The `studies` command [edge].

Reads options, opens the run folder, shows progress; everything else is done by `studies.catalog` and
`studies.pipeline`. Bad input and a full disk end with one line on stderr and exit code 2.
"""

from llava_core.openmp import let_threads_sleep

# Before the imports below, which load OpenMP with scikit-learn.
let_threads_sleep()

# The order of the imports is the order of the commands in the help.
try:
    from studies.cli import study, probe, models, report, verify, data  # isort: skip
    from studies.cli.terminal import app
except KeyboardInterrupt:  # these take two seconds, in which no command catches it
    raise SystemExit(130) from None

__all__ = ["app", "data", "main", "models", "probe", "report", "study", "verify"]


def main() -> None:
    """Entry point of the `studies` command."""
    app()
