"""Objects of a large JSON or JSONL file, one after the other, each with the bytes it stands at [edge].

A list of a gigabyte is read through a window of a few megabytes; the places of the records let a reader come
back to any of them later without holding them all.
"""

import codecs
import json
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from llava_core.data.json_file import (
    DECODER,
    check_is_file,
    check_usable,
    json_type,
    parse_json,
    why_unusable,
)
from llava_core.errors import InputError

CHUNK_BYTES = 1 << 20
"""Bytes read at a time; a window grows beyond it only for a record that is longer."""

_SPACE = re.compile(r"[ \t\r\n]*")
_CUT_SHORT_CHARS = 16
"""A fault so close to the end of the window may come from the cut: no literal or escape is longer."""


class JsonRecord(NamedTuple):
    """One object of a file."""

    number: int
    """Counted from 1."""
    start: int
    """Offset of its first byte."""
    end: int
    """Offset after its last byte."""
    fields: dict[str, Any]


def json_records(path: Path) -> Iterator[JsonRecord]:
    """Yield the objects of a JSON list, or of a file with one object per line.

    Parameters
    ----------
    path : Path
        UTF-8. What it holds is told by its first character: ``[`` begins a list.

    Raises
    ------
    InputError
        If the file is missing, not UTF-8, broken, or holds something else than objects; the message names
        the record.
    """
    with _opened(path) as file:
        mark = file.tell()
        window = _Window(file, path, start=mark)
        first = window.next_char()
        if first == "[":
            yield from _from_list(window)
        elif first == "":
            raise InputError("holds no records", path=path)
        else:
            file.seek(mark)
            yield from _from_lines(file, path, start=mark)


def json_members(path: Path, names: Collection[str]) -> Iterator[tuple[str, JsonRecord]]:
    """Yield the objects of some lists of a file that is one large JSON object, such as COCO's annotations.

    Parameters
    ----------
    path : Path
        UTF-8.
    names : collection of str
        Members of the outer object that are wanted. Each must be a list of objects if it is there; other
        members are passed over.

    Yields
    ------
    tuple of str and JsonRecord
        Name of the member and one of its objects, in the order of the file.

    Raises
    ------
    InputError
        If the file is missing, not UTF-8 or broken, or a wanted member is something else.
    """
    with _opened(path) as file:
        window = _Window(file, path, start=file.tell())
        if window.next_char() != "{":
            raise InputError("got no JSON object, allowed is one that holds lists", path=path)
        yield from _from_object(window, names)


def read_json_record(path: Path, start: int, end: int) -> dict[str, Any]:
    """Return the object at a place that `json_records` has told.

    Raises
    ------
    InputError
        If there is no whole object there any more.
    """
    try:
        with path.open("rb") as file:
            file.seek(start)
            fields = json.loads(file.read(end - start))
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from None
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        raise InputError(f"has changed since it was read: no record at bytes {start} to {end}", path=path)
    return fields


def _opened(path: Path) -> BinaryIO:
    """Open a file, after its byte-order mark if it has one."""
    check_is_file(path)
    try:
        file = path.open("rb")
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from None
    if file.read(len(codecs.BOM_UTF8)) != codecs.BOM_UTF8:
        file.seek(0)
    return file


class _Window:
    """Text that moves forward through a file."""

    def __init__(self, file: BinaryIO, path: Path, *, start: int) -> None:
        self.file = file
        self.path = path
        self.decoder = codecs.getincrementaldecoder("utf-8")()
        self.text = ""
        self.at = 0
        self.byte = start
        """Offset in the file of ``text[at]``."""

    def lengthen(self) -> bool:
        """Read at least as much again as is not used up; return whether there was more."""
        rest = self.text[self.at :]
        content = self.file.read(max(CHUNK_BYTES, len(rest)))
        try:
            self.text, self.at = rest + self.decoder.decode(content, final=not content), 0
        except UnicodeDecodeError:
            raise InputError(f"not UTF-8 text, after byte {self.byte}", path=self.path) from None
        return bool(content)

    def move_to(self, at: int) -> None:
        passed = self.text[self.at : at]
        self.byte += len(passed) if passed.isascii() else len(passed.encode())
        self.at = at

    def next_char(self) -> str:
        """Move over white space; return the character after it, empty at the end of the file."""
        while True:
            found = _SPACE.match(self.text, self.at)
            self.move_to(found.end() if found else self.at)
            if self.at < len(self.text):
                return self.text[self.at]
            if not self.lengthen():
                return ""


