"""What is imported is declared, what is declared is needed, and what is pinned is what comes along."""

import re
import sys
from functools import cache
from itertools import chain

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.architecture.imports import distributions_imported
from tests.architecture.pins import PYTHON, ROOT, is_installed, licences, pins

PACKAGES = ("llava_core", "ensembles", "studies")
BESIDE = ("tests", "benchmarks", "examples", "docs")
ASKED_FOR = {
    "bitsandbytes": "llava_core/checkpoint/quantize.py",
    "spacy": "llava_core/concepts/finders.py",
}
"""Imported on an explicit wish alone and in no extra, to the file that says how they are installed."""
PEERS = "benchmarks/peers"
"""Other tools, measured in environments of their own (requirements.txt)."""
TEXT = (ROOT / "pyproject.toml").read_text()


def declared() -> dict[str, list[Requirement]]:
    """Group to requirements, without what the project takes from its own extras."""
    groups = {"base": licences.PROJECT["dependencies"], **licences.PROJECT["optional-dependencies"]}
    return {
        group: [need for need in map(Requirement, texts) if need.name != licences.PROJECT["name"]]
        for group, texts in groups.items()
    }


def names(*groups: str) -> set[str]:
    return {canonicalize_name(need.name) for group in groups for need in declared()[group]}


@cache
def imported(*folders: str) -> dict[str, list[str]]:
    """Distribution to the files that import it."""
    scripts = {
        path.stem for path in (ROOT / "benchmarks").rglob("*") if path.is_dir() or path.suffix == ".py"
    }
    own = {canonicalize_name(name) for name in {*PACKAGES, *BESIDE, *scripts, licences.PROJECT["name"]}}
    found: dict[str, list[str]] = {}
    for file in chain.from_iterable((ROOT / folder).rglob("*.py") for folder in folders):
        for name in distributions_imported(file.read_text(encoding="utf-8")) - own:
            found.setdefault(name, []).append(file.relative_to(ROOT).as_posix())
    return found


def floor(need: Requirement) -> Version:
    (version,) = [part.version for part in need.specifier if part.operator == ">="]
    return Version(version)


def has_reason(need: Requirement) -> bool:
    """Whether a comment stands behind the requirement in pyproject.toml."""
    return re.search(rf'"{re.escape(str(need.name))}\b[^"]*"[\],]+ +# \w', TEXT) is not None


def test_what_the_packages_import_is_declared() -> None:
    extras = set(declared()) - {"test"}
    missing = {name: files for name, files in imported(*PACKAGES).items() if name not in names(*extras)}
    assert missing == {name: [file] for name, file in ASKED_FOR.items()}


@pytest.mark.parametrize("name", ASKED_FOR)
def test_what_is_in_no_extra_is_told_how_to_install(name: str) -> None:
    assert f"pip install {name}" in (ROOT / ASKED_FOR[name]).read_text()


def test_what_tests_and_scripts_import_is_declared() -> None:
    missing = [files for name, files in imported(*BESIDE).items() if name not in names(*declared())]
    assert [file for file in chain.from_iterable(missing) if not file.startswith(PEERS)] == []


@pytest.mark.parametrize("group", declared())
def test_what_is_declared_is_imported_or_has_its_reason_beside_it(group: str) -> None:
    importers = imported(*PACKAGES, *(BESIDE if group == "test" else ()))
    idle = [need for need in declared()[group] if canonicalize_name(need.name) not in importers]
    assert [need for need in idle if not has_reason(need)] == []


def test_a_package_has_one_floor_in_all_groups() -> None:
    floors: dict[str, set[str]] = {}
    for need in chain.from_iterable(declared().values()):
        floors.setdefault(need.name, set()).add(str(need.specifier))
    assert {name: floor for name, floor in floors.items() if len(floor) > 1} == {}


def test_the_lowest_pins_are_the_floors() -> None:
    lowest = pins("lowest.txt")
    needs = [need for group in ("base", "torch", "test") for need in declared()[group]]
    floors = {canonicalize_name(need.name): floor(need) for need in needs}
    assert {name: Version(lowest[name]) for name in floors} == floors


def test_newest_and_lowest_pins_leave_room_for_each_other() -> None:
    newest = pins("py311.txt")
    needs = [need for group in ("base", "torch", "test") for need in declared()[group]]
    assert [need for need in needs if not need.specifier.contains(newest[canonicalize_name(need.name)])] == []


def pinned_here() -> list[str]:
    """Files of pins that can be compared with what is installed: those of one making.

    The lowest Python has what the others need too, and packages that they have within themselves.
    """
    mine = "py{}{}.txt".format(*sys.version_info[:2])
    pinned = ["py311.txt", "py312.txt", "py313.txt"] if mine == "py311.txt" else [mine]
    return next((files for files in (pinned, ["lowest.txt"]) if any(map(is_installed, files))), [])


@pytest.mark.parametrize(
    "file",
    pinned_here() or [pytest.param("", marks=pytest.mark.skip(reason="other versions than the pinned ones"))],
)
def test_pins_are_what_the_two_commands_install_and_nothing_else(file: str) -> None:
    brought_along = licences.brought_along(["torch", "test"], PYTHON[file])
    assert set(pins(file)) == brought_along | {"xgboost", "xgboost-cpu"}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import os, json", set()),
        ("from sklearn.svm import SVC", {"scikit-learn"}),
        ("def f():\n    from PIL import Image", {"pillow"}),
        ("import not_installed_here.part", {"not-installed-here"}),
        ("import importlib\nimportlib.import_module('skops.io')", {"skops"}),
        ("from . import beside", set()),
    ],
)
def test_what_is_imported_is_found(source: str, found: set[str]) -> None:
    assert distributions_imported(source) == found


def test_a_reason_is_one_that_stands_beside_it() -> None:
    assert has_reason(Requirement("ipykernel>=7.0"))
    assert has_reason(Requirement("tensorboard>=2.20"))
    assert not has_reason(Requirement("nbclient>=0.10"))
