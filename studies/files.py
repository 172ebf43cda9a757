"""Files that are either whole or absent: written beside their place, then renamed [edge]."""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from llava_core.drafts import save_array, whole_file


def write_text(path: Path, text: str) -> Path:
    """Write a text file."""
    return _write(path, lambda draft: draft.write_text(text, encoding="utf-8"))


def write_json(path: Path, content: object) -> Path:
    """Write plain values as JSON; NaN is refused, since it is no JSON."""
    return write_text(path, json.dumps(content, indent=1, allow_nan=False, default=str) + "\n")


def write_parquet(path: Path, frame: pd.DataFrame) -> Path:
    """Write a table as parquet, without its index."""
    return _write(path, lambda draft: frame.to_parquet(draft, index=False))


def write_npy(path: Path, array: NDArray[Any]) -> Path:
    """Write an array, for ``numpy.load`` without pickle."""
    return _write(path, lambda draft: save_array(draft, array))


def write_npz(path: Path, arrays: Mapping[str, NDArray[Any]]) -> Path:
    """Write arrays by name, for ``numpy.load`` without pickle."""

    def write(draft: Path) -> None:
        with draft.open("wb") as file:  # a name without .npz would get it
            np.savez(file, allow_pickle=False, **arrays)

    return _write(path, write)


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _write(path: Path, write: Callable[[Path], object]) -> Path:
    path = Path(path)
    with whole_file(path) as draft:
        write(draft)
    return path
