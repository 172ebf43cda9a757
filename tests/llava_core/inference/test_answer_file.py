import json
from pathlib import Path

from llava_core.inference.answer_file import answered
from llava_core.inference.questions import Question


def test_an_answer_may_hold_any_sign_that_some_take_for_the_end_of_a_line(tmp_path: Path) -> None:
    question = Question(id="1", text="What does it say?\u2028And below?")
    row = {"id": "1", "question": question.text, "images": [], "text": "EXIT\u0085\u2029", "settings": "s"}
    path = tmp_path / "answers.jsonl"
    whole = json.dumps(row, ensure_ascii=False) + "\n"
    path.write_bytes((whole + whole[:20]).encode())
    assert answered(path, [question], "s") == {"1"}
    assert path.read_bytes() == whole.encode()
