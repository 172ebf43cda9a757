"""A feature store made by hand: a class planted in the images, the answer in the last layer of the LLM."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from llava_core.features.store import Block, write_store

KINDS = ("rock", "leaf", "star")
MakeStore = Callable[..., Path]


@pytest.fixture
def make_store(tmp_path: Path) -> MakeStore:
    """Write a store of n questions; the n // 5 last have no image, two to a family."""

    def build(n: int = 120, *, name: str = "store", seen: tuple[int, ...] = (), **meta: object) -> Path:
        rng = np.random.default_rng(0)
        family = np.arange(n) // 2
        n_options = rng.integers(2, 5, size=n)
        answer = (rng.random(n) * n_options).astype(int)
        rows = pd.DataFrame(
            {
                "example_id": [f"q{i}" for i in range(n)],
                "group": [f"f{f}" for f in family],
                "split": np.where(family % 3 == 0, "test", np.where(family % 7 == 1, "val", "train")),
                "n_options": n_options,
                "answer": answer,
                "seen_in_training": np.isin(np.arange(n), seen),
            }
        )
        kind = family // 3 % 3
        image = rng.normal(size=(n, 6)).astype(np.float32)
        image[np.arange(n), kind] += 5
        question = np.repeat(np.arange(n), n_options)
        place = np.arange(len(question)) - np.repeat(np.cumsum(n_options) - n_options, n_options)
        hidden = rng.normal(size=(len(question), 2, 4)).astype(np.float32)
        hidden[:, 1, 0] += 6 * (place == answer[question])
        image[n - n // 5 :] = np.nan
        projector = image @ rng.normal(size=(6, 8)).astype(np.float32)
        blocks = {
            "clip_layers": Block(level="example", array=np.stack([image * 0, image], 1)),
            "clip_image_patches": Block(level="example", array=image),
            "projector": Block(level="example", array=projector),
            "llm_hidden": Block(level="option", array=hidden.reshape(len(question), -1)),
            "option_logprob": Block(level="option", array=np.zeros((len(question), 3), dtype=np.float32)),
        }
        told = {
            "data_fingerprint": "made",
            "checkpoints": {"finetune": "c"},
            "settings": {"llm_hidden_layers": [-3, -1], "clip_layers": [-4, -1]},
            **meta,
        }
        write_store(tmp_path / name, rows=rows, blocks=blocks, meta=told)
        labels = pd.DataFrame({"example_id": rows["example_id"], "kind": [KINDS[k] for k in kind]})
        labels.sample(frac=1, random_state=0).to_csv(tmp_path / "kinds.csv", index=False)
        return tmp_path / name

    return build
