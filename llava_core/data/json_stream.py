"""Objects of a large JSON list or JSONL file, one after the other, each with the bytes it stands at [edge].

A list of a gigabyte is read through a window of a few megabytes; the places of the records let a reader come
back to any of them later without holding them all.
"""

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from llava_core.data.json_file import json_type
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
    try:
        file = path.open("rb")
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from None
    with file:
        mark = len(codecs.BOM_UTF8) if file.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8 else 0
        file.seek(mark)
        window = _Window(file, path, start=mark)
        first = window.next_char()
        if first == "[":
            yield from _from_list(window)
        elif first == "":
            raise InputError("holds no records", path=path)
        else:
            file.seek(mark)
            yield from _from_lines(file, path, start=mark)


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
    scan = json.JSONDecoder().raw_decode
    number = 0

    def broken(problem: str) -> InputError:
        return InputError(
            f"broken JSON at byte {window.byte}: {problem}", path=window.path, record=str(number)
        )

    window.move_to(window.at + 1)
    while (char := window.next_char()) != "]":
        if number > 0 and char == ",":
            window.move_to(window.at + 1)
            char = window.next_char()
        elif number > 0 and char:
            raise broken("after this record, expected a comma or the end of the list")
        number += 1
        if char == "":
            raise broken("the file ends inside the list")
        while True:
            try:
                fields, end = scan(window.text, window.at)
                break
            except json.JSONDecodeError as error:
                cut = error.msg.startswith("Unterminated string")
                cut = cut or error.pos >= len(window.text) - _CUT_SHORT_CHARS
                if not (cut and window.lengthen()):
                    raise broken(error.msg) from None
            except RecursionError:
                raise broken("nested too deeply") from None
        start = window.byte
        window.move_to(end)
        yield JsonRecord(number, start, window.byte, _object(fields, window.path, number))
    window.move_to(window.at + 1)
    if window.next_char() != "":
        raise broken("something follows the end of the list")


def _from_lines(file: BinaryIO, path: Path, *, start: int) -> Iterator[JsonRecord]:
    number = 0
    for line in file:
        end = start + len(line)
        if line.strip():
            number += 1
            try:
                fields = json.loads(line)
            except UnicodeDecodeError:
                raise InputError("not UTF-8 text", path=path, record=str(number)) from None
            except json.JSONDecodeError as error:
                raise InputError(
                    f"broken JSON at column {error.colno}: {error.msg}", path=path, record=str(number)
                ) from None
            except RecursionError:
                raise InputError("nested too deeply", path=path, record=str(number)) from None
            yield JsonRecord(number, start, end, _object(fields, path, number))
        start = end


def _object(value: object, path: Path, number: int) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"got {json_type(value)}, allowed is an object", path=path, record=str(number))
    return value
