"""How the threads of OpenMP wait, for the libraries that a command is about to load [edge]."""

import os


def let_threads_sleep() -> None:
    """Let threads sleep while they wait, after a short spin; what the environment says already is kept.

    Threads that spin starve each other on busy cores: LightGBM took 86 s in place of 0.2 s, a quick study
    beside other work 24 CPU-seconds in place of 12. The short spin (microseconds) keeps two threads of a
    small training step together: 0.070 s, else 0.096 s. OpenMP reads both when a library first loads it: this
    comes before scikit-learn's and torch's imports, or has no effect.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")
