import numpy as np
import pytest

from llava_core.data.families import STEM_CHARS, assign_families, question_stem


def slow_families(stems: list[str], images: list[str | None]) -> list[int]:
    """Merge by hand until nothing changes: the smallest index of each component."""
    label = list(range(len(stems)))
    changed = True
    while changed:
        changed = False
        for i in range(len(stems)):
            for j in range(len(stems)):
                linked = stems[i] == stems[j] or (images[i] is not None and images[i] == images[j])
                if linked and label[i] != label[j]:
                    label[i] = label[j] = min(label[i], label[j])
                    changed = True
    return label


@pytest.mark.parametrize("seed", range(5))
def test_families_are_the_connected_components(seed: int) -> None:
    rng = np.random.default_rng(seed)
    texts = [f"question {rng.integers(12)}" for _ in range(25)]
    images = [None if rng.random() < 0.5 else f"hash {rng.integers(8)}" for _ in texts]
    ids = [f"id{i}" for i in range(len(texts))]
    expected = [ids[first] for first in slow_families(texts, images)]
    assert assign_families(ids, texts, images) == expected


def test_chain_of_text_and_image_is_one_family() -> None:
    assert assign_families(["a", "b", "c", "d"], ["x", "x", "y", "z"], [None, "h", "h", None]) == [
        *["a"] * 3,
        "d",
    ]


def test_case_punctuation_spacing_and_tail_do_not_matter() -> None:
    long = "w" * STEM_CHARS
    assert question_stem("  What's  THIS?") == question_stem("what s this")
    assert question_stem(long + " one") == question_stem(long + " two")
    assert question_stem("Pick 3") != question_stem("Pick 4")


def test_no_questions_no_families() -> None:
    assert assign_families([], [], []) == []
