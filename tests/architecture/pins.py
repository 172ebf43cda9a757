"""The pinned versions in constraints/, and which of them are installed here."""

from importlib.metadata import PackageNotFoundError, version
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTHON = {
    "py311.txt": {"python_version": "3.11", "python_full_version": "3.11.0"},
    "py312.txt": {"python_version": "3.12", "python_full_version": "3.12.0"},
    "py313.txt": {"python_version": "3.13", "python_full_version": "3.13.0"},
    "lowest.txt": {"python_version": "3.11", "python_full_version": "3.11.0"},
}
"""File of pins, to the Python that it is for."""

spec = spec_from_file_location("licences", ROOT / "docs/licences.py")
licences = module_from_spec(spec)
spec.loader.exec_module(licences)


def pins(file: str) -> dict[str, str]:
    """Return name to version."""
    lines = (ROOT / "constraints" / file).read_text().splitlines()
    return dict(line.split("==") for line in lines if not line.lstrip().startswith("#"))


def is_installed(file: str) -> bool:
    """Whether what is installed here has the versions of a file; torch, which users choose, aside."""
    return all(_version(name) in (None, pinned) for name, pinned in pins(file).items() if name != "torch")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
