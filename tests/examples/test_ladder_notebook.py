"""The notebook is executed, and gives what is stored in it: outputs are kept, so that GitHub shows them."""

import io
import re
from base64 import b64decode
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from PIL import Image

FOLDER = Path(__file__).resolve().parents[2] / "examples"
NOTEBOOK = FOLDER / "ladder.ipynb"


@pytest.fixture(scope="module")
def stored() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)


@pytest.fixture(scope="module")
def executed() -> Any:
    client = NotebookClient(
        nbformat.read(NOTEBOOK, as_version=4),
        timeout=120,
        coalesce_streams=True,
        resources={"metadata": {"path": str(FOLDER)}},
    )
    return client.execute()


def outputs(notebook: Any) -> list[tuple[str, str, str]]:
    """Return (cell, kind, content) of every output, pictures as base64."""
    found = []
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        for output in cell.outputs:
            if output.output_type == "stream":
                found.append((cell.id, output.name, output.text))
            else:
                found += [(cell.id, kind, str(content)) for kind, content in sorted(output.data.items())]
    return found


def pixels(content: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(b64decode(content))).convert("RGB"), dtype=float)


def test_what_is_stored_is_what_is_computed(stored: Any, executed: Any) -> None:
    kept, made = outputs(stored), outputs(executed)
    assert [key for *key, _ in kept] == [key for *key, _ in made]
    assert {kind for _, kind, _ in kept} == {"stdout", "text/plain", "text/html", "image/png"}
    for (cell, kind, before), (_, _, after) in zip(kept, made, strict=True):
        if kind == "image/png":
            # Another version of the drawing library may place a letter a pixel aside, or have other margins.
            assert pixels(before).shape == pytest.approx(pixels(after).shape, rel=0.02), cell
            if pixels(before).shape == pixels(after).shape:
                assert np.abs(pixels(before) - pixels(after)).mean() < 5, cell
        else:
            assert before == after, cell


def test_it_walks_the_whole_ladder(executed: Any) -> None:
    text = "\n".join(content for _, kind, content in outputs(executed) if kind in ("stdout", "text/plain"))
    for rung in ("DT", "RF", "XGB", "RF of XGBs", "stacking", "LLaVA", "stacking with LLaVA"):
        assert re.search(rf"^{rung} +\d\.\d{{3}} \[\d\.\d{{3}}, \d\.\d{{3}}\]$", text, re.MULTILINE), rung
    assert re.search(r"^XGB to RF of XGBs +[+-]\d\.\d{3} \[", text, re.MULTILINE)
    assert "stacking with LLaVA against LLaVA: " in text
    assert sum(kind == "image/png" for _, kind, _ in outputs(executed)) == 4


def test_no_path_of_a_machine_is_in_it() -> None:
    for file in (NOTEBOOK, FOLDER / "ladder_run" / "provenance.json"):
        assert re.findall(r"(?<![\w.:/<])/(?:home|root|tmp|usr|work|mnt|opt)\b\S*", file.read_text()) == []
