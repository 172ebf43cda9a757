"""Faults, put into one file of a folder of valid ones: in its bytes, in what it says, or in what it is.

Every fault is drawn from a random generator that is given, so a case can be had again.
"""

import io
import json
import os
import pickle
import random
import struct
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

HUGE_INT, HUGE_FLOAT, DEEP_LIST, DEEP_OBJECT = "@@int@@", "@@float@@", "@@list@@", "@@object@@"
_TWICE = "@@twice@@"
_RAW = {
    HUGE_INT: "9" * 5000,
    HUGE_FLOAT: "1e999",
    DEEP_LIST: "[" * 100_000 + "]" * 100_000,
    DEEP_OBJECT: '{"a":' * 900 + "1" + "}" * 900,
}
"""What no Python value is written as; put in place of a mark."""
_TEXTS = (
    "", " ", "\n", "\x00", "a\nb\r\nc", "\ud800", "x\udc80", "\u202e\u2066", "../../beside/secret.txt",
    "..", ".",
    "/etc/passwd", "/", "\\\\host\\share", "C:\\x.png", "a/b", "nul", "~", "%s%n{0}",
    "<script>alert(1)</script>",
    "x" * 300, "y" * 70_000, "http://127.0.0.1:9/x.png", "data:,", "file:///etc/passwd", "-1", "1e5", "nan",
    "\N{COMBINING ACUTE ACCENT}" * 40, "<image>", "<image><image>", "A", "Z", "test",
)  # fmt: skip
_PLAIN = (
    None, True, False, 0, -1, 1, 2, 7, 255, 2**31, 2**63, 2**64, -(2**63) - 1, 10**30, 10**400, 0.0,
    -0.5, 1.5, 1e-320,
    1e308, float("nan"), float("inf"), float("-inf"), HUGE_INT, HUGE_FLOAT, DEEP_LIST, DEEP_OBJECT,
    [], {}, [[]], [None], [{}], {"": 0}, [0] * 300, ["a", "b"], [[0.5, 0.5]], {"a": {"b": []}},
)  # fmt: skip

Bytes = Callable[[bytes, random.Random], bytes]


def spoil(folder: Path, files: Sequence[Path], rng: random.Random, *, of_files: bool) -> str:
    """Put a fault into one of some files of a folder; return what was done."""
    path = rng.choice(files)
    file = folder / path
    if of_files and rng.random() < 0.06:
        return f"{path}: {_of_file(file, rng)}"
    content = file.read_bytes()
    for name, faults in (_KINDS[_kind(file, content)], ("bytes", _BYTES)):
        if name != "bytes" and rng.random() < 0.3:
            continue
        fault = rng.choice(faults)
        try:
            file.write_bytes(fault(content, rng))
        except (ValueError, KeyError, TypeError, IndexError, OSError, AttributeError, RecursionError):
            continue  # It does not apply to such a file.
        return f"{path}: {fault.__name__.strip('_')}"
    file.write_bytes(_flip_bits(content, rng))
    return f"{path}: flip_bits"


# What a file is -------------------------------------------------------------------------------------------


def _of_file(file: Path, rng: random.Random) -> str:
    what = rng.choice(
        ("missing", "empty", "a folder", "a pipe", "a link outside", "a link to itself", "a device")
    )
    file.unlink()
    outside = (
        next(parent for parent in file.parents if parent.name == "case").parent / "beside" / "secret.txt"
    )
    match what:
        case "empty":
            file.write_bytes(b"")
        case "a folder":
            file.mkdir()
        case "a pipe":
            os.mkfifo(file)
        case "a link outside":
            file.symlink_to(outside)
        case "a link to itself":
            file.symlink_to(file)
        case "a device":
            file.symlink_to("/dev/zero")
    return what


# Bytes ----------------------------------------------------------------------------------------------------


