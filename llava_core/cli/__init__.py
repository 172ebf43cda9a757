"""The `llava` command [edge]: train, convert, extract, make data, answer, score."""

import sys

from rich.console import Console

# The order of the imports is the order of the commands in the help.
from llava_core.cli import training, models, generate, filter, use, records, scienceqa, llava_bench  # isort: skip
from llava_core.cli.terminal import app, bench
from llava_core.errors import told_in_one_line
from llava_core.openmp import let_threads_sleep

__all__ = [
    "app",
    "filter",
    "generate",
    "llava_bench",
    "main",
    "models",
    "records",
    "scienceqa",
    "training",
    "use",
]

app.add_typer(bench, name="bench")


def main() -> None:
    """Run the command; what a user can mend is one line on standard error and exit code 2."""
    let_threads_sleep()
    try:
        app()
    except Exception as error:
        problem = told_in_one_line(error)
        if problem is None:
            raise
        Console(stderr=True, soft_wrap=True).print(f"error: {problem}", markup=False, highlight=False)
        sys.exit(2)
