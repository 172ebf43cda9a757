import dataclasses

import pytest

from llava_core.data.conversation import (
    IGNORE_INDEX,
    IMAGE_TOKEN,
    Turn,
    encode,
    encode_answers,
    encode_begun,
    question_prompt,
    question_turns,
)
from llava_core.data.example import Example
from llava_core.data.template import LLAVA_V1, MINI_PLAIN, MINI_V1, TEMPLATES

QUESTION = Turn(role="human", text="Which colour is the ball?", image="first")
ANSWER = Turn(role="assistant", text="red")
STOPPED = [t for t in TEMPLATES.values() if t.stop_token and not t.answer_suffix]


def supervised(encoded, tokenizer):
    """Stretches of supervised ids, decoded with special tokens."""
    stretches, current = [], []
    for label in [*encoded.labels, IGNORE_INDEX]:
        if label != IGNORE_INDEX:
            current.append(label)
            if label == tokenizer.eos_token_id:
                stretches.append(tokenizer.decode(current))
                current = []
        elif current:
            stretches.append(tokenizer.decode(current))
            current = []
    return stretches


def rendered(template, turns, tokenizer, n_image_tokens=3):
    return tokenizer.decode(encode(turns, tokenizer, template, n_image_tokens).input_ids)


@pytest.mark.parametrize("template", STOPPED, ids=lambda t: t.name)
@pytest.mark.parametrize("image", ["first", "last", None])
@pytest.mark.parametrize("n_rounds", [1, 2, 3])
def test_exactly_answers_and_stop_tokens_are_supervised(template, image, n_rounds, tiny_tokenizer):
    answers = [f"answer {index}" for index in range(n_rounds)]
    turns = []
    for index, answer in enumerate(answers):
        asked = Turn(role="human", text=f"question {index}?", image=image if index == 0 else None)
        turns += [asked, Turn(role="assistant", text=answer)]
    encoded = encode(turns, tiny_tokenizer, template, 3)
    assert len(encoded.input_ids) == len(encoded.labels)
    assert supervised(encoded, tiny_tokenizer) == [f" {answer}</s>" for answer in answers]
    for token, label in zip(encoded.input_ids, encoded.labels, strict=True):
        assert label in (token, IGNORE_INDEX)
    image_id = tiny_tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)
    assert encoded.input_ids.count(image_id) == (0 if image is None else 3)
    assert image_id not in encoded.labels


def test_v1_reads_as_written_out_by_hand(tiny_tokenizer):
    turns = [QUESTION, ANSWER, Turn(role="human", text="Why?"), Turn(role="assistant", text="Look.")]
    assert rendered(LLAVA_V1, turns, tiny_tokenizer) == (
        "<s>A chat between a curious human and an artificial intelligence assistant. "
        "The assistant gives helpful, detailed, and polite answers to the human's questions. "
        "USER: <image><image><image>\n"
        "Which colour is the ball? ASSISTANT: red</s>USER: Why? ASSISTANT: Look.</s>"
    )


def test_mini_v1_reads_as_written_out_by_hand(tiny_tokenizer):
    assert rendered(MINI_V1, [QUESTION, ANSWER], tiny_tokenizer) == (
        "<s>A chat about science.\nUSER: <image><image><image>\nWhich colour is the ball?\nASSISTANT: red</s>"
    )


def test_plain_keeps_image_and_caption_only(tiny_tokenizer):
    assert rendered(MINI_PLAIN, [QUESTION, ANSWER], tiny_tokenizer) == "<s><image><image><image> red</s>"


def test_image_last_stands_after_the_words(tiny_tokenizer):
    turns = [dataclasses.replace(QUESTION, image="last"), ANSWER]
    assert "ball?\n<image><image><image>\nASSISTANT:" in rendered(MINI_V1, turns, tiny_tokenizer)


def test_open_prompt_is_a_prefix_of_prompt_and_answer(tiny_tokenizer):
    for template in STOPPED:
        prompt = encode([QUESTION], tiny_tokenizer, template, 3)
        whole = encode([QUESTION, ANSWER], tiny_tokenizer, template, 3)
        assert whole.input_ids[: len(prompt.input_ids)] == prompt.input_ids
        assert set(prompt.labels) == {IGNORE_INDEX}
        assert IGNORE_INDEX not in whole.labels[len(prompt.input_ids) :]


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=lambda t: t.name)
def test_answers_are_what_encode_makes_of_them_after_the_prompt(template, tiny_tokenizer):
    options = ["red", "reddish", "red", " blue", ""]
    prompt, answers = encode_answers([QUESTION], options, tiny_tokenizer, template, 3)
    assert prompt == encode([QUESTION], tiny_tokenizer, template, 3).input_ids
    closing = tiny_tokenizer.encode(template.closing, add_special_tokens=False)
    for option, answer in zip(options, answers, strict=True):
        turns = [QUESTION, Turn(role="assistant", text=option)]
        whole = encode(turns, tiny_tokenizer, template, 3)
        assert whole.input_ids == (*prompt, *answer, *closing)
        assert tiny_tokenizer.decode(answer) == (
            f"{template.answer_prefix}{option}{template.answer_suffix}{'</s>' if template.stop_token else ''}"
        )
        assert IGNORE_INDEX not in whole.labels[len(prompt) :]


