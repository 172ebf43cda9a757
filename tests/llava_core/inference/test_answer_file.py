import json
from pathlib import Path

import pytest

from llava_core.errors import InputError
from llava_core.inference.answer_file import answer_row, answered, append_lines
from llava_core.inference.questions import Question


def test_an_answer_may_hold_any_sign_that_some_take_for_the_end_of_a_line(tmp_path: Path) -> None:
    question = Question(id="1", text="What does it say?\u2028And below?")
    row = {"id": "1", "question": question.text, "images": [], "text": "EXIT\u0085\u2029", "settings": "s"}
    path = tmp_path / "answers.jsonl"
    whole = json.dumps(row, ensure_ascii=False) + "\n"
    path.write_bytes((whole + whole[:20]).encode())
    assert answered(path, [question], "s") == {"1"}
    assert path.read_bytes() == whole.encode()


@pytest.mark.parametrize(
    "content",
    [
        '{"id": 7, "all my work": [1]}',
        '{"id": "7", "all my work": [1]}',
        '{"id": "7", "id": "8"}',
        '{"id": "7", "n": ' + "9" * 5000 + "}",
        '{"id": "7", "deep": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"id": 7, "torn": ',
        "7",
    ],
)
def test_a_file_of_others_without_a_last_line_end_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(content)
    with pytest.raises(InputError, match="no answer of ours; name another --out"):
        answered(path, [], "s")
    assert path.read_text() == content


def test_an_answer_that_lacks_its_line_end_alone_is_kept(tmp_path: Path) -> None:
    question = Question(id="1", text="What?")
    path = tmp_path / "answers.jsonl"
    append_lines(path, [json.dumps(answer_row(question, "Yes", "s"))])
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert answered(path, [question], "s") == {"1"}
    assert path.read_bytes() == whole
