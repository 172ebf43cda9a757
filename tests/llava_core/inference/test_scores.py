"""Option likelihoods and greedy answers against one-by-one passes without cache or padding."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from llava_core.data.conversation import encode, question_turns
from llava_core.data.images import load_pixels
from llava_core.inference.logprob import option_logprobs
from llava_core.inference.replies import generate_answers


def slow_scores(bundle, example, option):
    """Return the log-probabilities of the option's tokens and its stop token, from one full pass."""
    encoded = encode(
        question_turns(example, answer=option), bundle.tokenizer, bundle.template, bundle.n_image_tokens
    )
    ids = torch.tensor([encoded.input_ids])
    features = None
    if example.image is not None:
        features = bundle.model.vision_features(load_pixels([example.image], bundle.image_processor))
    with torch.no_grad():
        logits = bundle.model(ids, torch.ones_like(ids), vision_features=features).logits[0]
    logprob = logits.log_softmax(-1)
    return [float(logprob[k - 1, label]) for k, label in enumerate(encoded.labels) if label >= 0]


def test_equal_to_full_passes_one_by_one(bundle, drawn) -> None:
    examples = [*drawn[:5], *drawn[-3:]]
    for example, scores in zip(examples, option_logprobs(bundle, examples, batch_size=3), strict=True):
        for k, option in enumerate(example.options):
            slow = slow_scores(bundle, example, option)
            assert scores.n_tokens[k] == len(slow)
            assert scores.sum[k] == pytest.approx(sum(slow), abs=1e-4)
            assert scores.mean[k] == pytest.approx(np.mean(slow), abs=1e-4)


def test_batch_size_changes_nothing(bundle, drawn) -> None:
    one = option_logprobs(bundle, drawn, batch_size=1)
    many = option_logprobs(bundle, drawn, batch_size=16)
    for a, b in zip(one, many, strict=True):
        np.testing.assert_allclose(a.sum, b.sum, atol=1e-4)


def test_hidden_states_are_those_of_the_last_option_token(bundle, drawn) -> None:
    example = drawn[0]
    found = option_logprobs(bundle, [example], layers=(-1,))[0].hidden
    assert found is not None
    assert found.shape == (3, 1, 24)
    encoded = encode(
        question_turns(example, answer=example.options[1]),
        bundle.tokenizer,
        bundle.template,
        bundle.n_image_tokens,
    )
    ids = torch.tensor([encoded.input_ids])
    features = bundle.model.vision_features(load_pixels([example.image], bundle.image_processor))
    with torch.no_grad():
        output = bundle.model(ids, torch.ones_like(ids), vision_features=features, output_hidden_states=True)
    np.testing.assert_allclose(found[1, 0], output.hidden_states[-1][0, -2].numpy(), atol=1e-4)


def test_a_blank_image_hides_the_picture_and_spares_texts(bundle, drawn) -> None:
    examples = [drawn[0], replace(drawn[0], image=drawn[1].image), drawn[-1]]
    shown = option_logprobs(bundle, examples)
    blank = option_logprobs(bundle, examples, blank_image=True)
    assert not np.allclose(shown[0].sum, blank[0].sum)
    np.testing.assert_allclose(blank[0].sum, blank[1].sum, atol=1e-5)
    np.testing.assert_allclose(shown[2].sum, blank[2].sum, atol=1e-5)


def test_a_missing_file_is_asked_without_image(bundle, drawn) -> None:
    lost = replace(drawn[0], image=None)
    never = replace(drawn[0], image=None, has_image=False)
    scores = option_logprobs(bundle, [lost, never])
    np.testing.assert_allclose(scores[0].sum, scores[1].sum, atol=1e-5)


def test_greedy_answers_one_by_one(bundle, drawn) -> None:
    examples = [*drawn[:4], *drawn[-2:]]
    batched = generate_answers(bundle, examples, max_new_tokens=6)
    for example, text in zip(examples, batched, strict=True):
        encoded = encode(
            question_turns(example, answer=None), bundle.tokenizer, bundle.template, bundle.n_image_tokens
        )
        ids, written = list(encoded.input_ids), []
        features = None
        if example.image is not None:
            features = bundle.model.vision_features(load_pixels([example.image], bundle.image_processor))
        for _ in range(6):
            row = torch.tensor([ids])
            with torch.no_grad():
                token = int(
                    bundle.model(row, torch.ones_like(row), vision_features=features).logits[0, -1].argmax()
                )
            if token == bundle.tokenizer.eos_token_id:
                break
            ids.append(token)
            written.append(token)
        assert text == bundle.tokenizer.decode(written, skip_special_tokens=True).strip()
