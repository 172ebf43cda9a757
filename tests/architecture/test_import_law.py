"""What may import what, beyond the contracts in pyproject.toml (which `make lint` checks)."""

import subprocess
import sys

import pytest

FREE_OF_TORCH = [
    "ensembles.registry",
    "ensembles.stacking",
    "ensembles.tuning",
    "ensembles.persist",
    "llava_core.cli",
    "llava_core.data.load",
    "llava_core.evaluation.scienceqa",
    "llava_core.features.store",
    "llava_core.inference.parse",
    "studies.catalog",
    "studies.cli",
    "studies.design",
    "studies.predictions",
    "studies.probing",
    "studies.report",
    "studies.stats",
]


def loads_torch(statement: str) -> bool:
    """Whether a fresh interpreter that runs the statement ends up with torch or transformers loaded."""
    probe = f"{statement}; import sys; print('torch' in sys.modules or 'transformers' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    return answer.stdout.strip() == "True"


@pytest.mark.parametrize("module", FREE_OF_TORCH)
def test_module_does_not_load_torch(module: str) -> None:
    assert not loads_torch(f"import {module}")


def test_the_probe_sees_torch_where_it_is() -> None:
    assert loads_torch("import torch")


def test_ensembles_loads_nothing_of_the_other_packages() -> None:
    probe = (
        "import ensembles.registry, ensembles.stacking, ensembles.tuning, sys;"
        "print([name for name in sys.modules if name.split('.')[0] in ('llava_core', 'studies')])"
    )
    answer = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
