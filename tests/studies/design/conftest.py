"""A small made-up data set with families, pictures without files, hints and stored arrays."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from llava_core.data.example import Example

COLOURS = ("red", "blue", "green", "black", "white")


def make_examples(
    n: int = 120, *, seed: int = 0, split: str = "train", n_families: int = 15
) -> list[Example]:
    """Questions of `n_families` families, two to four options, a third without a picture."""
    rng = np.random.default_rng(seed)
    examples = []
    for i in range(n):
        family = int(rng.integers(n_families))
        options = tuple(rng.permutation(COLOURS)[: rng.integers(2, 5)].tolist())
        picture = i % 3 != 0
        examples.append(
            Example(
                id=f"{split}{i}",
                question=f"What colour is the thing number {family} of the shelf?",
                options=options,
                answer=int(rng.integers(len(options))),
                split=split,
                group=f"family{family}",
                has_image=picture,
                hint="Look at the red one." if i % 5 == 0 else None,
                caption=f"a {rng.choice(COLOURS)} thing" if picture else None,
            )
        )
    return examples


class ArrayStore:
    """Stands in for a feature store: the three members that the table reads."""

    def __init__(self, examples: list[Example], *, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        sizes = np.array([len(example.options) for example in examples])
        self.rows = pd.DataFrame(
            {"example_id": [e.id for e in examples], "n_options": sizes, "seen_in_training": False}
        )
        self.option_offsets = np.cumsum(sizes) - sizes
        n, m = len(examples), int(sizes.sum())
        self.arrays: dict[str, Any] = {
            "clip_image": rng.normal(size=(n, 40)),
            "projector": rng.normal(size=(n, 24)),
            "clip_text": rng.normal(size=(m, 40)),
            "llm_hidden": rng.normal(size=(m, 2, 12)),
            "option_logprob": rng.normal(size=(m, 3)),
        }
        for name in ("clip_image", "projector"):
            self.arrays[name][[not e.has_image for e in examples]] = np.nan
        levels = {"clip_image": "example", "projector": "example"}
        self.blocks = {name: SimpleNamespace(level=levels.get(name, "option")) for name in self.arrays}

    def block(self, name: str) -> Any:
        return self.arrays[name]


@pytest.fixture
def examples() -> list[Example]:
    return make_examples()


@pytest.fixture
def store(examples: list[Example]) -> ArrayStore:
    return ArrayStore(examples)


@pytest.fixture
def answers(examples: list[Example]) -> list[Any]:
    """Two files of published answers; in the first, half are guesses."""
    return [
        SimpleNamespace(
            name="first",
            chosen={e.id: 0 for e in examples},
            parsed={e.id: i % 2 == 0 for i, e in enumerate(examples)},
            texts={e.id: f"It is {e.options[0]}." for e in examples},
        ),
        SimpleNamespace(
            name="second",
            chosen={e.id: -1 if i == 0 else 1 for i, e in enumerate(examples)},
            parsed={e.id: i != 0 for i, e in enumerate(examples)},
            texts={e.id: "" for e in examples},
        ),
    ]
