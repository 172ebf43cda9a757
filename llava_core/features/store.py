"""The feature store on disk: one folder, memory-mapped arrays, no torch [edge].

``rows.parquet`` has one row per example, ``blocks/NAME.npy`` one array per block: ``(n_examples, ...)`` for a
block of level ``example``, ``(n_option_rows, ...)`` for one of level ``option``, options of an example
adjacent and in order. ``manifest.json`` is written last and names every file with its SHA-256; a folder
without it is half written and is refused, as is one whose files differ from it. A missing image is NaN.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from llava_core.data.json_file import read_json_object
from llava_core.data.parquet_file import reading_parquet
from llava_core.drafts import save_array
from llava_core.errors import InputError, shown
from llava_core.folders import check_replaceable, file_inside, whole_folder

SCHEMA_VERSION = 1
ROWS_FILE, MANIFEST_FILE, BLOCKS_FOLDER = "rows.parquet", "manifest.json", "blocks"
MARKS = (ROWS_FILE,)
"""Tells a store; ``manifest.json`` stands in checkpoints and runs, too."""
COLUMNS = ("example_id", "group", "split", "n_options", "answer", "seen_in_training")

Level = Literal["example", "option"]


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockInfo:
    """What a block is, without its numbers."""

    level: Level
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Block:
    """A block to be written."""

    level: Level
    array: NDArray[Any]


def write_store(
    path: Path, *, rows: pd.DataFrame, blocks: Mapping[str, Block], meta: Mapping[str, Any]
) -> Path:
    """Write a store; the folder appears under its name only when it is whole.

    Parameters
    ----------
    path : Path
        Folder; an earlier store there is replaced.
    rows : DataFrame
        Columns `COLUMNS`; one row per example.
    blocks : mapping of str to Block
    meta : mapping
        ``data_fingerprint``, ``checkpoints`` (stage to hash) and the extractor's settings.

    Raises
    ------
    ValueError
        If a column is missing or a block has another number of rows than its level asks for.
    """
    check_replaceable(path, marks=MARKS)
    missing = [column for column in COLUMNS if column not in rows]
    if missing:
        raise ValueError(f"got rows without {', '.join(missing)}")
    n_rows = {"example": len(rows), "option": int(rows["n_options"].sum())}
    for name, block in blocks.items():
        if len(block.array) != n_rows[block.level]:
            raise ValueError(
                f"got {len(block.array)} rows in block {name}, expected {n_rows[block.level]} ({block.level})"
            )
    with whole_folder(path) as draft:
        (draft / BLOCKS_FOLDER).mkdir()
        rows[list(COLUMNS)].to_parquet(draft / ROWS_FILE)
        for name, block in blocks.items():
            save_array(draft / BLOCKS_FOLDER / f"{name}.npy", block.array)
        files = {
            file.relative_to(draft).as_posix(): _sha256(file)
            for file in sorted(draft.rglob("*"))
            if file.is_file()
        }
        manifest = {
            "schema_version": SCHEMA_VERSION,
            **meta,
            "n_examples": n_rows["example"],
            "n_option_rows": n_rows["option"],
            "blocks": {
                name: {"level": b.level, "shape": list(b.array.shape), "dtype": str(b.array.dtype)}
                for name, b in blocks.items()
            },
            "files": files,
        }
        (draft / MANIFEST_FILE).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    return path


class FeatureStore:
    """A whole store, opened for reading; see `open`."""

    def __init__(self, path: Path, manifest: Mapping[str, Any], rows: pd.DataFrame) -> None:
        self.path = path
        self.manifest = manifest
        self.rows = rows
        self.option_offsets: NDArray[np.int64] = np.concatenate(
            [[0], np.cumsum(rows["n_options"].to_numpy())[:-1]]
        ).astype(np.int64)
        self.blocks: Mapping[str, BlockInfo] = {
            name: BlockInfo(level=told["level"], shape=tuple(told["shape"]), dtype=told["dtype"])
            for name, told in manifest["blocks"].items()
        }

    @classmethod
    def open(cls, path: Path, *, data_fingerprint: str | None = None) -> "FeatureStore":
        """Open a store and verify every file against the manifest.

        Parameters
        ----------
        path : Path
            Folder.
        data_fingerprint : str, optional
            Refuse a store that was made from other data.

        Raises
        ------
        InputError
            If the folder is missing, half written, changed, of another version, or of other data.
        """
        path = Path(path)
        manifest = _read_manifest(path)
        found = manifest.get("data_fingerprint")
        if data_fingerprint is not None and found != data_fingerprint:
            raise InputError(
                f"got a feature store of another data set (fingerprint {str(found)[:12]}), "
                f"allowed is {data_fingerprint[:12]}",
                path=path,
            )
        for name, expected in manifest["files"].items():
            file = file_inside(path, name)
            if not file.is_file():
                raise InputError("the manifest names this file, but it is not there", path=file)
            if _sha256(file) != expected:
                raise InputError("its SHA-256 is not the manifest's: the file was changed", path=file)
        with reading_parquet(path / ROWS_FILE):
            rows = pd.read_parquet(path / ROWS_FILE)
        _check_rows(rows, path / ROWS_FILE)
        _check_blocks(manifest, rows, path / MANIFEST_FILE)
        return cls(path, manifest, rows)

    @property
    def origin(self) -> str:
        """SHA-256 of what made the features: the checkpoints and the extractor's settings."""
        made_by = {key: self.manifest.get(key) for key in ("checkpoints", "settings")}
        return hashlib.sha256(json.dumps(made_by, sort_keys=True).encode()).hexdigest()

    def block(self, name: str) -> NDArray[Any]:
        """Return the array of a block, memory-mapped.

        Raises
        ------
        InputError
            If the store has no such block.
        """
        if name not in self.blocks:
            raise InputError(f"got block {name!r}, allowed are {', '.join(self.blocks)}", path=self.path)
        file, info = self.path / BLOCKS_FOLDER / f"{name}.npy", self.blocks[name]
        try:
            array: NDArray[Any] = np.load(file, mmap_mode="r", allow_pickle=False)
        except Exception as error:  # numpy parses a header as Python
            raise InputError(f"cannot be read as an array: {error}", path=file) from None
        if not isinstance(array, np.ndarray):
            raise InputError("got an archive of arrays, allowed is one array", path=file)
        if array.shape != info.shape or str(array.dtype) != info.dtype:
            raise InputError(
                f"got {array.dtype} of shape {array.shape}, the manifest says {info.dtype} of {info.shape}",
                path=file,
            )
        return array