def _from_list(window: _Window) -> Iterator[JsonRecord]:
    for number, start, end, fields in _elements(window):
        yield JsonRecord(number, start, end, _object(fields, window.path, str(number)))
    _at_end(window, "list")


def _from_object(window: _Window, names: Collection[str]) -> Iterator[tuple[str, JsonRecord]]:
    window.move_to(window.at + 1)
    n_members = 0
    while (char := window.next_char()) != "}":
        if n_members > 0 and char == ",":
            window.move_to(window.at + 1)
            char = window.next_char()
        elif n_members > 0 and char:
            raise _broken(window, "expected a comma or the end of the object")
        if char == "":
            raise _broken(window, "the file ends inside the object")
        name, end = _value(window)
        window.move_to(end)
        if not isinstance(name, str) or window.next_char() != ":":
            raise _broken(window, "expected the name of a member and a colon")
        window.move_to(window.at + 1)
        if window.next_char() == "[":
            for number, start, end, fields in _elements(window, name):
                if name in names:
                    yield (
                        name,
                        JsonRecord(number, start, end, _object(fields, window.path, f"{name} {number}")),
                    )
        else:
            value, end = _value(window)
            if name in names:
                raise InputError(f"got {json_type(value)}, allowed is a list", path=window.path, field=name)
            window.move_to(end)
        n_members += 1
    window.move_to(window.at + 1)
    _at_end(window, "object")


def _elements(window: _Window, name: str = "") -> Iterator[tuple[int, int, int, Any]]:
    """Yield number, first byte, byte after, and value of what a list holds; end after the list."""
    number = 0
    window.move_to(window.at + 1)
    while (char := window.next_char()) != "]":
        if number > 0 and char == ",":
            window.move_to(window.at + 1)
            char = window.next_char()
        elif number > 0 and char:
            told = "after this record, expected a comma or the end of the list"
            raise _broken(window, told, f"{name} {number}")
        number += 1
        if char == "":
            raise _broken(window, "the file ends inside the list", f"{name} {number}")
        value, end = _value(window, f"{name} {number}")
        start = window.byte
        window.move_to(end)
        yield number, start, window.byte, value
    window.move_to(window.at + 1)


def _value(window: _Window, record: str | None = None) -> tuple[Any, int]:
    """Return the value that begins where the window is, and where in the window's text it ends."""
    while True:
        try:
            value, end = DECODER.raw_decode(window.text, window.at)
            check_usable(value, window.text[window.at : end])
        except json.JSONDecodeError as error:
            cut = error.msg.startswith("Unterminated string")
            cut = cut or error.pos >= len(window.text) - _CUT_SHORT_CHARS
            if not (cut and window.lengthen()):
                raise _broken(window, error.msg, record) from None
        except (ValueError, RecursionError) as error:
            raise _broken(window, why_unusable(error), record) from None
        else:
            # A number that ends with the window may be the beginning of a longer one.
            if end < len(window.text) or isinstance(value, dict | list | str) or not window.lengthen():
                return value, end


def _at_end(window: _Window, of: str) -> None:
    if window.next_char() != "":
        raise _broken(window, f"something follows the end of the {of}")


def _broken(window: _Window, problem: str, record: str | None = None) -> InputError:
    told = f"broken JSON at byte {window.byte}: {problem}"
    return InputError(told, path=window.path, record=record.strip() if record else None)


def _from_lines(file: BinaryIO, path: Path, *, start: int) -> Iterator[JsonRecord]:
    number = 0
    for line in file:
        end = start + len(line)
        if line.strip():
            number += 1
            fields = parse_json(line, path=path, record=str(number))
            yield JsonRecord(number, start, end, _object(fields, path, str(number)))
        start = end


def _object(value: object, path: Path, record: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"got {json_type(value)}, allowed is an object", path=path, record=record)
    return value
