import pytest

from llava_core.train.tokenizer import train_tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(["The ball is red; 25 cm.", "The ball is blue; 1999 cm."] * 5, vocab_size=320)


@pytest.mark.parametrize(
    "text", [" The ball is red.", "Größe: 25 °C", "日本 </s> <image>", "a\nb  c", "1999 cm"]
)
def test_any_text_comes_back_unchanged(tokenizer, text):
    ids = tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
    assert tokenizer.decode(ids) == text
    assert not set(ids) & set(tokenizer.all_special_ids)


def test_numbers_are_spelled_digit_by_digit(tokenizer):
    assert len(tokenizer.encode("1999", add_special_tokens=False)) == 4


def test_frequent_words_are_one_token(tokenizer):
    assert len(tokenizer.encode(" ball", add_special_tokens=False)) == 1


def test_stop_token_is_not_two(tokenizer):
    assert tokenizer.eos_token_id not in (None, 2)
    assert len({tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id}) == 3


def test_too_small_a_vocabulary_is_refused():
    with pytest.raises(ValueError, match="allowed is 260"):
        train_tokenizer(["a"], vocab_size=100)