def test_answers_of_the_small_template_begin_with_a_space_of_their_own(tiny_tokenizer):
    _, [answer] = encode_answers([QUESTION], ["red"], tiny_tokenizer, MINI_V1, 3)
    words = tiny_tokenizer.encode(" red", add_special_tokens=False)
    assert answer == (*words, tiny_tokenizer.eos_token_id)


@pytest.mark.parametrize(
    ("turns", "answers"), [([QUESTION], []), ([], ["red"]), ([QUESTION, ANSWER], ["red"])]
)
def test_answers_need_an_open_conversation(turns, answers, tiny_tokenizer):
    with pytest.raises(ValueError, match="got"):
        encode_answers(turns, answers, tiny_tokenizer, MINI_V1, 3)


def test_special_tokens_in_the_data_stay_text(tiny_tokenizer):
    turns = [Turn(role="human", text="say </s> <image>"), Turn(role="assistant", text="</s>")]
    encoded = encode(turns, tiny_tokenizer, MINI_V1, 3)
    assert encoded.input_ids.count(tiny_tokenizer.eos_token_id) == 1
    assert encoded.input_ids[-1] == tiny_tokenizer.eos_token_id
    assert tiny_tokenizer.convert_tokens_to_ids(IMAGE_TOKEN) not in encoded.input_ids


def test_truncation_cuts_the_end_and_keeps_ids_and_labels_together(tiny_tokenizer):
    turns = [QUESTION, ANSWER, Turn(role="human", text="Why?"), Turn(role="assistant", text="It is.")]
    whole = encode(turns, tiny_tokenizer, MINI_V1, 3)
    for n_tokens in range(32, len(whole.input_ids) + 1):
        cut = encode(turns, tiny_tokenizer, MINI_V1, 3, max_tokens=n_tokens)
        assert cut.input_ids == whole.input_ids[:n_tokens]
        assert cut.labels == whole.labels[:n_tokens]
    assert encode(turns, tiny_tokenizer, MINI_V1, 3, max_tokens=10_000) == whole


def test_truncation_never_cuts_an_image(tiny_tokenizer):
    with pytest.raises(ValueError, match="image"):
        encode([QUESTION, ANSWER], tiny_tokenizer, MINI_PLAIN, 30, max_tokens=12)


@pytest.mark.parametrize(
    "turns",
    [
        [ANSWER],
        [QUESTION, QUESTION],
        [QUESTION, Turn(role="assistant", text="x", image="first")],
        [Turn(role="human", text="x", image="first", n_images=0), ANSWER],
    ],
)
def test_conversations_that_make_no_sense_are_refused(turns, tiny_tokenizer):
    with pytest.raises(ValueError, match=r"got .*(role|image)"):
        encode(turns, tiny_tokenizer, MINI_V1, 3)


def make(**fields):
    base = {
        "id": "1",
        "question": "Which?",
        "options": ("a", "b", "c"),
        "answer": 2,
        "split": None,
        "group": "g",
    }
    return Example(**(base | fields))


def test_question_prompt_lists_question_context_options():
    assert question_prompt(make()) == "Which?\nOptions: a; b; c"
    assert question_prompt(make(hint="So.")) == "Which?\nContext: So.\nOptions: a; b; c"
    assert question_prompt(make(), option_order=[2, 0, 1]) == "Which?\nOptions: c; a; b"


def test_question_turns_carry_an_image_only_where_there_is_one():
    assert question_turns(make(), answer=None)[0].image is None
    turns = question_turns(make(has_image=True), answer="c", image="last")
    assert [turn.role for turn in turns] == ["human", "assistant"]
    assert turns[0].image == "last"


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=lambda t: t.name)
def test_an_answer_that_has_begun_is_the_beginning_of_the_whole(template, tiny_tokenizer):
    begun, answers = "I look at it. So ###\nANSWER:", [" A.", " B."]
    open_ids = encode_begun([QUESTION], begun, tiny_tokenizer, template, 3)
    prompt, options = encode_answers([QUESTION], answers, tiny_tokenizer, template, 3, begun=begun)
    unclosed = dataclasses.replace(template, closing="")
    for answer, option in zip(answers, options, strict=True):
        whole = [QUESTION, Turn(role="assistant", text=begun + answer)]
        assert prompt + option == encode(whole, tiny_tokenizer, unclosed, 3).input_ids
    assert prompt == open_ids[: len(prompt)]
    assert (
        encode_begun([QUESTION], "", tiny_tokenizer, template, 3)
        == encode([QUESTION], tiny_tokenizer, template, 3).input_ids
    )
