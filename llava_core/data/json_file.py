"""JSON files of the user, with one clear line for a file that is missing or broken [edge]."""

import json
from pathlib import Path
from typing import Any

from llava_core.errors import InputError


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    InputError
        If the file is missing, is a folder, or is not UTF-8 JSON; the message names line and column.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise InputError("no such file", path=path) from None
    except NotADirectoryError:
        raise InputError("its folder is a file", path=path) from None
    except IsADirectoryError:
        raise InputError("got a folder, allowed is a JSON file", path=path) from None
    except PermissionError:
        raise InputError("may not be read: permission denied", path=path) from None
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 text (byte {error.start})", path=path) from None
    except json.JSONDecodeError as error:
        raise InputError(
            f"broken JSON at line {error.lineno}, column {error.colno}: {error.msg}", path=path
        ) from None


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
