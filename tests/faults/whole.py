"""Whether every file that stands under its final name is whole, whatever happened before.

Scratch names are those that begin with a dot, or end in ``.partial``; what stands under them, or within such
a folder, is no result yet. All else is opened by a reader of its kind, to the end, and every manifest is held
against the files that it lists. Three kinds of file grow at their end and may end in a torn line, which
reading drops: Optuna's journals, answers and reviews.
"""

import csv
import json
import sqlite3
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pyarrow.parquet as pq
from PIL import Image
from safetensors import safe_open

from ensembles.persist import load_model
from llava_core.checkpoint import verify_checkpoint
from llava_core.features.store import FeatureStore
from studies.verified import verify_run


def torn(folder: Path) -> list[str]:
    """Return what is not whole in a run's folder, with the reason."""
    found = []
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not is_scratch(file.relative_to(folder)):
            try:
                READERS[file.suffix](file)
                if file.name == "manifest.json":
                    verify(file)
            except Exception as error:  # whatever a reader says of a torn file
                found.append(f"{file.relative_to(folder)}: {type(error).__name__}: {error!s:.200}")
    return found


def is_scratch(path: Path) -> bool:
    """Whether a name, or one of a folder above, says that the file is no result yet."""
    return any(part.startswith(".") or part.endswith((".partial", "-journal")) for part in path.parts)


def verify(manifest: Path) -> None:
    """Hold what a manifest lists against what is there."""
    folder, told = manifest.parent, json.loads(manifest.read_text())
    if "study" in told:
        found = verify_run(folder, lambda done, total: None)
        assert found.changed + found.missing + found.added == ()
    elif "blocks" in told:
        FeatureStore.open(folder)
    elif "sha256" in told:
        load_model(folder)
    else:
        verify_checkpoint(folder)


def read_lines(file: Path) -> None:
    """Read a file that grows at its end; a last line without an end is dropped."""
    for line in file.read_text().splitlines(keepends=True):
        if line.endswith("\n"):
            json.loads(line)


def read_arrays(file: Path) -> None:
    with np.load(file, allow_pickle=False) as arrays:
        for name in arrays.files:
            arrays[name].sum()


def read_weights(file: Path) -> None:
    with safe_open(file, framework="numpy") as weights:
        for name in weights.keys():  # noqa: SIM118 - no mapping
            weights.get_tensor(name)


def read_zip(file: Path) -> None:
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None


def read_base(file: Path) -> None:
    base = sqlite3.connect(file)
    assert base.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    base.close()


def read_image(file: Path) -> None:
    with Image.open(file) as image:
        image.load()


def read_page(file: Path) -> None:
    assert file.read_text().rstrip().endswith("</html>")


def read_table(file: Path) -> None:
    with file.open(newline="") as opened:
        assert len({len(row) for row in csv.reader(opened, strict=True)}) == 1
    assert file.read_text().endswith("\n")


def read_text(file: Path) -> None:
    assert file.read_text().endswith("\n")


READERS: Mapping[str, Callable[[Path], object]] = {
    ".csv": read_table,
    ".html": read_page,
    ".jinja": Path.read_text,
    ".journal": read_lines,
    ".json": lambda file: json.loads(file.read_text()),
    ".jsonl": read_lines,
    ".md": read_text,
    ".npy": lambda file: np.load(file, allow_pickle=False).sum(),
    ".npz": read_arrays,
    ".parquet": pq.read_table,
    ".png": read_image,
    ".safetensors": read_weights,
    ".skops": read_zip,
    ".sqlite": read_base,
    ".svg": ElementTree.parse,
}
"""By the end of the name; a kind of file that is not listed is told as torn."""
