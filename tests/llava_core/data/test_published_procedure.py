"""`encode` against the published way: write the whole string, tokenize it, find the answers by counting.

Told again from the description of that way, for a SentencePiece-like tokenizer that treats the text after a
special token as the tokenizers of its time did, and for conversations on which it does not fail: no stop
token, image mark or ``ASSISTANT:`` in the words, no empty answer. The fixtures of ``test_parity`` hold those.
"""

import numpy as np
import pytest

from llava_core.data.conversation import IGNORE_INDEX, Turn, encode
from llava_core.data.template import LLAMA_2, LLAVA_V1, PLAIN, V0, V1

N_PATCHES = 3
SENTINEL = -200

WORDS = [
    *("Which", "colour", "ball", "red", "blue", "A", "Why", "Look", "the", "user", "it", "assist"),
    *(
        "?",
        ".",
        "'s",
        "7",
        "12",
        "USER",
        "Human",
        "[",
        "<",
        "zebra",
        "\u00e9t\u00e9",
        "###",
        ":",
        "\n",
        " ",
        "\t",
    ),
]


def ids_of(text, tokenizer):
    """Ids as the published tokenizer call gives them: a start token first, special tokens recognised."""
    return [tokenizer.bos_token_id, *tokenizer.encode(text, add_special_tokens=False)]


def ids_around_images(text, tokenizer):
    """Ids of the text between images, each tokenized apart; start tokens after the first are dropped."""
    first, *others = [ids_of(part, tokenizer) for part in text.split("<image>")]
    for part in others:
        first += [SENTINEL, *part[1:]]
    return first


def with_patches(ids, labels, tokenizer):
    """Put the patches of the image in the place of the sentinel."""
    patch = tokenizer.convert_tokens_to_ids("<image>")
    pairs = []
    for token, label in zip(ids, labels, strict=True):
        pairs += [(patch, IGNORE_INDEX)] * N_PATCHES if token == SENTINEL else [(token, label)]
    return tuple(token for token, _ in pairs), tuple(label for _, label in pairs)


def words_of(turn):
    marks = "\n".join(["<image>"] * turn.n_images)
    return {None: turn.text, "first": f"{marks}\n{turn.text}", "last": f"{turn.text}\n{marks}"}[turn.image]


def counted(ids, rounds, cue, tokenizer, *, start=1):
    """Labels by counting: of each round, all but the tokens up to its cue.

    Two are taken from the length of what comes before the answer: its start token and the last space, which
    merges with the answer. A round's own start token is counted in place of the stop token, which splitting
    has removed.
    """
    labels = list(ids)
    labels[:start] = [IGNORE_INDEX] * start
    position = start
    for text in rounds:
        if not text:
            break
        before, _ = text.split(cue)
        n_round = len(ids_around_images(text, tokenizer))
        n_before = len(ids_around_images(before + cue, tokenizer)) - 2
        labels[position : position + n_before] = [IGNORE_INDEX] * n_before
        position += n_round
    assert position == len(ids), "tokenization mismatch"
    return labels


def v1(turns, tokenizer, system):
    text = system
    for turn in turns:
        text += f"USER: {words_of(turn)} " if turn.role == "human" else f"ASSISTANT: {turn.text}</s>"
    ids = ids_around_images(text, tokenizer)
    return ids, counted(ids, text.split("</s>"), " ASSISTANT: ", tokenizer)


def llama_2(turns, tokenizer, system):
    text = ""
    for index, turn in enumerate(turns):
        if turn.role == "assistant":
            text += f" {turn.text} </s>"
        else:
            text += f"<s>[INST] {system if index == 0 else ''}{words_of(turn)} [/INST]"
    text = text.removeprefix("<s>")
    ids = ids_around_images(text, tokenizer)
    return ids, counted(ids, text.split("</s>"), "[/INST] ", tokenizer)


def plain(turns, tokenizer, system):
    ids = ids_around_images(f"<image>{turns[1].text}\n", tokenizer)
    n_before = len(ids_around_images("<image>", tokenizer))
    return ids, [IGNORE_INDEX] * n_before + ids[n_before:]


def v0(turns, tokenizer, system):
    """An image is so many special tokens in the text; every turn is tokenized once more to be counted."""
    pieces = [system]
    for turn in turns:
        name = "Human" if turn.role == "human" else "Assistant"
        words = words_of(turn) if turn.role == "human" else turn.text
        pieces.append(f"### {name}: {words.replace('<image>', '<image>' * N_PATCHES)}\n")
    ids = ids_of("".join(pieces) + "### ", tokenizer)
    lengths = [len(ids_of(piece, tokenizer)) for piece in pieces]
    labels = list(ids)
    labels[: lengths[0]] = [IGNORE_INDEX] * lengths[0]
    position = lengths[0]
    for turn, length in zip(turns, lengths[1:], strict=True):
        if turn.role == "human":
            labels[position + 2 : position + length] = [IGNORE_INDEX] * (length - 2)
        position += length
    return ids, labels


def random_text(rng):
    n_words = int(rng.integers(1, 12))
    return "".join(str(rng.choice(WORDS)) + (" " if rng.random() < 0.7 else "") for _ in range(n_words))


def random_turns(rng, *, n_rounds, images):
    turns = []
    for _ in range(n_rounds):
        image = (None, "first", "last")[int(rng.integers(3))] if images else None
        turns.append(Turn(role="human", text=random_text(rng), image=image, n_images=int(rng.integers(1, 3))))
        turns.append(Turn(role="assistant", text=random_text(rng)))
    return turns


@pytest.mark.parametrize(
    ("template", "published"),
    [(V0, v0), (V1, v1), (LLAVA_V1, v1), (LLAMA_2, llama_2), (PLAIN, plain)],
    ids=lambda value: getattr(value, "name", ""),
)
def test_ids_and_labels_are_those_of_the_published_procedure(template, published, tokenizers):
    tokenizer = tokenizers["sentencepiece"]
    system = template.system or (template.first_human_prefix or "").removeprefix("[INST] ")
    for seed in range(100):
        rng = np.random.default_rng(seed)
        if template is PLAIN:
            asked = Turn(role="human", text=random_text(rng), image="first")
            turns = [asked, Turn(role="assistant", text=random_text(rng))]
        else:
            turns = random_turns(rng, n_rounds=int(rng.integers(1, 5)), images=seed % 2 == 1)
        ids, labels = published(turns, tokenizer, system)
        encoded = encode(turns, tokenizer, template, N_PATCHES)
        assert (encoded.input_ids, encoded.labels) == with_patches(ids, labels, tokenizer)
