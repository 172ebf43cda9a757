"""Which distributions a source file imports."""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions

from packaging.utils import canonicalize_name


def distributions_imported(source: str) -> set[str]:
    """Return the names of distributions, in their canonical spelling, that a source imports.

    Of a module that is not installed here, the distribution is taken to have the same name.
    """
    return {
        canonicalize_name(name)
        for module in _modules(ast.parse(source))
        if module not in sys.stdlib_module_names
        for name in _providers().get(module, [module])
    }


def _modules(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (name.name.split(".")[0] for name in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module.split(".")[0]
            case ast.Call(
                func=ast.Name(id="import_module") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(module))],
            ):
                yield module.split(".")[0]


@cache
def _providers() -> dict[str, list[str]]:
    return dict(packages_distributions())