def _read_manifest(path: Path) -> dict[str, Any]:
    file = path / MANIFEST_FILE
    if not path.is_dir():
        raise InputError("no such feature store", path=path)
    if not file.is_file():
        raise InputError("no manifest.json: not a feature store, or a half-written one", path=path)
    manifest = read_json_object(file)
    if "schema_version" not in manifest:
        raise InputError("not the manifest of a feature store", path=file)
    version = manifest["schema_version"]
    if version != SCHEMA_VERSION:
        raise InputError(
            f"got {shown(version)}, allowed is {SCHEMA_VERSION}", path=file, field="schema_version"
        )
    for field in ("files", "blocks"):
        if not isinstance(manifest.get(field), dict):
            raise InputError("lacks files or blocks", path=file, field=field)
    if ROWS_FILE not in manifest["files"]:
        raise InputError(f"does not list {ROWS_FILE}", path=file, field="files")
    return manifest


def _check_rows(rows: pd.DataFrame, path: Path) -> None:
    """Raise unless rows have their columns, and each a number of options."""
    if not set(COLUMNS) <= set(rows.columns):
        raise InputError(
            f"got columns {', '.join(map(str, rows.columns))}, needed are {', '.join(COLUMNS)}", path=path
        )
    n_options = rows["n_options"]
    if not pd.api.types.is_integer_dtype(n_options) or n_options.isna().any() or (n_options < 2).any():
        raise InputError("got another number of options than 2 or more", path=path, field="n_options")
    if rows["example_id"].isna().any() or rows["example_id"].duplicated().any():
        raise InputError(
            "got an id twice or none, allowed is one row per question", path=path, field="example_id"
        )


def _check_blocks(manifest: Mapping[str, Any], rows: pd.DataFrame, path: Path) -> None:
    """Raise unless the manifest describes each block, and its file, with as many rows as it has to have."""
    n_rows = {"example": len(rows), "option": int(rows["n_options"].sum())}
    for name, told in manifest["blocks"].items():
        shape = told.get("shape") if isinstance(told, dict) else None
        level = told.get("level") if isinstance(told, dict) else None
        if (
            not isinstance(shape, list)
            or not isinstance(level, str)
            or shape[:1] != [n_rows.get(level)]
            or not isinstance(told.get("dtype"), str)
            or f"{BLOCKS_FOLDER}/{name}.npy" not in manifest["files"]
        ):
            raise InputError(
                f"got {shown(told)}, allowed are level, shape and dtype of a file with a row for each of "
                f"{n_rows['example']} examples or {n_rows['option']} options",
                path=path,
                record=name,
                field="blocks",
            )


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
