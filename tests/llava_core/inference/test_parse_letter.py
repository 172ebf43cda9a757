import pytest

from llava_core.inference.parse import LETTERS, UNPARSED, parse_announced, parse_letter


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


@pytest.mark.parametrize(
    ("text", "strict", "announced"),
    [
        ("B", 1, -1),
        ("B. some words", 1, -1),
        ("So. The answer is B.", 1, 1),
        ("The answer is B!", 1, 1),  # the dot of the published expression stands for any sign
        ("The answer is B", -1, -1),
        ("The answer is B.. The answer is B.", -1, -1),
        ("A. or so. The answer is B.", 0, 1),
        ("The answer is E.", -1, -1),
        ("The answer is Z.", -1, -1),
        (" B", -1, -1),
        ("F", -1, -1),
        ("B.no space", -1, -1),
    ],
)
def test_the_rules_in_their_order_and_the_last_one_alone(text: str, strict: int, announced: int) -> None:
    assert (parse_letter(text, 4), parse_announced(text, 4)) == (strict, announced)
