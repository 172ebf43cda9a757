"""Files and folders of questions, and what is refused in them."""

import json
from pathlib import Path

import pytest

from llava_core.errors import InputError
from llava_core.inference.questions import folder_questions, read_questions


def write(path: Path, *rows: object) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    return path


def test_reads_our_names_and_those_of_llava(tmp_path) -> None:
    (tmp_path / "a.png").touch()
    file = write(
        tmp_path / "q.jsonl",
        {"question": "What?", "image": "a.png"},
        {"question_id": 7, "text": "Where?", "category": "conv"},
        {"id": "x", "question": "Which?", "image": ["a.png", "https://example.org/b.png"]},
    )
    questions = read_questions(file)
    assert [(q.id, q.text, q.images) for q in questions] == [
        ("1", "What?", ("a.png",)),
        ("7", "Where?", ()),
        ("x", "Which?", ("a.png", "https://example.org/b.png")),
    ]
    assert questions[2].sources == (str(tmp_path / "a.png"), "https://example.org/b.png")


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"image": "a.png"}, "field question: got none"),
        ({"question": " "}, "field question: got an empty text"),
        ({"text": ["What?"]}, "field text: got a list"),
        ({"question": "What?", "image": 3}, "field image: got a number"),
        ({"question": "What?", "image": ["a.png", ""]}, "field image: got a list"),
        ({"question": "What?", "images": ["lost.png"]}, "field images: no such image file: "),
        ({"question": "What?", "id": 1.5}, "field id: got a number"),
        ({"question": "What?", "id": True}, "field id: got true"),
        ({"question": "What?", "id": "1"}, "field id: got '1' again (first at line 1)"),
    ],
)
def test_a_bad_record_is_told_with_line_and_field(tmp_path, row, told) -> None:
    (tmp_path / "a.png").touch()
    file = write(tmp_path / "q.jsonl", {"question": "Fine?"}, row)
    with pytest.raises(InputError) as caught:
        read_questions(file)
    assert str(caught.value).startswith(f"{file}, record line 2, {told}")


def test_a_folder_is_asked_in_order_with_its_sub_folders(tmp_path) -> None:
    for name in ("b.jpg", "a/c.PNG", "a.webp", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    questions = folder_questions(tmp_path, "What?")
    assert [q.id for q in questions] == ["a/c.PNG", "a.webp", "b.jpg"]
    assert questions[0].sources == (str(tmp_path / "a" / "c.PNG"),)
    with pytest.raises(InputError, match="holds no image"):
        folder_questions((tmp_path / "empty").mkdir() or tmp_path / "empty", "What?")
    with pytest.raises(InputError, match="no such folder"):
        folder_questions(tmp_path / "nowhere", "What?")
