import numpy as np
import pytest

from llava_core.data.conversation import question_turns
from llava_core.data.example import Example
from llava_core.data.grammar import INPUTS, OUTPUTS
from llava_core.data.prompts import PROMPTS, find_prompt, prompted_turns, reordered
from llava_core.errors import InputError
from llava_core.inference.parse import parse_letter

LETTERED = tuple(name for name in PROMPTS if name != "option_texts")


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
        said = assistant.text
        if PROMPTS[name].two_pass:
            said = said.replace("ANSWER: ", "The answer is ")
        place = parse_letter(said.removesuffix("\n"), 5)
        assert order[place] == 3
        letter = "ABCDE"[place]
        assert f"({letter}) d" in human.text or f"\n{letter}. d\n" in human.text
        scored = PROMPTS[name].scored(reordered(example, order))
        glued = "The answer is" if PROMPTS[name].two_pass else ""
        assert [parse_letter(glued + words, 5) for words in scored] == [0, 1, 2, 3, 4]


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


HUMAN = {
    "QCM": "Which floats?\nContext: In water.\nOptions: (A) cork (B) iron",
    "CQM": "Context: In water.\nQuestion: Which floats?\nOptions: (A) cork (B) iron",
    "QCML": "Which floats?\nContext: In water.\nOptions: (A) cork (B) iron\nBECAUSE: Look.",
    "QCME": "Which floats?\nContext: In water.\nOptions: (A) cork (B) iron\nBECAUSE: See.",
    "QCMLE": "Which floats?\nContext: In water.\nOptions: (A) cork (B) iron\nBECAUSE: Look. See.",
    "QCLM": "Which floats?\nContext: In water.\nBECAUSE: Look.\nOptions: (A) cork (B) iron",
    "QCEM": "Which floats?\nContext: In water.\nBECAUSE: See.\nOptions: (A) cork (B) iron",
    "QCLEM": "Which floats?\nContext: In water.\nBECAUSE: Look. See.\nOptions: (A) cork (B) iron",
}
ASSISTANT = {
    "A": "The answer is B.",
    "AL": "The answer is B. BECAUSE: See.",  # the published names of these two are swapped
    "AE": "The answer is B. BECAUSE: Look.",
    "ALE": "The answer is B. BECAUSE: Look. See.",
    "AEL": "The answer is B. BECAUSE: See. Look.",
    "LA": "Look. The answer is B.",
    "EA": "See. The answer is B.",
    "LEA": "Look. See. The answer is B.",
    "ELA": "See. Look. The answer is B.",
    "LEPA": "LECTURE: Look.\nSOLUTION: See.\n###\nANSWER: B.",
}


def test_the_whole_grammar_is_as_written_by_hand():
    example = make(
        question="Which floats?", hint="In water.", options=("cork", "iron"), answer=1, lecture="Look.",
        solution="See.",
    )  # fmt: skip
    assert (set(HUMAN), set(ASSISTANT)) == (set(INPUTS), set(OUTPUTS))
    names = {f"{inputs}-{outputs}": (inputs, outputs) for inputs in HUMAN for outputs in ASSISTANT}
    names["CQM-A-v1"] = names.pop("CQM-A")  # v1.5 has another layout of this name
    assert set(PROMPTS) == {*names, "CQM-A", "option_texts"}
    for name, (inputs, outputs) in names.items():
        human, assistant = prompted_turns(example, PROMPTS[name], answered=True)
        assert (human.text, assistant.text) == (HUMAN[inputs], ASSISTANT[outputs]), name


@pytest.mark.parametrize(
    ("name", "human", "assistant"),
    [
        ("QCML-AL", "?\nContext: N/A\nOptions: (A) x (B) y", "The answer is A."),
        ("QCMLE-ALE", "?\nContext: N/A\nOptions: (A) x (B) y", "The answer is A."),
        ("QCLM-LA", "?\nContext: N/A\nBECAUSE: \nOptions: (A) x (B) y", "The answer is A."),
        ("CQM-LEPA", "Context: N/A\nQuestion: ?\nOptions: (A) x (B) y", "###\nANSWER: A."),
    ],
)
def test_reasons_that_are_missing(name, human, assistant):
    bare = make(question="?", hint=None, options=("x", "y"), lecture=None, solution=None)
    asked, answered = prompted_turns(bare, PROMPTS[name], answered=True)
    assert (asked.text, answered.text) == (human, assistant)


def test_only_headed_reasons_are_asked_in_two_passes():
    assert {name for name, prompt in PROMPTS.items() if prompt.two_pass} == {f"{i}-LEPA" for i in INPUTS}
    scored = PROMPTS["QCM-LEPA"].scored(make(options=("x", "y")))
    cue = PROMPTS["QCM-LEPA"].two_pass.cue
    told = PROMPTS["QCM-LEPA"].answer(make(options=("x", "y"), answer=1))
    assert told.endswith(cue.strip() + scored[1]), "what is scored is what training has shown"


def test_an_unknown_prompt_is_told_with_the_known_ones():
    assert find_prompt("QCM-LEPA") is PROMPTS["QCM-LEPA"]
    with pytest.raises(
        InputError, match=r"field prompt: got 'QCM-X', allowed are option_texts, CQM-A .*LEPA"
    ):
        find_prompt("QCM-X")
