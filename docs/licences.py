"""Write the table of docs/licences.md: what the two commands install, and under which licences.

``python docs/licences.py`` reads pyproject.toml and the metadata of the installed packages. It needs the
extras ``torch`` and ``test``.
"""

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

DOCS = Path(__file__).resolve().parent
PAGE = DOCS / "licences.md"
PROJECT = tomllib.loads((DOCS.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
GROUPS = {"always": [], "torch": ["torch"], "tests": ["torch", "test"]}
"""What the table calls a group, to the extras that bring it and those before it."""
OF_CUDA = ("cuda", "nvidia", "triton")
"""How the names begin of what a CUDA build of torch brings along, by its own versions."""
BEGIN, END = "<!-- written by docs/licences.py -->\n", "<!-- end -->\n"


def brought_along(extras: Iterable[str], environment: Mapping[str, str] | None = None) -> set[str]:
    """Return the names of all packages that come with the toolkit and these extras, CUDA's aside.

    Parameters
    ----------
    extras : iterable of str
    environment : mapping of str to str, optional
        Variables of environment markers, in place of this interpreter's. Of packages that are not installed
        here it is not known what they bring themselves.
    """
    found = {(PROJECT["name"], extra) for extra in ("", *extras)}
    todo = sorted(found)
    while todo:
        for need in _needs(*todo.pop(), environment or {}):
            for wanted in {(canonicalize_name(need.name), extra) for extra in ("", *need.extras)} - found:
                found.add(wanted)
                todo.append(wanted)
    return {name for name, _ in found if not name.startswith(OF_CUDA)} - {PROJECT["name"]}


def licence(package: Distribution) -> str:
    """Return what a package says about its licence, the clearest statement first."""
    said = package.metadata
    if expression := said.get("License-Expression"):
        return expression
    short = (said.get("License") or "").strip()
    if short not in ("", "UNKNOWN") and "\n" not in short:
        return short
    kinds = [line.split(" :: ") for line in said.get_all("Classifier", [])]
    named = [kind[-1] for kind in kinds if kind[0] == "License" and len(kind) > 2]
    if named:
        return "; ".join(named)
    text = next(file for file in package.files or [] if file.name.upper().startswith("LICEN")).read_text()
    return next(line.strip() for line in text.splitlines() if line.strip())


def rows() -> list[tuple[str, str, str]]:
    """Return name, licence and group of every package, by name."""
    groups: dict[str, str] = {}
    for group, extras in GROUPS.items():
        for name in brought_along(extras):
            groups.setdefault(name, group)
    return [(name, licence(distribution(name)), groups[name]) for name in sorted(groups)]


def table() -> str:
    """Return the rows as Markdown."""
    lines = [f"| {name} | {said} | {group} |\n" for name, said, group in rows()]
    return "".join(["| package | licence | for |\n|---|---|---|\n", *lines])


def main() -> None:
    """Put the table into the page."""
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}", encoding="utf-8")


def _needs(name: str, extra: str, environment: Mapping[str, str]) -> Iterator[Requirement]:
    if name == PROJECT["name"]:
        texts = PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"]
    else:
        try:
            texts = distribution(name).requires or []
        except PackageNotFoundError:
            texts = []
    for need in map(Requirement, texts):
        if need.marker is None or need.marker.evaluate({**environment, "extra": extra}):
            yield need


if __name__ == "__main__":
    main()
