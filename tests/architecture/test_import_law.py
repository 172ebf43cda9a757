"""What may import what, beyond the contracts in pyproject.toml (which `make lint` checks)."""

import subprocess
import sys

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.pins import licences

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
    "studies.erased",
    "studies.predictions",
    "studies.probing",
    "studies.report",
    "studies.stats",
]


EXTRAS = {
    canonicalize_name(Requirement(need).name).replace("-", "_")
    for extra, needs in licences.PROJECT["optional-dependencies"].items()
    if extra != "test"
    for need in needs
}
"""What only extras bring, as it is imported."""


def loads_of_extras(statement: str) -> set[str]:
    """Return what a fresh interpreter that runs the statement ends up with, of the packages of extras."""
    probe = f"{statement}; import sys; print(*sys.modules)"
    answer = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    return EXTRAS & set(answer.stdout.split())


@pytest.mark.parametrize("module", FREE_OF_TORCH)
def test_module_loads_neither_torch_nor_anything_else_of_an_extra(module: str) -> None:
    assert loads_of_extras(f"import {module}") == set()


def test_the_probe_sees_extras_where_they_are() -> None:
    assert loads_of_extras("import torch, huggingface_hub") >= {"torch", "huggingface_hub"}


def test_ensembles_loads_nothing_of_the_other_packages() -> None:
    probe = (
        "import ensembles.registry, ensembles.stacking, ensembles.tuning, sys;"
        "print([name for name in sys.modules if name.split('.')[0] in ('llava_core', 'studies')])"
    )
    answer = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
