import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from llava_core.checkpoint import checkpoint_hash
from llava_core.data.example import Example
from llava_core.errors import InputError
from llava_core.features.store import Block, write_store
from studies.pipeline import Checkpoints, bring_checkpoints, bring_store, load_data, run_checkpoints
from studies.progress import Silent
from studies.rundir import RunDir
from studies.spec.base import resolve
from studies.spec.ensemble import EnsembleSpec

EXAMPLES = tuple(
    Example(id=f"q{i}", question="Which?", options=("a", "b"), answer=0, split="test", group=f"g{i}")
    for i in range(4)
)


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir(path=tmp_path / "run")


def store_of(examples: Sequence[Example], path: Path, fingerprint: str = "f") -> Path:
    rows = pd.DataFrame(
        {
            "example_id": [example.id for example in examples],
            "group": [example.group for example in examples],
            "split": "test",
            "n_options": 2,
            "answer": 0,
            "seen_in_training": False,
        }
    )
    blocks = {"clip_image": Block(level="example", array=np.zeros((len(examples), 3), dtype=np.float32))}
    return write_store(path, rows=rows, blocks=blocks, meta={"data_fingerprint": fingerprint})


def bring(run: RunDir, store: Path, examples: Sequence[Example] = EXAMPLES) -> object:
    spec = resolve(EnsembleSpec, "s", features=store)
    return bring_store(spec, run, None, examples, fingerprint="f", progress=Silent())


def test_a_given_store_is_opened_as_it_is(run: RunDir, tmp_path: Path) -> None:
    store = bring(run, store_of(EXAMPLES, tmp_path / "store"), EXAMPLES[:2])
    assert store.rows["example_id"].tolist() == ["q0", "q1", "q2", "q3"]  # type: ignore[attr-defined]
    assert not run.path.exists()


def test_a_store_of_other_data_is_refused(run: RunDir, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="another data set"):
        bring(run, store_of(EXAMPLES, tmp_path / "store", fingerprint="other"))


def test_a_store_that_lacks_questions_is_refused(run: RunDir, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lacks 2 of 4 questions, first q2"):
        bring(run, store_of(EXAMPLES[:2], tmp_path / "store"))


@pytest.mark.parametrize("file", ["manifest.json", "rows.parquet", "blocks/clip_image.npy"])
def test_a_torn_store_is_refused(file: str, run: RunDir, tmp_path: Path) -> None:
    store = store_of(EXAMPLES, tmp_path / "store")
    (store / file).unlink()
    with pytest.raises(InputError, match=str(store)):
        bring(run, store)


def test_layers_of_the_tower_are_an_input_only_where_asked_for(
    run: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run of old finds its store again; one that asks for layers extracts anew, once."""
    asked = list[tuple[int, ...]]()

    def extract(checkpoints: object, examples: Sequence[Example], out: Path, **settings: object) -> Path:
        asked.append(settings["clip_layers"])  # type: ignore[arg-type]
        return store_of(examples, out)

    monkeypatch.setattr("llava_core.features.extract.extract_features", extract)
    spec = resolve(EnsembleSpec, "s", settings=["llava_device=cpu"])
    checkpoints = Checkpoints(paths={"finetune": tmp_path}, hashes={"finetune": "h"})
    for layers in ((), (), (-2, -1), (-2, -1)):
        bring_store(spec, run, checkpoints, EXAMPLES, fingerprint="f", progress=Silent(), clip_layers=layers)
        inputs = json.loads((run.path / "steps" / "features.json").read_text())["inputs"]
        assert inputs.get("clip_layers") == (list(layers) or None)
        assert inputs.keys() - {"clip_layers"} == {"data", "ids", "checkpoints", "dtype", "clip"}
    assert asked == [(), (-2, -1)]


def test_without_llava_there_is_no_store(run: RunDir) -> None:
    spec = resolve(EnsembleSpec, "s")
    assert bring_checkpoints(spec, run, (), fingerprint="f", progress=Silent()) is None
    assert bring_store(spec, run, None, EXAMPLES, fingerprint="f", progress=Silent()) is None


def test_a_store_makes_a_checkpoint_unnecessary(run: RunDir, tmp_path: Path) -> None:
    spec = resolve(EnsembleSpec, "s", features=tmp_path / "store")
    assert bring_checkpoints(spec, run, EXAMPLES, fingerprint="f", progress=Silent()) is None


def test_a_given_checkpoint_is_not_trained_again(run: RunDir, tmp_path: Path) -> None:
    """A checkpoint of others, told by all its files."""
    (tmp_path / "config.json").write_text('{"model_type": "llava", "text_config": {}}')
    (tmp_path / "model.safetensors").write_bytes(b"12345")
    spec = resolve(EnsembleSpec, "s", llava=str(tmp_path))
    found = bring_checkpoints(spec, run, EXAMPLES, fingerprint="f", progress=Silent())
    assert found == Checkpoints(paths={"finetune": tmp_path}, hashes={"finetune": checkpoint_hash(tmp_path)})
    assert found.costs == {"fit_s": None, "size_bytes": 5}
    assert run_checkpoints(spec, run.path) == found
    (tmp_path / "model.safetensors").write_bytes(b"54321")
    other = bring_checkpoints(spec, run, EXAMPLES, fingerprint="f", progress=Silent())
    assert other is not None
    assert other.hashes != found.hashes
    for wrong, problem in ((tmp_path / "none", "no such folder"), (run.path, "no such folder")):
        with pytest.raises(InputError, match=problem):
            bring_checkpoints(
                replace(spec, llava=str(wrong)), run, EXAMPLES, fingerprint="f", progress=Silent()
            )


def test_the_bundled_data_is_drawn_once_and_a_torn_copy_again(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = list[int]()

    def draw(out: Path, *, seed: int, progress: object) -> None:
        calls.append(seed)
        out.mkdir(parents=True)
        record = {"question": "Which?", "choices": ["a", "b"], "answer": 0, "image": None, "split": "test"}
        (out / "problems.json").write_text(json.dumps({"1": record}))
        if len(calls) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr("llava_core.data.mini.write_mini", draw)
    with pytest.raises(KeyboardInterrupt):
        load_data(resolve(EnsembleSpec, "s"), run, Silent())
    for seed in (0, 5):
        assert len(load_data(resolve(EnsembleSpec, "s", seed=seed), run, Silent()).examples) == 1
    assert calls == [0, 0]


def test_reading_data_and_stores_does_not_load_torch() -> None:
    probe = "import studies.pipeline, sys; print('torch' in sys.modules or 'transformers' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"
