"""Finds code that reads or writes pickles, runs what it read, or opens a way out of a folder.

Works on the syntax tree: every import and every name is resolved to the dotted name that it stands for, so
that ``from torch import load as fetch`` is seen. Left out: what is looked up by a text at run time
(``getattr(torch, "load")``), which the run with an audit hook in `tests/end_to_end/test_keys.py` covers.
"""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass

Keywords = dict[str | None, ast.expr]


@dataclass(frozen=True)
class Unsafe:
    """One place."""

    line: int
    what: str


def never(keywords: Keywords) -> bool:
    return True


def unless(keyword: str, value: object) -> Callable[[Keywords], bool]:
    """Unsafe unless a keyword has this constant value."""
    return lambda keywords: not _is(keywords.get(keyword), value)


def where(keyword: str, safe: object) -> Callable[[Keywords], bool]:
    """Unsafe where a keyword is given with another value than this constant."""
    return lambda keywords: keyword in keywords and not _is(keywords[keyword], safe)


FORBIDDEN_MODULES = (
    "pickle", "_pickle", "cPickle", "cloudpickle", "dill", "shelve", "marshal", "joblib.numpy_pickle",
    "torch.jit", "torch.hub", "torch.package",
)  # fmt: skip
CALLS: dict[str, Callable[[Keywords], bool]] = {
    "eval": never,
    "exec": never,
    "compile": never,
    "__import__": never,
    "joblib.dump": never,
    "joblib.load": never,
    "torch.save": never,
    "torch.load": never,
    "skops.io.load": never,
    "skops.io.loads": never,
    "pandas.read_pickle": never,
    "pandas.read_hdf": never,
    "pandas.to_pickle": never,
    "yaml.load": never,
    "yaml.full_load": never,
    "yaml.unsafe_load": never,
    "os.system": never,
    "os.popen": never,
    "subprocess.getoutput": never,
    "subprocess.getstatusoutput": never,
    "shutil.unpack_archive": never,
    # The default writes arrays of objects as pickles.
    "numpy.save": unless("allow_pickle", False),
    "numpy.savez": unless("allow_pickle", False),
    "numpy.savez_compressed": never,
    "numpy.load": where("allow_pickle", False),
}
"""Function to whether a call of it with these keywords is unsafe."""
METHODS = ("to_pickle", "extractall", "unsafe_load")
"""Of any object."""
KEYWORDS: dict[str, object] = {"shell": False, "trust_remote_code": False, "weights_only": True}
"""Of any call, with the one value that is safe."""


def unsafe_code(text: str) -> list[Unsafe]:
    """Return the unsafe places of a module, in the order of its lines."""
    tree = ast.parse(text)
    names = dict(_imported(tree))
    called = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    found = [*_modules(tree)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            whole = _dotted(node, names)
            keywords = _keywords(called[id(node)]) if id(node) in called else {}
            if whole in CALLS and isinstance(node.ctx, ast.Load) and CALLS[whole](keywords):
                found.append(Unsafe(node.lineno, whole))
            elif isinstance(node, ast.Attribute) and node.attr in METHODS:
                found.append(Unsafe(node.lineno, node.attr))
            elif isinstance(node, ast.Attribute) and whole and whole.startswith(FORBIDDEN_MODULES[-3:]):
                found.append(Unsafe(node.lineno, whole))
        if isinstance(node, ast.Call):
            given = _keywords(node)
            found += [
                Unsafe(node.lineno, f"{name}=")
                for name, safe in KEYWORDS.items()
                if name in given and not _is(given[name], safe)
            ]
    return sorted(found, key=lambda place: (place.line, place.what))


def _modules(tree: ast.AST) -> Iterator[Unsafe]:
    for node in ast.walk(tree):
        imported = (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
            if isinstance(node, ast.ImportFrom)
            else []
        )
        for name in imported:
            if any(name == module or name.startswith(f"{module}.") for module in FORBIDDEN_MODULES):
                yield Unsafe(node.lineno, f"import {name}")  # type: ignore[attr-defined]
                break


def _imported(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield each local name and the dotted name that it stands for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield (alias.asname, alias.name) if alias.asname else (alias.name.split(".")[0],) * 2
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _dotted(node: ast.expr, names: dict[str, str]) -> str | None:
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        front = _dotted(node.value, names)
        return None if front is None else f"{front}.{node.attr}"
    return None


def _keywords(call: ast.Call) -> Keywords:
    return {keyword.arg: keyword.value for keyword in call.keywords}


def _is(node: ast.expr | None, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value
