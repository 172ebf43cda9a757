"""``field=value`` texts to the typed fields of frozen configurations, nested ones by ``outer.inner``."""

import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from llava_core.errors import InputError

Config = TypeVar("Config")


def with_settings(config: Config, settings: Iterable[str]) -> Config:
    """Return a configuration with some fields set.

    Parameters
    ----------
    config : dataclass instance
    settings : iterable of str
        Each ``field=value``; fields of a nested configuration as ``optim.lr=1e-4``, tuples as ``1,2,3``,
        booleans as ``true`` or ``false``.

    Raises
    ------
    InputError
        For an unknown field, a value of another type, or one that the configuration refuses.
    """
    for setting in settings:
        name, equals, text = setting.partition("=")
        allowed = setting_names(type(config))
        if not equals or name not in allowed:
            raise InputError(
                f"got {setting!r}, allowed is field=value with a field of {', '.join(allowed)}", field="--set"
            )
        try:
            config = _replaced(config, name.split("."), name, text)
        except InputError:
            raise
        except ValueError as error:
            raise InputError(str(error), field=name) from None
    return config


def setting_names(kind: type) -> list[str]:
    """Return the names that `with_settings` takes for a configuration of this type."""
    names: list[str] = []
    hints = typing.get_type_hints(kind)
    for field in fields(kind):
        inner = _configuration(hints[field.name])
        if inner is None:
            names.append(field.name)
        else:
            names += [f"{field.name}.{name}" for name in setting_names(inner)]
    return names


def parse_value(kind: object, text: str, *, name: str) -> object:
    """Return the text as a value of a field's type.

    Raises
    ------
    InputError
        If the text is no value of that type.
    """
    try:
        return _parser(kind)(text.strip())
    except ValueError:
        raise InputError(f"got {text!r}, allowed is {_describe(kind)}", field=name) from None


def _replaced(config: Any, path: list[str], name: str, text: str) -> Any:
    kind = typing.get_type_hints(type(config))[path[0]]
    if len(path) == 1:
        return replace(config, **{path[0]: parse_value(kind, text, name=name)})
    inner = getattr(config, path[0])
    if inner is None:  # an optional part that has been off so far, with its own defaults
        inner = typing.cast("Callable[[], Any]", _configuration(kind))()
    return replace(config, **{path[0]: _replaced(inner, path[1:], name, text)})


def _configuration(kind: object) -> type | None:
    """Return the configuration type that a field holds, optional or not; None for plain values."""
    kinds = typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    return next((k for k in kinds if isinstance(k, type) and is_dataclass(k)), None)


def _parser(kind: object) -> Callable[[str], object]:
    if typing.get_origin(kind) is tuple:
        item = _parser(typing.get_args(kind)[0])
        return lambda text: tuple(item(part.strip()) for part in text.split(",") if part.strip())
    if typing.get_origin(kind) is typing.Literal:
        return lambda text: _one_of(text, typing.get_args(kind))
    if isinstance(kind, types.UnionType):
        inner = _parser(typing.get_args(kind)[0])
        return lambda text: None if text.lower() == "none" else inner(text)
    if kind is bool:
        return lambda text: _one_of(text.lower(), ("true", "false")) == "true"
    if kind in (int, float, str, Path):
        return typing.cast("Callable[[str], object]", kind)
    raise AssertionError(f"no parser for fields of type {kind}")


def _one_of(text: str, allowed: tuple[str, ...]) -> str:
    if text not in allowed:
        raise ValueError(text)
    return text


def _describe(kind: object) -> str:
    if typing.get_origin(kind) is tuple:
        return f"a comma-separated list, each {_describe(typing.get_args(kind)[0])}"
    if typing.get_origin(kind) is typing.Literal:
        return ", ".join(typing.get_args(kind))
    if isinstance(kind, types.UnionType):
        return f"{_describe(typing.get_args(kind)[0])} or none"
    names: Mapping[object, str] = {int: "a whole number", float: "a number", bool: "true or false"}
    return names.get(kind, "a word")
