r"""Token ids and supervised positions of the published templates, written out by hand.

In the fixtures a line of tokens stands over a line of marks: ``#`` is supervised, ``.`` is not. ``_`` stands
for the sign of a space, ``\n`` for a newline, whichever way a tokenizer writes them. The names in capitals at
the start of a fixture are the system messages of `SYSTEM`. An image is two patches. ``(_)`` is the space that
SentencePiece puts before a chunk that has one already: the LLaMA class of transformers 5 then puts none.

Where the published procedure leaves something open, or is departed from:

- After a stop token, SentencePiece text begins with a space of its own (``</s> _USER``), which is how the
  published code counts with the tokenizers of its time; later ones leave that space out inside a string,
  which is where "tokenization mismatch" comes from.
- The published v0 procedure supervises "the first two tokens of a human turn", which with LLaMA's tokenizer
  are the marker (``## #``). Here it is the marker, however many tokens it has: one in the byte-level one.
- ``</s>`` and ``<image>`` in the words of a conversation stay words. The published code turns them into the
  stop token and an image.
- ``ASSISTANT:`` in the words changes nothing. The published code throws the whole conversation away.
- An empty answer is a space and the stop token. The published v1 code leaves out the stop token.
- Several images of one turn stand together, a newline between them. The published code keeps one.
"""

import re
from dataclasses import dataclass

import pytest

from llava_core.data.conversation import IGNORE_INDEX, Turn, encode, encode_answers
from llava_core.data.template import LLAMA_2, LLAVA_V1, PLAIN, TEMPLATES, V0, V1, Template

N_PATCHES = 2