def _flip_bits(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content or b"\0")
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _truncate(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def _cut_out(content: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(content) + 1)
    return content[:start] + content[start + rng.randrange(1, 1 + max(1, len(content) // 4)) :]


def _repeat(content: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(content) + 1)
    piece = content[start : start + rng.randrange(1, 200)]
    return content[:start] + piece * rng.choice((2, 3, 50)) + content[start:]


def _insert(content: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(content) + 1)
    piece = rng.choice((b"\0", b"\xff", b"\xed\xa0\x80", b"\r", b"\n", b'"', b"{", b"]", rng.randbytes(9)))
    return content[:start] + piece + content[start:]


def _extreme_number(content: bytes, rng: random.Random) -> bytes:
    size = rng.choice((1, 2, 4, 8))
    start = rng.randrange(max(1, len(content) - size))
    piece = rng.choice(
        (b"\xff" * size, b"\0" * size, b"\x7f" + b"\xff" * (size - 1), b"\xff" * (size - 1) + b"\x7f")
    )
    return content[:start] + piece + content[start + size :]


def _mark(content: bytes, rng: random.Random) -> bytes:
    return rng.choice((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf\xef\xbb\xbf")) + content


def _line_ends(content: bytes, rng: random.Random) -> bytes:
    return content.replace(b"\n", rng.choice((b"\r\n", b"\r", b"\n\n", b"\x0b", "\u2028".encode())))


def _other_encoding(content: bytes, rng: random.Random) -> bytes:
    return content.decode().encode(rng.choice(("utf-16", "utf-16-le", "utf-32", "utf-7", "cp500")), "replace")


def _other_content(content: bytes, rng: random.Random) -> bytes:
    return rng.choice(
        (
            b"", b"\n", b"\0" * 4096, b"{}", b"[]", b"null", b"0", b'""', b"[[]]", b"[{}]", b"{}\n{}",
            b"NaN", b"\x89PNG\r\n\x1a\n",
            b"PAR1" + b"\0" * 8 + b"PAR1", b"PK\x05\x06" + b"\0" * 18, b"\x93NUMPY\x01\x00", b"GIF89a",
            b"SQLite format 3\0",
            b"[" * 60_000, b'{"a":' * 60_000, b"\xff\xd8\xff\xe0", rng.randbytes(300), pickle.dumps(Bomb()),
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n",
        )
    )  # fmt: skip


_BYTES: tuple[Bytes, ...] = (
    _flip_bits, _flip_bits, _truncate, _truncate, _cut_out, _repeat, _insert, _extreme_number, _mark,
    _line_ends,
    _other_encoding, _other_content,
)  # fmt: skip


class Bomb:
    """Unpickled, it makes a folder, which is seen as a write outside: code was run from data."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("pickle_was_run",)


# JSON -----------------------------------------------------------------------------------------------------


def _json(content: bytes, rng: random.Random) -> bytes:
    return _dumped(_changed(json.loads(content), rng))


def _json_line(content: bytes, rng: random.Random) -> bytes:
    lines = content.splitlines()
    at = rng.randrange(len(lines))
    match rng.randrange(8):
        case 0:
            return b"\n".join([*lines, lines[at]])
        case 1:
            return b"\n".join([*lines[:at], *lines[at + 1 :]])
        case 2:
            return b"\n".join([*lines[:at], _dumped(rng.choice(_PLAIN)), *lines[at + 1 :]])
    return b"\n".join([*lines[:at], _dumped(_changed(json.loads(lines[at]), rng)), *lines[at + 1 :]])


def _changed(value: Any, rng: random.Random) -> Any:
    """Return a JSON value with one to three changes at random places."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        value = _changed_once(value, rng)
    return value


def _changed_once(value: Any, rng: random.Random) -> Any:
    places = _places(value)
    if not places or rng.random() < 0.02:
        return _drawn(rng)
    holder, key = rng.choice(places)
    match rng.randrange(9):
        case 0 | 1 if isinstance(holder, dict):
            del holder[key]
        case 0 | 1:
            holder.pop(key)
        case 2 if isinstance(holder, dict):
            holder[f"{_TWICE}{key}"] = _drawn(rng)
        case 2:
            holder.insert(key, holder[key])
        case 3:
            other, at = rng.choice(places)
            holder[key] = other[at]
            if _is_circular(value):
                raise ValueError("circular")
        case 4 if isinstance(holder, dict):
            holder[rng.choice(_TEXTS)] = holder.pop(key)
        case 5:
            holder[key] = [holder[key]] if rng.random() < 0.5 else {str(key): holder[key]}
        case 6 if isinstance(holder[key], str):
            holder[key] = holder[key] + rng.choice(_TEXTS)
        case _:
            holder[key] = _drawn(rng)
    return value


def _drawn(rng: random.Random) -> Any:
    return rng.choice(_TEXTS) if rng.random() < 0.45 else rng.choice(_PLAIN)


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Return every (holder, key or index) of a JSON value."""
    found, open_ = [], [value]
    while open_:
        holder = open_.pop()
        keys = (
            list(holder)
            if isinstance(holder, dict)
            else range(len(holder))
            if isinstance(holder, list)
            else ()
        )
        for key in keys:
            found.append((holder, key))
            open_.append(holder[key])
    return found


def _is_circular(value: Any) -> bool:
    try:
        json.dumps(value)
    except (ValueError, RecursionError):
        return True
    return False


def _dumped(value: Any) -> bytes:
    text = json.dumps(value)
    for mark, raw in _RAW.items():
        text = text.replace(f'"{mark}"', raw)
    return text.replace(_TWICE, "").encode()


# Tables, arrays, tensors ----------------------------------------------------------------------------------


def _parquet(content: bytes, rng: random.Random) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(content))
    names = table.column_names
    at = rng.randrange(len(names))
    rows = table.num_rows
    match rng.randrange(8):
        case 0:
            table = table.remove_column(at)
        case 1:
            table = table.rename_columns([rng.choice(_TEXTS[1:9]) if n == names[at] else n for n in names])
        case 2:
            table = table.slice(0, rng.choice((0, 1)))
        case 3:
            table = pa.concat_tables([table, table])
        case 4:
            table = table.set_column(at, names[at], pa.nulls(rows, table.column(at).type))
        case 5:
            table = table.append_column(names[rng.randrange(len(names))], table.column(at))
        case 6:
            values = table.column(at).to_pylist()
            values[rng.randrange(rows)] = rng.choice(_TEXTS[:4]) if rng.random() < 0.5 else None
            table = table.set_column(at, names[at], pa.array(values))
        case _:
            column = rng.choice(
                (
                    pa.array([b"\xff\xfe"] * rows), pa.array([1.5] * rows), pa.array([float("nan")] * rows),
                    pa.array([2**63 - 1] * rows), pa.array([["a"]] * rows),
                    pa.array([{"bytes": b"x"}] * rows),
                    pa.array([True] * rows), pa.array(["x"] * rows), pa.array([[1.0, None]] * rows),
                    pa.array([10**17] * rows, pa.timestamp("ns")), pa.array(["x"] * rows).dictionary_encode(),
                    pa.nulls(rows), pa.array([-1] * rows), pa.array([[[0.5]]] * rows),
                    pa.StringArray.from_buffers(rows, pa.array(range(rows + 1), pa.int32()).buffers()[1],
                                                pa.py_buffer(b"\xff" * rows)),
                    pa.array([[]] * rows, pa.list_(pa.float32())), pa.array([0] * rows, pa.uint8()),
                    pa.array([10**400 // 10**370] * rows, pa.decimal128(38)),
                )
            )  # fmt: skip
            table = table.set_column(at, names[at], column)
    written = io.BytesIO()
    pq.write_table(table, written)
    return written.getvalue()


def _array(content: bytes, rng: random.Random) -> bytes:
    array = np.load(io.BytesIO(content))
    return _array_bytes(_changed_array(array, rng))


def _changed_array(array: Any, rng: random.Random) -> Any:
    match rng.randrange(8):
        case 0:
            return np.array([Bomb()], dtype=object)
        case 1:
            return array[: len(array) // 2] if array.ndim else array
        case 2:
            return array.astype("U5")
        case 3:
            return array.reshape(-1)
        case 4:
            return array.astype(complex)
        case 5:
            return np.full(array.shape, np.nan)
        case 6:
            return np.zeros(0, dtype=array.dtype)
    return np.concatenate([array, array]) if array.ndim else np.array([array, array])


def _array_bytes(array: Any) -> bytes:
    written = io.BytesIO()
    np.save(written, array, allow_pickle=True)
    return written.getvalue()


def _array_header(content: bytes, rng: random.Random) -> bytes:
    header = content[:128]
    old, new = rng.choice(
        (
            (b"'shape': (", b"'shape': (9"), (b"'fortran_order': False", b"'fortran_order': True "),
            (b"<f", b"|O"), (b"<i", b"|V"), (b"(", b"(-"), (b"'descr'", b"'bescr'"), (b"}", b" "),
            (b"'shape': (", b"'shape': (99999999999,"),
        )
    )  # fmt: skip
    return header.replace(old, new, 1)[:128].ljust(128) + content[128:]


def _zip(content: bytes, rng: random.Random) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    name = rng.choice(list(members))
    match rng.randrange(5):
        case 0:
            del members[name]
        case 1:
            members["../../beside/escaped"] = b"x"
        case 2:
            members[rng.choice(list(members))] = members[name]
        case 3:
            members[name] = _flip_bits(members[name], rng)
        case _:
            kind = _kind(Path(name), members[name])
            members[name] = rng.choice(_KINDS[kind][1])(members[name], rng)
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for member, data in members.items():
            archive.writestr(member, data)
    return written.getvalue()


def _tensors(content: bytes, rng: random.Random) -> bytes:
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    changed = _dumped(_changed(header, rng))
    if rng.random() < 0.2:
        length = rng.choice((0, 1, 2**31, 2**63, len(changed) * 2))
        return struct.pack("<Q", length) + changed + content[8 + length :]
    return struct.pack("<Q", len(changed)) + changed + content[8 + length :]


# Texts and pictures ---------------------------------------------------------------------------------------


def _text(content: bytes, rng: random.Random) -> bytes:
    lines = content.decode().split("\n")
    at = rng.randrange(len(lines))
    match rng.randrange(5):
        case 0:
            lines.pop(at)
        case 1:
            lines[at] += rng.choice(_TEXTS).encode("utf-8", "surrogatepass").decode("utf-8", "replace")
        case 2:
            lines[at] = lines[at].replace(
                rng.choice("\t =[]:"), rng.choice(("", "\t\t", "=", "[", "]]", "::"))
            )
        case 3:
            lines[at] = str(rng.choice(_PLAIN[:25]))
        case _:
            lines.insert(at, lines[rng.randrange(len(lines))])
    return "\n".join(lines).encode()


def _picture(content: bytes, rng: random.Random) -> bytes:
    """Return a picture of another kind than its name says, of which some are traps."""
    from tests.fuzz.corpus import PICTURES

    return PICTURES[rng.choice(sorted(PICTURES))]()


_KINDS: dict[str, tuple[str, tuple[Bytes, ...]]] = {
    "json": ("json", (_json,)),
    "jsonl": ("json lines", (_json_line,)),
    "parquet": ("parquet", (_parquet,)),
    "npy": ("array", (_array, _array_header)),
    "zip": ("zip", (_zip,)),
    "tensors": ("tensors", (_tensors,)),
    "picture": ("picture", (_picture, *_BYTES[:8])),
    "text": ("text", (_text,)),
    "bytes": ("bytes", _BYTES),
}


def _kind(file: Path, content: bytes) -> str:
    """Tell the kind of a valid file."""
    if content[:4] == b"PAR1":
        return "parquet"
    if content[:6] == b"\x93NUMPY":
        return "npy"
    if content[:2] == b"PK":
        return "zip"
    if file.suffix == ".safetensors":
        return "tensors"
    if file.suffix in (".png", ".jpg", ".gif", ".tif", ".bmp", ".webp"):
        return "picture"
    if file.suffix in (".jsonl", ".journal"):
        return "jsonl"
    try:
        json.loads(content)
        return "json"
    except ValueError:
        pass
    try:
        content.decode()
        return "text"
    except ValueError:
        return "bytes"
