import numpy as np
import pytest

from llava_core.data.conversation import question_turns
from llava_core.data.example import Example
from llava_core.data.prompts import PROMPTS, prompted_turns, reordered
from llava_core.errors import InputError
from llava_core.inference.parse import parse_letter

LETTERED = ("QCM-LEA", "CQM-A")


def make(**fields):
    base = {
        "id": "7",
        "question": "Which  one floats?",
        "options": ("a cork", "a nail", "a coin"),
        "answer": 0,
        "split": None,
        "group": "g",
        "hint": "They lie in   water.",
        "lecture": "Light things float.",
        "solution": "A cork is light.",
    }
    return Example(**(base | fields))


@pytest.mark.parametrize(
    ("name", "fields", "asked", "answered"),
    [
        (
            "option_texts",
            {},
            "Which  one floats?\nContext: They lie in   water.\nOptions: a cork; a nail; a coin",
            "a cork",
        ),
        ("option_texts", {"hint": None}, "Which  one floats?\nOptions: a cork; a nail; a coin", "a cork"),
        (
            "QCM-LEA",
            {},
            # Two spaces become one, three become two.
            "Which one floats?\nContext: They lie in  water.\nOptions: (A) a cork (B) a nail (C) a coin",
            "Light things float. A cork is light. The answer is A.",
        ),
        (
            "QCM-LEA",
            {"hint": None, "solution": None, "answer": 2},
            "Which one floats?\nContext: N/A\nOptions: (A) a cork (B) a nail (C) a coin",
            "Light things float. The answer is C.",
        ),
        (
            "QCM-LEA",
            {"hint": " ", "lecture": None, "solution": "One.\n\nTwo.", "answer": 1},
            "Which one floats?\nContext: N/A\nOptions: (A) a cork (B) a nail (C) a coin",
            "One.\n\nTwo. The answer is B.",
        ),
        (
            "QCM-LEA",
            {"lecture": None, "solution": None, "question": "Question: why?", "options": ("x", "y ")},
            "Question: why?\nContext: They lie in  water.\nOptions: (A) x (B) y",
            # The space at the beginning is in the published files.
            " The answer is A.",
        ),
        (
            "CQM-A",
            {},
            "Context: They lie in   water.\nWhich  one floats?\nA. a cork\nB. a nail\nC. a coin\n"
            "Answer with the option's letter from the given choices directly.",
            "A",
        ),
        (
            "CQM-A",
            {"hint": None, "answer": 2, "options": ("a cork", "a nail", "a coin ")},
            "Which  one floats?\nA. a cork\nB. a nail\nC. a coin\n"
            "Answer with the option's letter from the given choices directly.",
            "C",
        ),
    ],
)
def test_words_are_as_written_by_hand(name, fields, asked, answered):
    human, assistant = prompted_turns(make(**fields), PROMPTS[name], answered=True)
    assert (human.role, human.text, human.image) == ("human", asked, None)
    assert (assistant.role, assistant.text, assistant.image) == ("assistant", answered, None)
    assert prompted_turns(make(**fields), PROMPTS[name], answered=False) == [human]


@pytest.mark.parametrize("name", PROMPTS)
def test_an_image_is_shown_where_there_is_one(name):
    prompt = PROMPTS[name]
    assert prompt.name == name
    turn = prompted_turns(make(has_image=True), prompt, answered=False)[0]
    assert (turn.image, turn.n_images) == (prompt.image_position, 1)


def test_option_texts_is_how_questions_were_asked_before():
    example, order = make(has_image=True), [2, 0, 1]
    assert prompted_turns(
        example, PROMPTS["option_texts"], answered=True, option_order=order
    ) == question_turns(example, answer="a cork", option_order=order)


def test_scored_words():
    example = make(options=("x", "y"))
    assert PROMPTS["option_texts"].scored(example) == ("x", "y")
    assert PROMPTS["QCM-LEA"].scored(example) == ("The answer is A.", "The answer is B.")
    assert PROMPTS["CQM-A"].scored(example) == ("A", "B")


@pytest.mark.parametrize("name", LETTERED)
def test_letters_are_parsed_back_to_the_option_in_any_order(name):
    rng = np.random.default_rng(0)
    example = make(options=("a", "b", "c", "d", "e"), answer=3)
    for _ in range(20):
        order = rng.permutation(5).tolist()
        human, assistant = prompted_turns(example, PROMPTS[name], answered=True, option_order=order)
        place = parse_letter(assistant.text, 5)
        assert order[place] == 3
        letter = "ABCDE"[place]
        assert f"({letter}) d" in human.text or f"\n{letter}. d\n" in human.text
        scored = PROMPTS[name].scored(reordered(example, order))
        assert [parse_letter(words, 5) for words in scored] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("name", PROMPTS)
def test_an_unlabelled_example_can_be_asked_but_not_answered(name):
    example = make(answer=None)
    assert len(prompted_turns(example, PROMPTS[name], answered=False, option_order=[1, 0, 2])) == 1
    with pytest.raises(ValueError, match="without an answer"):
        prompted_turns(example, PROMPTS[name], answered=True)


@pytest.mark.parametrize("name", LETTERED)
def test_more_options_than_letters_are_refused(name):
    example = make(options=tuple(map(str, range(27))))
    with pytest.raises(InputError, match="record 7, field options: got 27 options, allowed are 26"):
        prompted_turns(example, PROMPTS[name], answered=False)


@pytest.mark.parametrize("order", [[0, 1], [0, 1, 1], [1, 2, 3]])
def test_an_order_that_is_none_is_refused(order):
    with pytest.raises(ValueError, match="option_order"):
        reordered(make(), order)
