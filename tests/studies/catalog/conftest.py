from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from llava_core.data.example import Dataset, Example
from studies.catalog.ground import Ground, lay_ground
from studies.catalog.protocol import Protocol
from studies.rundir import RunDir
from studies.spec.base import resolve
from studies.spec.ensemble import EnsembleSpec

WORDS = ("red", "green", "blue", "black")
MakeExample = Callable[..., Example]


def make(id_: str, **changes: object) -> Example:
    values: dict[str, object] = {
        "id": id_,
        "question": f"Which is {id_}?",
        "options": ("red", "green", "blue"),
        "answer": 0,
        "split": None,
        "group": id_,
        **changes,
    }
    return Example(**values)  # type: ignore[arg-type]


@pytest.fixture
def make_example() -> MakeExample:
    return make


@pytest.fixture
def make_dataset() -> Callable[..., Dataset]:
    """Data set of given parts: name to number of questions."""

    def build(parts: dict[str | None, int], **changes: object) -> Dataset:
        examples = tuple(
            make(f"{part}{i}", split=part, **changes) for part, n in parts.items() for i in range(n)
        )
        return Dataset(name="d", examples=examples, fingerprint="f")

    return build


@pytest.fixture
def ground(make_example: Callable[..., Example], tmp_path: Path) -> Ground:
    rng = np.random.default_rng(0)

    def questions(part: str, n: int) -> tuple[Example, ...]:
        found = []
        for i in range(n):
            options = tuple(rng.permutation(WORDS)[: rng.integers(2, 5)].tolist())
            answer = int(rng.integers(len(options)))
            hint = f"It is {options[answer]}."
            found.append(
                make_example(
                    f"{part}{i}",
                    options=options,
                    answer=answer,
                    split=part,
                    hint=hint,
                    group=f"{part}{i // 2}",
                )
            )
        return tuple(found)

    test = questions("test", 20)
    protocol = Protocol(
        name="own",
        told="",
        evaluated_on="",
        train=questions("train", 60),
        val=questions("val", 10),
        test=test,
        headline=test,
    )
    return lay_ground(
        resolve(EnsembleSpec, "ensemble_vs_llm", preset="quick"),
        RunDir(path=tmp_path),
        protocol,
        fingerprint="f",
    )
