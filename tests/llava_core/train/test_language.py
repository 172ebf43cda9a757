import dataclasses

import numpy as np
import pytest

from llava_core.data.conversation import IGNORE_INDEX
from llava_core.data.template import MINI_V1
from llava_core.train.language import LanguageConfig, documents, pretrain_llm, told_turns
from llava_core.train.loop import OptimConfig

CONFIG = LanguageConfig(
    n_steps=60, batch_size=8, optim=OptimConfig(lr=5e-3), plain_prob=1.0, describe_prob=1.0, text_prob=1.0
)


def drawn_documents(drawn, tokenizer, texts=(), **changes):
    config = dataclasses.replace(CONFIG, **changes)
    rng = np.random.default_rng(0)
    found = documents(drawn, texts, config, tokenizer=tokenizer, template=MINI_V1, rng=rng)
    return [(tokenizer.decode(d.input_ids), [i for i in d.labels if i != IGNORE_INDEX]) for d in found]


def test_a_caption_stands_where_the_image_will(drawn):
    told = told_turns(drawn[0])[0]
    assert told.image is None
    assert told.text.startswith(f"{drawn[0].caption}\nWhich colour is the ball?\nOptions: ")
    text_only = next(example for example in drawn if not example.has_image)
    assert told_turns(text_only)[0].text.startswith(text_only.question)


def test_each_kind_of_document_is_read(drawn, tiny_tokenizer):
    found = drawn_documents(drawn[:1], tiny_tokenizer, ["Plain words.", ("Two and two?", "four")])
    answer = drawn[0].options[drawn[0].answer]
    supervised = [tiny_tokenizer.decode(labels) for _, labels in found]
    assert supervised == [f" {answer}</s>", "", f" {drawn[0].caption}</s>", "", " four</s>"]
    assert found[1][0] == f"<s> {drawn[0].caption}</s>"
    assert found[3][0] == "<s> Plain words.</s>"
    assert found[4][0].endswith("USER: Two and two?\nASSISTANT: four</s>")


def test_chances_of_zero_leave_questions_only(drawn, tiny_tokenizer):
    found = drawn_documents(drawn, tiny_tokenizer, ["x"], plain_prob=0.0, describe_prob=0.0, text_prob=0.0)
    assert len(found) == len(drawn)


def test_pretraining_lowers_the_loss_and_repeats_for_a_seed(bundle, drawn, tiny_sizes, tiny_tokenizer):
    from llava_core.train.pretrain import tiny_bundle

    def train(start, seed):
        return pretrain_llm(
            start.model.llm, drawn, [], CONFIG, tokenizer=tiny_tokenizer, template=MINI_V1, seed=seed
        ).loss

    first = train(bundle, 0)
    assert first[-1][1] < 0.5 * first[0][1]
    again = train(tiny_bundle(tiny_sizes, tiny_tokenizer, seed=0), 0)
    assert [loss for _, loss in again] == pytest.approx([loss for _, loss in first], rel=1e-4)
