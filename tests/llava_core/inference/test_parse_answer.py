import pytest

from llava_core.inference.parse import parse_answer


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("attract", 0),
        (" Attract. ", 0),
        ("they repel each other", 1),
        ("attract or repel", -1),
        ("", -1),
        ("repellent", -1),
    ],
)
def test_by_words(text: str, expected: int) -> None:
    assert parse_answer(text, ("attract", "repel")) == expected


def test_the_whole_text_wins_over_a_part_of_it() -> None:
    options = ("the red pair", "the red", "both")
    assert parse_answer("the red pair", options) == 0
    assert parse_answer("it is the red pair", options) == -1


def test_options_that_say_the_same_cannot_be_told_apart() -> None:
    assert parse_answer("yes", ("Yes", "yes!")) == -1
