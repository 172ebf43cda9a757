"""Two small tokenizers whose ids can be told by hand: one like LLaMA's, one like LLaMA-3's and Qwen2's.

Merges only ever lengthen a word by its next letter, from the left, so that every word of `WORDS` is one token
and everything else falls to single characters (or longest beginnings of words).
"""

import pytest
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import LlamaTokenizer, PreTrainedTokenizerFast

from llava_core.data.conversation import IMAGE_TOKEN

SPACE = "\u2581"
"""SentencePiece's sign for a space."""

WORDS = """
    A chat between a curious user and an artificial intelligence assistant The gives helpful detailed
    polite answers to the questions human You are language vision able understand visual content that
    provides assist with variety of tasks using natural USER ASSISTANT Human Assistant Which colour is
    ball Why Look red blue say it
"""
"""One token each after a space."""

BARE = "A USER Human Which Why Look INST SYS You red"
"""One token each without a space before them too."""

# As published with LLaMA-3; Qwen2's differs in how many digits stand together.
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def merges_of(space: str, extra: list[tuple[str, str]]) -> list[tuple[str, str]]:
    words = [space + word for word in WORDS.split()] + BARE.split()
    grown = [(word[:end], word[end]) for word in words for end in range(1, len(word))]
    return list(dict.fromkeys(extra + grown))


def sentencepiece_parts(extra: list[tuple[str, str]]):
    merges = merges_of(SPACE, [("#", "#"), (SPACE, "##"), (SPACE + "##", "#")]) + extra
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), SPACE]
    tokens += [chr(code) for code in range(33, 127)] + [left + right for left, right in merges]
    return {token: index for index, token in enumerate(dict.fromkeys(tokens))}, merges


def sentencepiece(extra: list[tuple[str, str]] | None = None) -> PreTrainedTokenizerFast:
    """Return what the ``tokenizer.json`` of LLaMA-1 and -2 holds: a space goes before every chunk."""
    vocab, merges = sentencepiece_parts(extra or [])
    tokenizer = Tokenizer(
        models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        additional_special_tokens=[IMAGE_TOKEN],
    )


def llama_class() -> LlamaTokenizer:
    """Return what transformers 5 makes of a LLaMA vocabulary by itself."""
    vocab, merges = sentencepiece_parts([])
    return LlamaTokenizer(vocab=vocab, merges=merges, additional_special_tokens=[IMAGE_TOKEN])


def byte_level(bos: str | None = "<|bos|>") -> PreTrainedTokenizerFast:
    """Return a byte-level BPE; with ``bos=None`` it has no start token, like Qwen2's."""
    space, newline = "\u0120", "\u010a"
    extra = [("#", "#"), ("##", "#"), ("'", "s"), (".", newline), ("." + newline, newline), ("?", newline)]
    merges = merges_of(space, extra)
    tokens = sorted(pre_tokenizers.ByteLevel.alphabet()) + [left + right for left, right in merges]
    vocab = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=bos,
        eos_token="<|eos|>",
        additional_special_tokens=[IMAGE_TOKEN],
    )


@pytest.fixture(scope="session")
def tokenizers():
    """By kind. The first two agree wherever a chunk does not begin with a space."""
    return {
        "sentencepiece": sentencepiece(),
        "llama class": llama_class(),
        "byte-level": byte_level(),
        "byte-level without start": byte_level(bos=None),
    }


@pytest.fixture(scope="session")
def merging_tokenizer():
    """SentencePiece-like, but with a token ``: red`` that stands across the border of an answer."""
    return sentencepiece([(":", SPACE + "red")])
