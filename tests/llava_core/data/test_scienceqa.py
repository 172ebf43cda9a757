import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from llava_core.data.image_files import check_images
from llava_core.data.load import load_dataset
from llava_core.data.scienceqa import OCR_MIN_CONFIDENCE, load_scienceqa
from llava_core.errors import InputError


def record(**fields: Any) -> dict[str, Any]:
    return {
        "question": "Which is red?",
        "choices": ["sky", "blood"],
        "answer": 1,
        "hint": "",
        "image": None,
        "task": "closed choice",
        "grade": "grade2",
        "subject": "natural science",
        "topic": "biology",
        "category": "Animals",
        "skill": "Tell colours",
        "lecture": "",
        "solution": "",
        "split": "train",
    } | fields


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a folder in the official layout; side files by their stem."""

    def writer(problems: Any, **side: Any) -> Path:
        (tmp_path / "problems.json").write_text(
            problems if isinstance(problems, str) else json.dumps(problems), encoding="utf-8"
        )
        for stem, content in side.items():
            (tmp_path / f"{stem}.json").write_text(json.dumps(content), encoding="utf-8")
        return tmp_path

    return writer


def draw(root: Path, split: str, pid: str, colour: str = "red") -> Path:
    path = root / "images" / split / pid / "image.png"
    path.parent.mkdir(parents=True)
    Image.new("RGB", (8, 8), colour).save(path)
    return path


def test_record_becomes_example_and_empty_text_means_unknown(write: Callable[..., Path]) -> None:
    root = write(
        {"7": record(hint="", lecture="Blood is red.", image="image.png")},
        captions={"captions": {"7": "a drop"}},
        ocrs={"texts": {"7": f"[([[0, 0]], 'RED', 0.9), ([[1, 1]], 'x', {OCR_MIN_CONFIDENCE / 2})]"}},
    )
    path = draw(root, "train", "7")
    (example,) = load_scienceqa(root).examples
    assert (example.id, example.options, example.answer, example.split) == ("7", ("sky", "blood"), 1, "train")
    assert (example.hint, example.lecture, example.solution) == (None, "Blood is red.", None)
    assert (example.caption, example.ocr) == ("a drop", "RED")
    assert (example.image, example.has_image) == (path, True)


def test_missing_images_and_metadata_are_counted_per_split(write: Callable[..., Path]) -> None:
    root = write(
        {
            "1": record(image="image.png", subject=""),
            "2": record(image="image.png", hint="It is warm."),
            "3": record(split="test", subject="", grade=""),
        }
    )
    draw(root, "train", "2")
    data = load_scienceqa(root)
    gaps = {(gap.what, gap.split): (gap.missing, gap.of) for gap in data.gaps}
    assert gaps["image file", "train"] == (1, 2)
    assert gaps["subject", "train"] == (1, 2)
    assert gaps["subject", "test"] == gaps["grade", "test"] == (1, 1)
    assert gaps["hint of image questions", "train"] == (1, 2)
    assert ("grade", "train") not in gaps
    assert data.examples[0].image is None
    assert data.examples[0].has_image


def test_empty_hint_is_unknown_only_where_another_split_has_far_more(write: Callable[..., Path]) -> None:
    problems = {f"a{i}": record(image="i.png", hint="h" if i == 0 else "") for i in range(10)}
    problems |= {f"b{i}": record(image="i.png", hint="h" if i < 6 else "", split="test") for i in range(10)}
    notes = {gap.split: gap.note for gap in load_scienceqa(write(problems)).gaps if "hint" in gap.what}
    assert notes["train"] == "10% carry a hint here, 60% in another split: empty means unknown, not absent"
    assert notes["test"] == "empty means that there is none"


def test_own_family_and_slice_win_over_computed_ones(write: Callable[..., Path]) -> None:
    data = load_scienceqa(write({"1": record(family="s4", slice="main"), "2": record(family="s5")}))
    assert [(example.group, example.slice) for example in data.examples] == [("s4", "main"), ("s5", None)]


def test_split_comes_from_the_record_else_from_the_list(write: Callable[..., Path]) -> None:
    bare = {key: value for key, value in record().items() if key != "split"}
    root = write(
        {"1": record(), "2": bare, "3": bare}, pid_splits={"train": ["1"], "test": ["2"], "trainval": ["1"]}
    )
    data = load_scienceqa(root)
    assert [example.split for example in data.examples] == ["train", "test", None]
    assert data.splits == ("train", "test")


def test_unlabelled_questions_are_read(write: Callable[..., Path]) -> None:
    assert load_scienceqa(write({"1": record(answer=None)})).examples[0].answer is None


def test_fingerprint_follows_content_not_the_folder(
    write: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = write({"1": record(image="image.png")})
    image = draw(root, "train", "1")
    first = load_scienceqa(root).fingerprint
    moved = tmp_path_factory.mktemp("moved") / "data"
    root.rename(moved)
    assert load_scienceqa(moved).fingerprint == first
    Image.new("RGB", (8, 8), "blue").save(moved / image.relative_to(root))
    second = load_scienceqa(moved).fingerprint
    assert second != first
    (moved / "problems.json").write_text(json.dumps({"1": record(image="image.png", answer=0)}))
    assert load_scienceqa(moved).fingerprint not in (first, second)


@pytest.mark.parametrize(
    ("problems", "told"),
    [
        ("{", "problems.json: broken JSON at line 1, column 2"),
        ("[]", "problems.json: got a list, allowed is an object"),
        ({"5": []}, "problems.json, record 5: got a list, allowed is an object"),
        ({"5": record(question=None)}, "record 5, field question: got None, allowed is text"),
        ({"5": {"question": "Why?"}}, "record 5, field choices: got None, allowed is a list of two or more"),
        ({"5": record(choices=["one"])}, "record 5, field choices: got ['one'], allowed is a list of two"),
        ({"5": record(choices=["a", 2])}, "record 5, field choices: got 2 among the choices"),
        ({"5": record(answer=2)}, "record 5, field answer: got 2, allowed is 0 to 1"),
        ({"5": record(answer=-1)}, "record 5, field answer: got -1, allowed is 0 to 1"),
        ({"5": record(answer="B")}, "record 5, field answer: got 'B', allowed is an integer, 0 to 1"),
        ({"5": record(answer=True)}, "record 5, field answer: got True, allowed is an integer"),
        (
            {"5": record(image="../../x.png")},
            "field image: got '../../x.png', allowed is null or a file name",
        ),
        ({"4": record(family="x"), "5": record()}, "record 5, field family: is missing here and in 0 more"),
        ({"5": record(hint=3)}, "record 5, field hint: got 3, allowed is text"),
    ],
)
def test_faulty_records_are_named(write: Callable[..., Path], problems: Any, told: str) -> None:
    with pytest.raises(InputError, match=re.escape(told)):
        load_scienceqa(write(problems))


@pytest.mark.parametrize(
    ("stem", "content", "told"),
    [
        ("pid_splits", {"test": ["9"]}, "field test: got id '9', which problems.json does not have"),
        ("pid_splits", {"test": "5"}, "field test: got a text, allowed is a list of ids"),
        ("pid_splits", {"test": [["5"]]}, "field test: got id ['5'], which problems.json does not have"),
        ("pid_splits", {"test": ["5"]}, "field test: got id '5', whose own field split is 'train'"),
        ("captions", {"texts": {}}, "captions.json, field captions: got null, allowed is an object"),
        ("captions", {"captions": {"5": 1}}, "captions.json, record 5, field captions: got 1"),
        ("ocrs", {"texts": {"5": "import os"}}, "ocrs.json, record 5, field texts: got text that is no list"),
        ("ocrs", {"texts": {"5": "[(1, 2)]"}}, "ocrs.json, record 5, field texts: got text that is no list"),
    ],
)
def test_faulty_side_files_are_named(write: Callable[..., Path], stem: str, content: Any, told: str) -> None:
    root = write({"5": record(), "6": record(split="test")}, **{stem: content})
    with pytest.raises(InputError, match=re.escape(told)):
        load_scienceqa(root)


def test_missing_file_and_wrong_encoding_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"problems\.json: no such file"):
        load_dataset(tmp_path)
    (tmp_path / "problems.json").write_bytes(b'{"1": "\xff"}')
    with pytest.raises(InputError, match=r"problems\.json: not UTF-8 text"):
        load_dataset(tmp_path)


@pytest.mark.parametrize("content", [b"not an image", b"\x89PNG\r\n\x1a\n truncated", b""])
def test_unreadable_image_is_named(write: Callable[..., Path], content: bytes) -> None:
    root = write({"1": record(image="image.png"), "5": record(image="image.png")})
    draw(root, "train", "1")
    draw(root, "train", "5").write_bytes(content)
    with pytest.raises(
        InputError, match=r"5/image\.png, record 5, field image: got a file that cannot be read as an image"
    ):
        load_dataset(root)


def test_whole_images_pass_and_progress_is_told(write: Callable[..., Path]) -> None:
    root = write({"1": record(image="image.png"), "2": record()})
    draw(root, "train", "1")
    seen: list[tuple[int, int]] = []
    assert check_images(load_scienceqa(root), progress=lambda done, total: seen.append((done, total))) == 1
    assert seen == [(1, 1)]


def test_image_cut_short_is_refused(write: Callable[..., Path]) -> None:
    root = write({"1": record(image="image.png")})
    path = draw(root, "train", "1")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match="cannot be read as an image"):
        check_images(load_scienceqa(root))


def test_the_file_in_place_of_its_folder_is_refused(tmp_path):
    (tmp_path / "problems.json").write_text("{}")
    with pytest.raises(
        InputError, match=r"problems.json: got one file of ScienceQA's layout, allowed is its"
    ):
        load_dataset(tmp_path / "problems.json")
