"""JSON of the user, with one clear line for what is missing, broken or hostile [edge].

Python's parser takes more than everything behind it can bear. Refused here: the same key twice in an object,
of which one value would be lost in silence; nesting beyond `MOST_LEVELS`, which ends in the interpreter's
recursion limit wherever a value is walked; whole numbers of thousands of digits; and halves of surrogate
pairs, which no file can be written with. NaN and Infinity are taken: who reads a number checks it.
"""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from llava_core.errors import InputError

MOST_LEVELS = 100
"""Lists and objects within each other."""
_TOO_DEEP = f"nested too deeply, allowed are {MOST_LEVELS} levels"
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class UnusableJson(ValueError):
    """JSON that Python reads and nobody can work with."""


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    InputError
        If the file is missing, is a folder or a device, or is not UTF-8 JSON that can be used; the message
        names line and column.
    """
    return parse_json(read_file(path), path=path)


def read_json_object(path: Path) -> dict[str, Any]:
    """Read a JSON file whose top level is an object.

    Raises
    ------
    InputError
        As `read_json`, and if the file holds something else.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise InputError(f"got {json_type(content)}, allowed is an object", path=path)
    return content


def read_file(path: Path) -> bytes:
    """Return the bytes of a file.

    Raises
    ------
    InputError
        If there is no such file, or it is a folder, a pipe or a device.
    """
    check_is_file(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from None


def check_is_file(path: Path) -> None:
    """Refuse what is no regular file; a pipe or a device may never end.

    Raises
    ------
    InputError
    """
    try:
        if path.is_file():
            return
        exists = path.exists()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from None
    if path.is_dir():
        raise InputError("got a folder, allowed is a file", path=path)
    if exists:
        raise InputError("got a pipe or a device, allowed is a file", path=path)
    raise InputError("its folder is a file" if path.parent.is_file() else "no such file", path=path)


def parse_json(content: bytes, *, path: Path, record: str | None = None) -> Any:
    """Return what some bytes of a file say in JSON.

    Parameters
    ----------
    content : bytes
        UTF-8, with or without a byte-order mark.
    path : Path
        Named in errors.
    record : str, optional
        Likewise; the place is then told by its column alone.

    Raises
    ------
    InputError
    """
    try:
        text = content.decode("utf-8-sig")
        value = DECODER.decode(text)
        check_usable(value, text)
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 text (byte {error.start})", path=path, record=record) from None
    except json.JSONDecodeError as error:
        line = "" if record else f"line {error.lineno}, "
        problem = f"broken JSON at {line}column {error.colno}: {error.msg}"
        raise InputError(problem, path=path, record=record) from None
    except (ValueError, RecursionError) as error:
        raise InputError(why_unusable(error), path=path, record=record) from None
    return value


def check_usable(value: object, text: str) -> None:
    """Check what `DECODER` made of a text.

    Raises
    ------
    UnusableJson
        If it is nested too deeply, or cannot be written as UTF-8.
    """
    if _is_deeper(value, MOST_LEVELS):
        raise UnusableJson(_TOO_DEEP)
    if _SURROGATE.search(text) is not None:
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise UnusableJson("holds half of a surrogate pair, allowed is text") from None


def why_unusable(error: ValueError | RecursionError) -> str:
    """Return why `DECODER` or `check_usable` gave up, where it is not that the text is no JSON."""
    if isinstance(error, RecursionError):
        return _TOO_DEEP
    return str(error) if isinstance(error, UnusableJson) else "holds a whole number of thousands of digits"


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of a JSON text.

    Raises
    ------
    UnusableJson
        If a key stands in it twice.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        ((twice, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise UnusableJson(f"holds the key {twice!r} twice in one object, allowed is once")
    return found


DECODER = json.JSONDecoder(object_pairs_hook=unique_keys)
"""Of all JSON of the user; what it gives has to pass `check_usable`."""


def json_type(value: object) -> str:
    """Return what JSON calls the type of a value.

    Examples
    --------
    >>> json_type([1]), json_type("a"), json_type(None), json_type(True)
    ('a list', 'a text', 'null', 'true')
    """
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    names = {dict: "an object", list: "a list", str: "a text", int: "a number", float: "a number"}
    return names.get(type(value), type(value).__name__)


def _is_deeper(value: object, levels: int) -> bool:
    inside = [value] if isinstance(value, dict | list) else []
    for _ in range(levels):
        inside = [
            child
            for each in inside
            for child in (each.values() if isinstance(each, dict) else each)
            if isinstance(child, dict | list)
        ]
        if not inside:
            return False
    return True
