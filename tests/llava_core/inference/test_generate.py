"""Batches and streams of conversations against token-by-token passes without cache or padding."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import GenerationConfig

from llava_core.data.conversation import Turn, encode
from llava_core.data.images import load_pixels
from llava_core.errors import InputError
from llava_core.inference.decoding import Decoding, GumbelNoise, logits_processors
from llava_core.inference.generate import Dialogue, generate, n_context_tokens, stream

SIX = Decoding(max_new_tokens=6)
DRAWN = Decoding(max_new_tokens=8, temperature=1.0, top_p=0.9, seed=5)


@pytest.fixture
def bundle(lively_bundle):
    return lively_bundle


@pytest.fixture
def talks(drawn):
    """No image, one, two in one turn, two in two turns; of different lengths."""
    images = [example.image for example in drawn[:5]]
    human = Turn(role="human", text="Which colour is the ball?")
    shown = replace(human, image="first")
    reply = Turn(role="assistant", text="red")
    return [
        Dialogue(turns=(human,)),
        Dialogue(turns=(shown,), images=(images[0],)),
        Dialogue(turns=(replace(shown, n_images=2),), images=(images[1], images[2])),
        Dialogue(turns=(shown, reply, replace(shown, image="last")), images=(images[3], images[4])),
        Dialogue(turns=(human, reply, human, reply, human)),
    ]


def slow(bundle, talk, n_tokens, *, stop_text=""):
    """Return the greedy answer from one full pass per token."""
    ids = list(encode(talk.turns, bundle.tokenizer, bundle.template, bundle.n_image_tokens).input_ids)
    features = None
    if talk.images:
        features = bundle.model.vision_features(load_pixels(talk.images, bundle.image_processor))
    written = []
    for _ in range(n_tokens):
        row = torch.tensor([ids + written])
        with torch.no_grad():
            token = int(bundle.model(row, vision_features=features).logits[0, -1].argmax())
        if token == bundle.tokenizer.eos_token_id:
            break
        written.append(token)
    text = bundle.tokenizer.decode(written, skip_special_tokens=True)
    return (text.split(stop_text)[0] if stop_text else text).strip()


def test_greedy_answers_are_those_of_full_passes_one_by_one(bundle, talks) -> None:
    expected = [slow(bundle, talk, 6) for talk in talks]
    assert len(set(expected)) == len(talks)
    assert generate(bundle, talks, SIX, batch_size=5) == expected
    assert generate(bundle, talks, SIX, batch_size=2) == expected
    assert generate(bundle, talks[::-1], SIX, batch_size=3) == expected[::-1]


@pytest.mark.parametrize("decoding", [SIX, DRAWN])
def test_a_stream_adds_up_to_the_answer(bundle, talks, decoding) -> None:
    pieces = [list(stream(bundle, talk, decoding)) for talk in talks]
    assert ["".join(each) for each in pieces] == generate(bundle, talks, decoding)
    assert max(len(each) for each in pieces) > 2


def test_draws_belong_to_conversation_and_seed_alone(bundle, talks) -> None:
    state = torch.get_rng_state()
    together = generate(bundle, talks, DRAWN, batch_size=5)
    assert together == [generate(bundle, [talk], DRAWN)[0] for talk in talks]
    assert together != generate(bundle, talks, replace(DRAWN, seed=6))
    assert together != generate(bundle, talks, SIX)
    assert torch.equal(torch.get_rng_state(), state)


def test_draws_have_the_probabilities_of_the_softmax() -> None:
    logits = torch.tensor([1.0, 0.0, -1.0, -4.0])
    n_draws = 20_000
    noise = GumbelNoise([(k,) for k in range(n_draws)], seed=0)
    drawn = noise(torch.empty(0), logits.expand(n_draws, 4)).argmax(1)
    found = np.bincount(drawn.numpy(), minlength=4) / n_draws
    expected = logits.softmax(0).numpy()
    assert np.abs(found - expected).max() < 4 * np.sqrt(0.25 / n_draws)


def test_top_p_leaves_out_the_unlikely() -> None:
    logits = torch.tensor([[2.0, 1.0, -1.0, -4.0]])
    decoding = Decoding(temperature=1.0, top_p=0.5)
    for seed in range(50):
        scores = logits_processors(replace(decoding, seed=seed), [(1, 2)])(torch.empty(1, 0).long(), logits)
        assert int(scores.argmax()) == 0


def test_stops_at_the_stop_text_and_does_not_tell_it(bundle, talks) -> None:
    once = talks[:3]  # of one turn: their prompts hold no answer, so no stop text
    marker = slow(bundle, once[1], 12)[3:6]  # what the model is about to write
    template = replace(bundle.template, stop_token=False, answer_suffix=marker)
    changed, long = replace(bundle, template=template), Decoding(max_new_tokens=24)
    expected = [slow(bundle, talk, 24, stop_text=marker) for talk in once]
    assert len(expected[1]) == 3
    assert generate(changed, once, long) == expected
    assert ["".join(stream(changed, talk, long)) for talk in once] == expected
    passes = []
    bundle.model.llm.model.register_forward_hook(lambda *_: passes.append(1))
    generate(changed, once[1:2], long)
    assert len(passes) < 24


def test_the_checkpoints_own_generation_settings_do_not_count(bundle, talks) -> None:
    expected = generate(bundle, talks, SIX)
    bundle.model.llm.generation_config = GenerationConfig(
        do_sample=True, temperature=0.9, top_p=0.6, top_k=3, repetition_penalty=5.0, num_beams=2
    )
    assert generate(bundle, talks, SIX) == expected


def test_an_answer_ends_where_the_span_does(bundle, talks) -> None:
    n_prompt = len(encode(talks[2].turns, bundle.tokenizer, bundle.template, bundle.n_image_tokens).input_ids)
    bundle.model.llm.config.max_position_embeddings = n_prompt + 2
    short = [talks[0], talks[2]]
    assert generate(bundle, short, SIX)[1] == slow(bundle, talks[2], 2)
    assert generate(bundle, short, SIX)[0] == slow(bundle, talks[0], 6)
    bundle.model.llm.config.max_position_embeddings = n_prompt
    with pytest.raises(
        InputError, match=rf"got a conversation of {n_prompt} tokens, 4 for each of its 2 images; allowed"
    ):
        generate(bundle, short, SIX)
    assert n_context_tokens(bundle) == n_prompt


def test_a_closed_stream_stops_the_model(bundle, talks) -> None:
    passes = []
    bundle.model.llm.model.register_forward_hook(lambda *_: passes.append(1))
    pieces = stream(bundle, talks[1], Decoding(max_new_tokens=400))
    next(pieces)
    pieces.close()
    assert len(passes) < 300


def test_an_error_in_the_stream_is_told(bundle, talks, tmp_path) -> None:
    talk = replace(talks[1], images=(tmp_path / "lost.png",))
    with pytest.raises(InputError, match=r"lost\.png: no such image file"):
        list(stream(bundle, talk, SIX))


def test_images_and_turns_agree(talks) -> None:
    with pytest.raises(ValueError, match="got 1 images, the turns speak of 2"):
        replace(talks[2], images=talks[2].images[:1])


@pytest.mark.parametrize("wrong", [{"max_new_tokens": 0}, {"temperature": -0.1}, {"top_p": 0.0}])
def test_decoding_is_checked(wrong) -> None:
    with pytest.raises(ValueError, match=f"got {next(iter(wrong))}="):
        Decoding(**wrong)
