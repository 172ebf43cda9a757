"""docs/licences.md lists what is pinned, as the packages say it, and tells every copyleft."""

import re
import sys

import pytest

from tests.architecture.pins import is_installed, licences, pins

PAGE = licences.PAGE.read_text(encoding="utf-8")
ROWS = [row.strip("| ").split(" | ") for row in PAGE.splitlines() if row.startswith("| ")]
LISTED = {name: said for name, said, group in ROWS if group in licences.GROUPS}
COPYLEFT = re.compile(r"GPL|\bGNU\b|MPL|Mozilla|EPL|Eclipse|EUPL|CDDL|SSPL|-SA-|Affero|Commons")


def test_the_packages_are_those_that_are_pinned() -> None:
    assert set(LISTED) == set(pins("py311.txt")) - {"xgboost"}
    for file in ("py312.txt", "py313.txt"):
        assert set(LISTED) >= set(pins(file)) - {"xgboost"}


def test_the_table_is_what_the_command_writes() -> None:
    if sys.version_info[:2] != (3, 11) or not is_installed("py311.txt"):
        pytest.skip("the table tells the pins of Python 3.11; wheels for others may word a licence otherwise")
    written = {row for row in licences.table().splitlines() if not row.startswith("| torch |")}
    assert written <= set(PAGE.splitlines())  # a build of torch for CUDA has more licences


def test_no_package_is_without_a_licence() -> None:
    assert [name for name, said in LISTED.items() if said in ("", "UNKNOWN", "OSI Approved")] == []


def test_every_copyleft_is_told() -> None:
    told = PAGE.partition("## Copyleft")[2].partition("\n## ")[0]
    found = {name for name, said in LISTED.items() if COPYLEFT.search(said)}
    assert found >= {"psycopg", "hypothesis"}
    assert {name for name in found if f"**{name}**" not in told} == set()


def test_data_that_is_shipped_is_told() -> None:
    shipped = PAGE.partition("## What is shipped")[2].partition("\n## ")[0]
    text = (licences.DOCS.parent / "pyproject.toml").read_text()
    data = re.search(r"package-data\]\nllava_core = \[(.*?)\]", text, re.DOTALL)[1]
    folders = {pattern.split("/")[0] for pattern in re.findall(r'"([^"]+)"', data)}
    assert len(folders) > 3
    assert {folder for folder in folders if f"`llava_core/{folder}" not in shipped} == set()
