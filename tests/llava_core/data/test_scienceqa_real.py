"""Real ScienceQA, the partial copy: what its README counts."""

from collections.abc import Callable
from pathlib import Path

import pytest

from llava_core.data.example import Dataset, Example
from llava_core.data.families import question_stem
from llava_core.data.image_files import check_images
from llava_core.data.load import load_dataset

pytestmark = pytest.mark.scienceqa


@pytest.fixture(scope="module")
def data(scienceqa_dir: Path) -> Dataset:
    return load_dataset(scienceqa_dir)


@pytest.mark.parametrize(
    ("split", "n", "n_with_image", "n_files", "n_metadata", "n_hints"),
    [
        ("train", 6738, 6218, 0, 1041, 328),
        ("val", 2277, 2097, 0, 371, 135),
        ("test", 3175, 1518, 1518, 279, 960),
    ],
)
def test_counts_of_the_copy(
    data: Dataset, split: str, n: int, n_with_image: int, n_files: int, n_metadata: int, n_hints: int
) -> None:
    examples = data.split(split)
    assert len(examples) == n
    assert sum(e.has_image for e in examples) == n_with_image
    assert sum(e.image is not None for e in examples) == n_files
    assert sum(e.subject is not None and e.grade is not None for e in examples) == n_metadata
    assert sum(e.has_image and e.hint is not None for e in examples) == n_hints
    gaps = {gap.what: gap for gap in data.gaps if gap.split == split}
    assert (gaps["subject"].missing, gaps["subject"].of) == (n - n_metadata, n)
    assert gaps["hint of image questions"].missing == n_with_image - n_hints
    assert ("empty means unknown" in gaps["hint of image questions"].note) == (split != "test")


def test_every_image_question_has_a_caption_and_every_file_is_whole(data: Dataset) -> None:
    assert all(e.caption for e in data.examples if e.has_image)
    assert check_images(data) == 1518


def test_most_image_questions_of_the_test_split_share_stem_or_family_with_train_or_val(data: Dataset) -> None:
    def share(key: Callable[[Example], str]) -> float:
        elsewhere = {key(e) for split in ("train", "val") for e in data.split(split)}
        held_out = [key(e) in elsewhere for e in data.split("test") if e.has_image]
        return sum(held_out) / len(held_out)

    assert share(lambda e: question_stem(e.question)) == pytest.approx(0.81, abs=0.005)
    assert share(lambda e: e.group) == pytest.approx(0.835, abs=0.001), "images link a few more"
