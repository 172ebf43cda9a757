import pytest

from llava_core.evaluation.freeform import REASONS, parse_index, read_response

FORCES = ("push", "pull", "neither")


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("0", 0),
        (" 1 \n", 1),
        ("2.", 2),
        ("[1]", 1),
        ("Option 2", 2),
        ("one", 1),
        ("Option one", 1),
        ("the first option", 0),
        ("B", 1),
        ("PULL.", 1),
        ("1. pull", 1),
        ("**Answer:** 2", 2),
        ("[答案]: [1]", 1),
        ("根据图片内容和问题\uff0c选项编号为1\uff1apull", 1),
        ("It moves away.\n\n**0**", 0),
        ("It moves towards us, see option 0.\nAnswer: pull", 1),
        ("1. One thing.\n2. Another.\n\nThe answer is 1.", 1),
    ],
)
def test_what_names_one_option(text: str, index: int) -> None:
    assert parse_index(text, FORCES) == index


@pytest.mark.parametrize(
    "text",
    [
        "",
        "3",
        "9",
        "0、1、2",
        "0, 1",
        "1. push",
        "push | pull | neither",
        "It is a force.",
        "1. push\n2. pull",
    ],
)
def test_what_names_none_or_several(text: str) -> None:
    assert parse_index(text, FORCES) == -1


def test_ratios_are_option_texts_not_indices() -> None:
    ratios = ("0:4", "4:0", "2:2")
    assert parse_index("2:2", ratios) == 2
    assert parse_index("**Answer:** 4:0", ratios) == 1
    assert parse_index("Answer: 1:3", ratios) == -1


def test_options_that_are_digits_give_way_to_the_index_that_was_asked_for() -> None:
    assert parse_index("1", ("3", "1")) == 1
    assert parse_index("0", ("1", "0")) == 0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (" \n", "empty"),
        ("3", "an index beyond the options"),
        ("Answer: 7", "an index beyond the options"),
        ("1. push", "an index with the text of another option"),
        ("Option 1 it is, or rather option 2, I think.", "several indices announced"),
        ("0, 1", "several options named, none chosen"),
        ("push | pull", "several options named, none chosen"),
        ("I feel a pull in it.", "one option in running prose"),
        ("That cannot be told.", "no option named"),
    ],
)
def test_why_a_response_is_unparsed(text: str, reason: str) -> None:
    assert read_response(text, FORCES) == (-1, reason)
    assert reason in REASONS


def test_a_parsed_response_has_no_reason() -> None:
    assert read_response("2", FORCES) == (2, "")
