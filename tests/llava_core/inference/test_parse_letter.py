import pytest

from llava_core.inference.parse import LETTERS, UNPARSED, parse_letter


@pytest.mark.parametrize("index", range(5))
def test_the_three_ways_to_say_a_letter(index: int) -> None:
    letter = LETTERS[index]
    texts = (letter, f"{letter}. some words", f"A reason. The answer is {letter}.\nBECAUSE: it is.")
    assert [parse_letter(text, 5) for text in texts] == [index] * 3


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "B is the run-on sentence.",
        "B.",
        "Cove",
        "The answer is G.",
        "The answer is A. No: The answer is B.",
        "the answer is A.",
        "1",
    ],
)
def test_nothing_else_is_guessed_at(text: str) -> None:
    assert parse_letter(text, 5) == UNPARSED


def test_a_letter_beyond_the_options_is_no_answer() -> None:
    assert [parse_letter("C", n) for n in (2, 3)] == [UNPARSED, 2]
