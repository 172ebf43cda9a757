import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from llava_core.errors import InputError
from llava_core.features.store import Block, FeatureStore, write_store


@pytest.fixture
def store(tmp_path: Path) -> Path:
    rows = pd.DataFrame(
        {
            "example_id": ["a", "b"],
            "group": ["f", "g"],
            "split": ["val", "test"],
            "n_options": [2, 3],
            "answer": [0, -1],
            "seen_in_training": [False, True],
        }
    )
    blocks = {
        "clip_image": Block(level="example", array=np.array([[1, 2], [np.nan, np.nan]], dtype=np.float32)),
        "option_logprob": Block(level="option", array=np.arange(15, dtype=np.float32).reshape(5, 3)),
    }
    return write_store(tmp_path / "store", rows=rows, blocks=blocks, meta={"data_fingerprint": "abc"})


def test_round_trip(store: Path) -> None:
    opened = FeatureStore.open(store, data_fingerprint="abc")
    assert opened.rows["example_id"].tolist() == ["a", "b"]
    assert opened.option_offsets.tolist() == [0, 2]
    assert opened.blocks["option_logprob"].level == "option"
    assert isinstance(opened.block("option_logprob"), np.memmap)
    np.testing.assert_array_equal(opened.block("option_logprob")[2:], np.arange(6, 15).reshape(3, 3))
    assert np.isnan(opened.block("clip_image")[1]).all()
    with pytest.raises(InputError, match="got block 'llm', allowed are clip_image, option_logprob"):
        opened.block("llm")


def test_wrong_number_of_rows_is_refused_and_leaves_nothing(store: Path, tmp_path: Path) -> None:
    rows = FeatureStore.open(store).rows
    with pytest.raises(ValueError, match="got 2 rows in block x, expected 5"):
        write_store(
            tmp_path / "new", rows=rows, blocks={"x": Block(level="option", array=np.zeros(2))}, meta={}
        )
    assert not (tmp_path / "new").exists()


def test_a_failed_write_keeps_the_old_store(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = FeatureStore.open(store)
    blocks = {"x": Block(level="option", array=np.zeros((5, 1), dtype=np.float32))}

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match="No space left"):
        write_store(store, rows=opened.rows, blocks=blocks, meta={"data_fingerprint": "abc"})
    assert set(FeatureStore.open(store).blocks) == {"clip_image", "option_logprob"}
    assert [path.name for path in store.parent.iterdir()] == ["store"]


def spoil_manifest(store: Path, **changes: object) -> None:
    file = store / "manifest.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda s: (s / "manifest.json").unlink(), "half-written"),
        (lambda s: (s / "manifest.json").write_text("{"), "not the manifest|broken JSON"),
        (lambda s: spoil_manifest(s, schema_version=9), "field schema_version: got 9, allowed is 1"),
        (lambda s: (s / "rows.parquet").unlink(), "rows.parquet: the manifest names this file"),
        (lambda s: (s / "blocks" / "clip_image.npy").write_bytes(b"x"), "clip_image.npy: its SHA-256"),
    ],
)
def test_stores_that_are_not_whole(store: Path, spoil, message: str) -> None:
    spoil(store)
    with pytest.raises(InputError, match=message):
        FeatureStore.open(store)


def test_missing_and_foreign_stores(store: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such feature store"):
        FeatureStore.open(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"another data set \(fingerprint abc\), allowed is xyz"):
        FeatureStore.open(store, data_fingerprint="xyz")


def test_reading_needs_no_torch(store: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from llava_core.features.store import FeatureStore;"
        "FeatureStore.open(Path(sys.argv[1])).block('clip_image'); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script, str(store)], check=True)