SYSTEM = {
    "sentencepiece": {
        "V0": r"""
            <s> _A _chat _between _a _curious _human _and _an _artificial _intelligence _assistant . _The
            _assistant _gives _helpful , _detailed , _and _polite _answers _to _the _human ' s _questions .
            \n \n
        """,
        "V1": r"""
            <s> _A _chat _between _a _curious _user _and _an _artificial _intelligence _assistant . _The
            _assistant _gives _helpful , _detailed , _and _polite _answers _to _the _user ' s _questions .
        """,
        "LLAVA_V1": r"""
            <s> _A _chat _between _a _curious _human _and _an _artificial _intelligence _assistant . _The
            _assistant _gives _helpful , _detailed , _and _polite _answers _to _the _human ' s _questions .
        """,
        "LLAMA_2": r"""
            <s> _ [ INST ] _ < < SYS > > \n You _are _a _helpful _language _and _vision _assistant . _You
            _are _able _to _understand _the _visual _content _that _the _user _provides , _and _assist _the
            _user _with _a _variety _of _tasks _using _natural _language . \n < < / SYS > > \n \n
        """,
    },
    "byte-level": {
        "V0": r"""
            <|bos|> A _chat _between _a _curious _human _and _an _artificial _intelligence _assistant . _The
            _assistant _gives _helpful , _detailed , _and _polite _answers _to _the _human 's _questions
            .\n\n
        """,
        "V1": r"""
            <|bos|> A _chat _between _a _curious _user _and _an _artificial _intelligence _assistant . _The
            _assistant _gives _helpful , _detailed , _and _polite _answers _to _the _user 's _questions .
        """,
        "LLAVA_V1": r"""
            <|bos|> A _chat _between _a _curious _human _and _an _artificial _intelligence _assistant . _The
            _assistant _gives _helpful , _detailed , _and _polite _answers _to _the _human 's _questions .
        """,
        "LLAMA_2": r"""
            <|bos|> [ INST ] _ < < SYS > > \n You _are _a _helpful _language _and _vision _assistant . _You
            _are _able _to _understand _the _visual _content _that _the _user _provides , _and _assist _the
            _user _with _a _variety _of _tasks _using _natural _language .\n < < / SYS > > \n \n
        """,
    },
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One conversation and what it has to become."""

    name: str
    template: Template
    turns: list[Turn]
    sentencepiece: str
    byte_level: str


def human(text, image=None, n_images=1):
    return Turn(role="human", text=text, image=image, n_images=n_images)


def assistant(text):
    return Turn(role="assistant", text=text)


CASES = [
    Case(
        name="v1, one turn, one image",
        template=V1,
        turns=[human("Which colour is the ball?", "first"), assistant("red")],
        sentencepiece=r"""
            V1 _USER : _ <image> <image> _ \n Which _colour _is _the _ball ? _ASSISTANT : _red </s>
            .  .     . . .       .       . .  .     .       .   .    .     . .          . #    #
        """,
        byte_level=r"""
            V1 _USER : _ <image> <image> \n Which _colour _is _the _ball ? _ASSISTANT : _red <|eos|>
            .  .     . . .       .       .  .     .       .   .    .     . .          . #    #
        """,
    ),
    Case(
        name="v1, three turns, no image",
        template=V1,
        turns=[
            *(human("Which ball?"), assistant("A red ball.")),
            *(human("Why?"), assistant("Look.")),
            *(human("say it"), assistant("red blue")),
        ],
        sentencepiece=r"""
            V1 _USER : _Which _ball ? _ASSISTANT : _A _red _ball . </s>
            .  .     . .      .     . .          . #  #    #     # #
            _USER : _Why ? _ASSISTANT : _Look . </s>
            .     . .    . .          . #     # #
            _USER : _say _it _ASSISTANT : _red _blue </s>
            .     . .    .   .          . #    #     #
        """,
        byte_level=r"""
            V1 _USER : _Which _ball ? _ASSISTANT : _A _red _ball . <|eos|>
            .  .     . .      .     . .          . #  #    #     # #
            USER : _Why ? _ASSISTANT : _Look . <|eos|>
            .    . .    . .          . #     # #
            USER : _say _it _ASSISTANT : _red _blue <|eos|>
            .    . .    .   .          . #    #     #
        """,
    ),
    Case(
        name="v1, two images in one turn",
        template=V1,
        turns=[human("Which ball?", "first", 2), assistant("red")],
        sentencepiece=r"""
            V1 _USER : _ <image> <image> _ \n <image> <image> _ \n Which _ball ? _ASSISTANT : _red </s>
            .  .     . . .       .       . .  .       .       . .  .     .     . .          . #    #
        """,
        byte_level=r"""
            V1 _USER : _ <image> <image> \n <image> <image> \n Which _ball ? _ASSISTANT : _red <|eos|>
            .  .     . . .       .       .  .       .       .  .     .     . .          . #    #
        """,
    ),
    Case(
        name="v1, an image in each of two turns, before and after the words",
        template=V1,
        turns=[
            *(human("Which ball?", "first"), assistant("red")),
            *(human("Why?", "last"), assistant("Look.")),
        ],
        sentencepiece=r"""
            V1 _USER : _ <image> <image> _ \n Which _ball ? _ASSISTANT : _red </s>
            .  .     . . .       .       . .  .     .     . .          . #    #
            _USER : _Why ? \n <image> <image> (_) _ASSISTANT : _Look . </s>
            .     . .    . .  .       .       .   .          . #     # #
        """,
        byte_level=r"""
            V1 _USER : _ <image> <image> \n Which _ball ? _ASSISTANT : _red <|eos|>
            .  .     . . .       .       .  .     .     . .          . #    #
            USER : _Why ?\n <image> <image> _ASSISTANT : _Look . <|eos|>
            .    . .    .   .       .       .          . #     # #
        """,
    ),
    Case(
        name="v1, answers that begin with a space, end with a newline, are empty",
        template=V1,
        turns=[
            *(human("Why?"), assistant(" red")),
            *(human("Why?"), assistant("Look.\n")),
            *(human("Why?"), assistant("")),
        ],
        sentencepiece=r"""
            V1 _USER : _Why ? _ASSISTANT : _ _red </s> _USER : _Why ? _ASSISTANT : _Look . \n </s>
            .  .     . .    . .          . # #    #    .     . .    . .          . #     # #  #
            _USER : _Why ? _ASSISTANT : _ </s>
            .     . .    . .          . # #
        """,
        byte_level=r"""
            V1 _USER : _Why ? _ASSISTANT : _ _red <|eos|> USER : _Why ? _ASSISTANT : _Look .\n <|eos|>
            .  .     . .    . .          . # #    #       .    . .    . .          . #     #   #
            USER : _Why ? _ASSISTANT : _ <|eos|>
            .    . .    . .          . # #
        """,
    ),
    Case(
        name="v1, marks of the templates in the words",
        template=V1,
        turns=[human("say </s> <image> ### ASSISTANT: it"), assistant("A</s> ASSISTANT: red")],
        sentencepiece=r"""
            V1 _USER : _say _ < / s > _ < i m a g e > _### _ASSISTANT : _it _ASSISTANT :
            .  .     . .    . . . . . . . . . . . . . .    .          . .   .          .
            _A < / s > _ASSISTANT : _red </s>
            #  # # # # #          # #    #
        """,
        byte_level=r"""
            V1 _USER : _say _ < / s > _ < i m a g e > _ ### _ASSISTANT : _it _ASSISTANT :
            .  .     . .    . . . . . . . . . . . . . . .   .          . .   .          .
            _A < / s > _ASSISTANT : _red <|eos|>
            #  # # # # #          # #    #
        """,
    ),
    Case(
        name="v1, an image without words",
        template=V1,
        turns=[human("", "first"), assistant("red")],
        sentencepiece=r"""
            V1 _USER : _ <image> <image> (_) _ASSISTANT : _red </s>
            .  .     . . .       .       .   .          . #    #
        """,
        byte_level=r"""
            V1 _USER : _ <image> <image> _ASSISTANT : _red <|eos|>
            .  .     . . .       .       .          . #    #
        """,
    ),
    Case(
        name="v1, a question left open",
        template=V1,
        turns=[human("Which ball?", "first")],
        sentencepiece=r"""
            V1 _USER : _ <image> <image> _ \n Which _ball ? _ASSISTANT :
            .  .     . . .       .       . .  .     .     . .          .
        """,
        byte_level=r"""
            V1 _USER : _ <image> <image> \n Which _ball ? _ASSISTANT :
            .  .     . . .       .       .  .     .     . .          .
        """,
    ),
    Case(
        name="llava_v1, image last, as ScienceQA has it",
        template=LLAVA_V1,
        turns=[human("Which ball?", "last"), assistant("red")],
        sentencepiece=r"""
            LLAVA_V1 _USER : _Which _ball ? \n <image> <image> (_) _ASSISTANT : _red </s>
            .        .     . .      .     . .  .       .       .   .          . #    #
        """,
        byte_level=r"""
            LLAVA_V1 _USER : _Which _ball ?\n <image> <image> _ASSISTANT : _red <|eos|>
            .        .     . .      .     .   .       .       .          . #    #
        """,
    ),
    Case(
        name="v0, two turns, one image",
        template=V0,
        turns=[
            *(human("Which ball?", "first"), assistant("red")),
            *(human("Why?"), assistant("Look.")),
        ],
        sentencepiece=r"""
            V0 ## # _Human : _ <image> <image> _ \n Which _ball ? \n ## # _Assistant : _red \n
            .  #  # .      . . .       .       . .  .     .     . .  #  # #          # #    #
            ## # _Human : _Why ? \n ## # _Assistant : _Look . \n ## # _
            #  # .      . .    . .  #  # #          # #     # #  #  # #
        """,
        byte_level=r"""
            V0 ### _Human : _ <image> <image> \n Which _ball ?\n ### _Assistant : _red \n
            .  #   .      . . .       .       .  .     .     .   #   #          # #    #
            ### _Human : _Why ?\n ### _Assistant : _Look .\n ### _
            #   .      . .    .   #   #          # #     #   #   #
        """,
    ),
    Case(
        name="v0, image last, marks of the templates in the words",
        template=V0,
        turns=[human("say ###", "last"), assistant("A ### Human: ball</s>")],
        sentencepiece=r"""
            V0 ## # _Human : _say _### \n <image> <image> _ \n ## # _Assistant :
            .  #  # .      . .    .    .  .       .       . .  #  # #          #
            _A _### _Human : _ball < / s > \n ## # _
            #  #    #      # #     # # # # #  #  # #
        """,
        byte_level=r"""
            V0 ### _Human : _say _ ### \n <image> <image> \n ### _Assistant :
            .  #   .      . .    . .   .  .       .       .  #   #          #
            _A _ ### _Human : _ball < / s > \n ### _
            #  # #   #      # #     # # # # #  #   #
        """,
    ),
    Case(
        name="v0, an empty answer, an answer that begins with a space, a question left open",
        template=V0,
        turns=[human("Why?"), assistant(""), human("Why?"), assistant(" red"), human("Which ball?")],
        sentencepiece=r"""
            V0 ## # _Human : _Why ? \n ## # _Assistant : _ \n
            .  #  # .      . .    . .  #  # #          # # #
            ## # _Human : _Why ? \n ## # _Assistant : _ _red \n
            #  # .      . .    . .  #  # #          # # #    #
            ## # _Human : _Which _ball ? \n ## # _Assistant :
            #  # .      . .      .     . .  #  # #          #
        """,
        byte_level=r"""
            V0 ### _Human : _Why ?\n ### _Assistant : _ \n
            .  #   .      . .    .   #   #          # # #
            ### _Human : _Why ?\n ### _Assistant : _ _red \n
            #   .      . .    .   #   #          # # #    #
            ### _Human : _Which _ball ?\n ### _Assistant :
            #   .      . .      .     .   #   #          #
        """,
    ),
    Case(
        name="llama_2, two turns, one image",
        template=LLAMA_2,
        turns=[
            *(human("Which ball?", "first"), assistant("red")),
            *(human("Why?"), assistant("Look.")),
        ],
        sentencepiece=r"""
            LLAMA_2 <image> <image> _ \n Which _ball ? _ [ / INST ] _red _ </s>
            .       .       .       . .  .     .     . . . . .    . #    # #
            <s> _ [ INST ] _Why ? _ [ / INST ] _Look . _ </s>
            .   . . .    . .    . . . . .    . #     # # #
        """,
        byte_level=r"""
            LLAMA_2 <image> <image> \n Which _ball ? _ [ / INST ] _red _ <|eos|>
            .       .       .       .  .     .     . . . . .    . #    # #
            <|bos|> [ INST ] _Why ? _ [ / INST ] _Look . _ <|eos|>
            .       . .    . .    . . . . .    . #     # # #
        """,
    ),
    Case(
        name="llama_2, no image",
        template=LLAMA_2,
        turns=[human("Which ball?"), assistant("red")],
        sentencepiece=r"""
            LLAMA_2 Which _ball ? _ [ / INST ] _red _ </s>
            .       .     .     . . . . .    . #    # #
        """,
        byte_level=r"""
            LLAMA_2 Which _ball ? _ [ / INST ] _red _ <|eos|>
            .       .     .     . . . . .    . #    # #
        """,
    ),
    Case(
        name="plain, one image: no human words, a newline for the stop token",
        template=PLAIN,
        turns=[human("Which ball?", "last"), assistant("A red ball.")],
        sentencepiece=r"""
            <s> <image> <image> _A _red _ball . \n
            .   .       .       #  #    #     # #
        """,
        byte_level=r"""
            <|bos|> <image> <image> A _red _ball .\n
            .       .       .       # #    #     #
        """,
    ),
    Case(
        name="plain, marks in a caption that ends with a newline",
        template=PLAIN,
        turns=[human("", "first"), assistant("A </s> ball\n")],
        sentencepiece=r"""
            <s> <image> <image> _A _ < / s > _ball \n \n
            .   .       .       #  # # # # # #     #  #
        """,
        byte_level=r"""
            <|bos|> <image> <image> A _ < / s > _ball \n \n
            .       .       .       # # # # # # #     #  #
        """,
    ),
]
KINDS = ("sentencepiece", "llama class", "byte-level", "byte-level without start")


def expected(case: Case, kind: str) -> list[tuple[str, str]]:
    """Return (token, mark) of each position."""
    family = "byte-level" if kind.startswith("byte-level") else "sentencepiece"
    lines = (case.byte_level if family == "byte-level" else case.sentencepiece).strip().split("\n")
    pairs = []
    for tokens, marks in zip(lines[::2], lines[1::2], strict=True):
        for token, mark in zip(tokens.split(), marks.split(), strict=True):
            pairs += [(piece, mark) for piece in SYSTEM[family].get(token, token).split()]
    dropped = {"llama class": "(_)", "byte-level without start": "<|bos|>"}.get(kind)
    return [("_" if name == "(_)" else name, mark) for name, mark in pairs if name != dropped]


def shown(encoded, tokenizer) -> list[tuple[str, str]]:
    """Return what was encoded in the notation of the fixtures."""
    pairs = []
    for token, label in zip(encoded.input_ids, encoded.labels, strict=True):
        assert label in (token, IGNORE_INDEX)
        name = tokenizer.convert_ids_to_tokens(token)
        name = re.sub("[\u2581\u0120]", "_", name).replace("<0x0A>", r"\n").replace("\u010a", r"\n")
        pairs.append((name, "." if label == IGNORE_INDEX else "#"))
    return pairs


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_ids_and_supervised_positions_are_as_written_by_hand(case, kind, tokenizers):
    encoded = encode(case.turns, tokenizers[kind], case.template, N_PATCHES)
    assert shown(encoded, tokenizers[kind]) == expected(case, kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_truncation_keeps_the_beginning(case, kind, tokenizers):
    whole = expected(case, kind)
    names = [name for name, _ in whole]
    image_end = len(names) - names[::-1].index("<image>") if "<image>" in names else 1
    for max_tokens in range(image_end, len(whole) + 2):
        encoded = encode(case.turns, tokenizers[kind], case.template, N_PATCHES, max_tokens=max_tokens)
        assert shown(encoded, tokenizers[kind]) == whole[:max_tokens]
    if image_end > 1:
        with pytest.raises(ValueError, match="images are never cut"):
            encode(case.turns, tokenizers[kind], case.template, N_PATCHES, max_tokens=image_end - 1)


def test_letters_of_several_bytes_are_supervised_with_the_answer(tokenizers):
    for kind, letters in (
        ("sentencepiece", ["_", "<0xC3>", "<0xA9>"]),
        ("byte-level", ["_", "\u00c3", "\u00a9"]),
    ):
        turns = [human("\u00e9"), assistant("\u00e9")]
        encoded = encode(turns, tokenizers[kind], V1, N_PATCHES)
        asked, answered = shown(encoded, tokenizers[kind])[-9:-4], shown(encoded, tokenizers[kind])[-4:-1]
        assert asked == [(name, ".") for name in [*letters, "_ASSISTANT", ":"]]
        assert answered == [(name, "#") for name in letters]


def test_a_caption_that_begins_with_a_space(tokenizers):
    # SentencePiece puts its own space before it; the class of transformers 5 does not.
    turns = [human("", "first"), assistant(" red")]
    for kind, names in (
        ("sentencepiece", ["_", "_red", r"\n"]),
        ("llama class", ["_red", r"\n"]),
        ("byte-level", ["_red", r"\n"]),
    ):
        found = shown(encode(turns, tokenizers[kind], PLAIN, N_PATCHES), tokenizers[kind])
        assert found[3:] == [(name, "#") for name in names]


ANSWERS = [
    "red",
    "red blue",
    " red",
    "",
    "\nred",
    "\n\n red\n",
    "...",
    "</s>",
    "### Human:",
    "7 8",
    "(A)",
    "\u00e9 \t.",
]
QUESTIONS = ["Which ball?", "Why ", "", " ", "\n", "say ###", "12:\n"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("template", TEMPLATES.values(), ids=lambda t: t.name)
def test_an_open_question_is_the_beginning_of_the_answered_one(template, kind, tokenizers):
    tokenizer = tokenizers[kind]
    for question in QUESTIONS:
        for image in ("first", "last", None):
            asked = [[human(question, image)]]
            if template.human_text:  # without, two captions would meet
                asked.append([human("Which?", image), assistant("red."), human(question)])
            for turns in asked:
                prompt, answers = encode_answers(turns, ANSWERS, tokenizer, template, N_PATCHES)
                assert prompt == encode(turns, tokenizer, template, N_PATCHES).input_ids
                for text, answer in zip(ANSWERS, answers, strict=True):
                    whole = encode([*turns, assistant(text)], tokenizer, template, N_PATCHES)
                    assert whole.input_ids[: len(prompt) + len(answer)] == prompt + answer
                    closing = whole.input_ids[len(prompt) + len(answer) :]
                    assert tokenizer.decode(closing).strip() == template.closing.strip()
                    assert IGNORE_INDEX not in whole.labels[len(prompt) :]


def test_a_token_across_the_border_of_an_answer_counts_to_it(merging_tokenizer):
    turns = [human("Why?")]
    prompt, answers = encode_answers(turns, ["red", "blue"], merging_tokenizer, V1, N_PATCHES)
    names = [merging_tokenizer.convert_ids_to_tokens(list(ids)) for ids in (prompt[-2:], *answers)]
    assert names == [
        ["?", "\u2581ASSISTANT"],
        [":\u2581red", "</s>"],
        [":", "\u2581blue", "</s>"],
    ]
    whole = encode([*turns, assistant("red")], merging_tokenizer, V1, N_PATCHES)
    assert whole.input_ids == prompt + answers[0]
    assert whole.labels[len(prompt) - 1 :] == (IGNORE_INDEX, *answers[0])
