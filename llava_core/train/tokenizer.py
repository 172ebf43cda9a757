"""The tiny models' tokenizer: byte-level BPE over the pre-training corpus, single digits.

Byte-level, so that any text has ids and comes back unchanged; digits are never merged, so that a number
that was not in the corpus is still spelled as the language model has learned to spell numbers.
"""

from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from llava_core.data.conversation import IMAGE_TOKEN

PAD, START, STOP = "<pad>", "<s>", "</s>"


def train_tokenizer(texts: Iterable[str], *, vocab_size: int) -> PreTrainedTokenizerFast:
    """Return a tokenizer with the special tokens of the language model and of the image patches.

    Parameters
    ----------
    texts : iterable of str
        The corpus; the result does not depend on its order beyond ties.
    vocab_size : int
        At most this many tokens, at least 260 (256 bytes and 4 special tokens).

    Notes
    -----
    The stop token has id 3: CLIP's text tower treats an end token with id 2 as the mark of old checkpoints
    and would pool at the largest id instead.
    """
    if vocab_size < 260:
        raise ValueError(f"got vocab_size={vocab_size}, allowed is 260 or more (bytes and special tokens)")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=[PAD, START, IMAGE_TOKEN, STOP],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=START,
        eos_token=STOP,
        additional_special_tokens=[IMAGE_TOKEN],
    )
