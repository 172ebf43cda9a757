from collections.abc import Callable

import pytest

from llava_core.data.example import Dataset, Example

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
