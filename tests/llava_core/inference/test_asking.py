"""Batches that fit, and what happens if they do not."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from llava_core.data.template import LLAVA_V1, TEMPLATES
from llava_core.errors import InputError
from llava_core.inference import asking, logprob
from llava_core.inference.asking import Asked, ask, question_batches, run_batches
from llava_core.inference.logprob import option_logprobs


def asked(n_prompt: int, *n_options: int) -> Asked:
    return Asked(prompt_ids=(5,) * n_prompt, option_ids=tuple((6,) * n for n in n_options))


def bytes_of(bundle, batch: list[Asked]) -> int:
    """Keys, values and logits of a batch, counted anew."""
    config = bundle.model.llm.config
    per_token = 2 * config.num_hidden_layers * config.hidden_size * 4
    n_options = sum(len(one.option_ids) for one in batch)
    width = max(len(ids) for one in batch for ids in one.option_ids)
    longest = max(len(one.prompt_ids) for one in batch)
    cache = (len(batch) + n_options) * longest * per_token
    return cache + n_options * width * config.vocab_size * 12


def test_batches_hold_every_question_once_sorted_and_within_bounds(bundle, monkeypatch) -> None:
    rng = np.random.default_rng(0)
    questions = [asked(int(rng.integers(5, 90)), *rng.integers(1, 9, rng.integers(2, 6))) for _ in range(200)]
    monkeypatch.setattr(asking, "BATCH_BYTES", 1_000_000)
    batches = question_batches(bundle, questions, batch_size=30)
    assert sorted(row for batch in batches for row in batch) == list(range(200))
    lengths = [len(questions[row].prompt_ids) for batch in batches for row in batch]
    assert lengths == sorted(lengths)
    sizes = [len(batch) for batch in batches]
    assert max(sizes) <= 30
    assert len(set(sizes[:-1])) > 1
    for batch, following in pairwise(batches):
        within = [questions[row] for row in batch]
        assert bytes_of(bundle, within) <= 1_000_000
        # One more would have been too many.
        assert len(batch) == 30 or bytes_of(bundle, [*within, questions[following[0]]]) > 1_000_000


def test_a_question_above_the_bound_is_a_batch_of_its_own(bundle, monkeypatch) -> None:
    monkeypatch.setattr(asking, "BATCH_BYTES", 1)
    assert question_batches(bundle, [asked(9, 2), asked(3, 2, 4)]) == [[1], [0]]


def test_batches_that_do_not_fit_are_halved_from_there_on() -> None:
    tried: list[int] = []
    done: list[int] = []

    def run(rows) -> None:
        tried.append(len(rows))
        if len(rows) > 3:
            raise torch.OutOfMemoryError("full")
        done.extend(rows)

    told: list[int] = []
    batches = [list(range(10)), list(range(10, 13)), list(range(13, 24))]
    assert run_batches(batches, run, progress=told.append) == 2
    assert done == list(range(24))
    assert tried == [10, 5, 3, 2, 3, 2, 3, 3, 3, 3, 2]
    assert told[-1] == 24

    def never(rows) -> None:
        raise torch.OutOfMemoryError("full")

    with pytest.raises(torch.OutOfMemoryError):
        run_batches([[0, 1]], never, progress=told.append)


def test_scores_survive_running_out_of_memory(bundle, drawn, monkeypatch) -> None:
    whole = option_logprobs(bundle, drawn[:9])
    score = logprob.score_batch

    def small(bundle, asked, *rest, **settings):
        if len(asked) > 2:
            raise torch.OutOfMemoryError("full")
        return score(bundle, asked, *rest, **settings)

    monkeypatch.setattr(logprob, "score_batch", small)
    for a, b in zip(whole, option_logprobs(bundle, drawn[:9]), strict=True):
        np.testing.assert_allclose(a.sum, b.sum, atol=1e-4)


@pytest.mark.parametrize("template", ["v0", "v1", "llava_v1", "llama_2", "mini_v1"])
@pytest.mark.parametrize("prompt", ["option_texts", "QCM-LEA", "CQM-A"])
def test_scores_of_every_template_and_prompt_are_those_of_full_passes(
    bundle, drawn, template, prompt
) -> None:
    bundle = replace(bundle, template=TEMPLATES[template], prompt=prompt)
    bundle.model.llm.config.max_position_embeddings = 512
    examples = [drawn[0], drawn[-1]]
    for example, scores in zip(examples, option_logprobs(bundle, examples, layers=(0, -1)), strict=True):
        question = ask(bundle, example)
        features = None
        if example.image is not None:
            features = logprob.file_vision(bundle)([example.image])
        for k, option in enumerate(question.option_ids):
            ids = torch.tensor([[*question.prompt_ids, *option]])
            with torch.no_grad():
                output = bundle.model(ids, vision_features=features, output_hidden_states=True)
            logprob_of = output.logits[0].log_softmax(-1)
            at = len(question.prompt_ids)
            slow = [float(logprob_of[at + i - 1, token]) for i, token in enumerate(option)]
            assert scores.sum[k] == pytest.approx(sum(slow), abs=1e-3)
            assert scores.n_tokens[k] == len(option)
            for layer, place in ((0, 0), (-1, 1)):
                expected = output.hidden_states[layer][0, -2].numpy()
                np.testing.assert_allclose(scores.hidden[k, place], expected, atol=1e-3)


def test_an_option_of_one_token_has_the_state_of_the_prompts_end(bundle) -> None:
    question = Asked(prompt_ids=(7, 8, 9), option_ids=((11,), (12, 13)))
    vision = logprob.file_vision(bundle)
    found = logprob.score_batch(bundle, [question], [], vision=vision, layers=(-1,))[0]
    for k, option in enumerate(question.option_ids):
        ids = torch.tensor([[*question.prompt_ids, *option]])
        with torch.no_grad():
            output = bundle.model(ids, output_hidden_states=True)
        np.testing.assert_allclose(found.hidden[k, 0], output.hidden_states[-1][0, -2].numpy(), atol=1e-4)


def test_a_question_beyond_the_span_is_refused(bundle, drawn) -> None:
    bundle = replace(bundle, template=LLAVA_V1)
    bundle.model.llm.config.max_position_embeddings = 40
    with pytest.raises(InputError, match=r"image-0, field question: got .* allowed is the language model's"):
        ask(bundle, drawn[0])
