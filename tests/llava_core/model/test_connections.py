"""Queries and gated cross-attention: two more ways to connect the tower to the language model."""

import functools
from dataclasses import replace

import pytest
import torch

from llava_core.checkpoint import connect
from llava_core.data.collate import pad_batch
from llava_core.data.conversation import Turn, encode
from llava_core.data.template import MINI_V1
from llava_core.errors import InputError
from llava_core.inference.asking import ask
from llava_core.inference.decoding import Decoding
from llava_core.inference.generate import generate, question_dialogue
from llava_core.inference.logprob import option_logprobs
from llava_core.model.cross_attention import images_seen
from llava_core.model.llava import hf_names
from llava_core.model.packing import packed
from llava_core.model.projector import initialise, n_tokens_of, projector_settings
from llava_core.recipes import mini_cpu
from llava_core.train.batches import Row, deal
from llava_core.train.run import run_stage as run_stage_on_all_cores

run_stage = functools.partial(run_stage_on_all_cores, n_threads=1)
KINDS = {
    "query": {"n_queries": 3, "n_layers": 2},
    "gated_cross_attention": {"every_n_layers": 1},
}


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def connected(lively_bundle, kind):
    """A bundle of that kind whose image is heard, with open gates."""
    made = connect(lively_bundle, kind, settings=KINDS[kind], seed=1)
    wake(made.model.projector)
    return made


@pytest.fixture
def gated(lively_bundle):
    return connect(lively_bundle, "gated_cross_attention", seed=1)


def wake(projector):
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, weight in projector.named_parameters():
            if name.endswith("gate"):
                weight.fill_(0.7)
            elif weight.dim() == 2:
                weight.copy_(0.5 * torch.randn(weight.shape, generator=generator))


def conversation(bundle, answer, *, image="first", n_images=1, before=()):
    turns = [
        *before,
        Turn(role="human", text="What?", image=image, n_images=n_images if image else 1),
        Turn(role="assistant", text=answer),
    ]
    return encode(turns, bundle.tokenizer, MINI_V1, bundle.n_image_tokens)


def features(n_images, *, seed=0, n_patches=4):
    return torch.randn(n_images, n_patches, 16, generator=torch.Generator().manual_seed(seed))


def logits_of(bundle, encoded, shown):
    ids, mask, _ = pad_batch(encoded, bundle.pad_token_id)
    with torch.no_grad():
        return bundle.model(ids, mask, vision_features=shown).logits


def test_the_sequence_has_the_queries_or_the_tag_alone(connected, kind):
    model = connected.model
    assert model.n_patches == 4
    assert model.n_image_tokens == n_tokens_of(model.projector, 4) == {"query": 3}.get(kind, 1)
    width = 3 if kind == "query" else 4  # the blocks look at all patches
    assert model.project(features(2)).shape == (2, width, 24)
    encoded = conversation(connected, "red")
    assert encoded.input_ids.count(model.image_token_id) == model.n_image_tokens


@pytest.mark.parametrize("n_patches", [1, 9])
def test_the_number_of_patches_is_free(connected, n_patches):
    encoded = conversation(connected, "red")
    assert logits_of(connected, [encoded], features(1, n_patches=n_patches)).isfinite().all()


def test_closed_gates_leave_the_language_model_as_it_is(gated):
    encoded = [conversation(gated, "red"), conversation(gated, "a longer answer", image=None)]
    ids, mask, _ = pad_batch(encoded, gated.pad_token_id)
    with torch.no_grad():
        alone = gated.model.llm(input_ids=ids, attention_mask=mask).logits
    shown = logits_of(gated, encoded, features(1))
    torch.testing.assert_close(shown, alone, rtol=0, atol=0)
    wake(gated.model.projector)
    opened = logits_of(gated, encoded, features(1))
    assert not torch.allclose(opened[0], alone[0], atol=1e-2)
    torch.testing.assert_close(opened[1], alone[1], rtol=0, atol=0)  # a question without image


def test_a_token_before_the_image_does_not_see_it(gated):
    wake(gated.model.projector)
    before = [Turn(role="human", text="Hello"), Turn(role="assistant", text="Good day.")]
    encoded = conversation(gated, "red", image="last", before=before)
    tag = encoded.input_ids.index(gated.model.image_token_id)
    one, other = (logits_of(gated, [encoded], features(1, seed=seed)) for seed in (0, 1))
    torch.testing.assert_close(one[:, :tag], other[:, :tag], rtol=0, atol=0)
    assert not torch.allclose(one[:, tag:], other[:, tag:], atol=1e-2)


def test_blocks_are_those_of_the_equations(gated):
    """Against attention written out by hand, token by token."""
    wake(gated.model.projector)
    projector, shown = gated.model.projector, features(2)
    encoded = [conversation(gated, "red"), conversation(gated, "blue")]
    ids, mask, _ = pad_batch(encoded, gated.pad_token_id)
    found = []
    layer = gated.model.llm.model.layers[0]
    handle = layer.register_forward_hook(lambda module, args, output: found.append(args[0]))
    with torch.no_grad():
        gated.model(ids, mask, vision_features=shown)
        handle.remove()
        block, keys = projector.blocks[0], projector(shown)
        into, out = block.attention.in_proj_weight.chunk(3), block.attention.out_proj.weight
        states = gated.model.llm.get_input_embeddings()(ids)
        for row, position in (mask > 0).nonzero().tolist():
            state = states[row, position]
            if gated.model.image_token_id in ids[row, : position + 1]:
                query = into[0] @ block.norm_1(state)
                weights = torch.softmax(keys[row] @ into[1].T @ query / 24**0.5, 0)
                state = state + torch.tanh(torch.tensor(0.7)) * (out @ (weights @ (keys[row] @ into[2].T)))
                thought = block.down(torch.nn.functional.gelu(block.up(block.norm_2(state))))
                state = state + torch.tanh(torch.tensor(0.7)) * thought
            torch.testing.assert_close(found[0][row, position], state, atol=1e-5, rtol=1e-4)


def test_a_query_layer_attends_to_queries_and_patches(lively_bundle):
    """Queries are a set, and so are patches: permuted ones give the same, permuted alike."""
    projector = connect(lively_bundle, "query", settings={"n_queries": 5, "n_layers": 1}).model.projector
    shown, order = features(1, n_patches=6), torch.tensor([3, 1, 4, 0, 2])
    with torch.no_grad():
        before = projector(shown)
        torch.testing.assert_close(projector(shown.flip(1)), before, atol=1e-5, rtol=1e-4)
        projector.queries.copy_(projector.queries[order].clone())
        torch.testing.assert_close(projector(shown), before[:, order], atol=1e-5, rtol=1e-4)
        layer = projector.layers[0]
        states, patches = projector.queries[None], projector.patch_norm(projector.linear_1(shown))
        normed = layer.norm1(states)
        states = states + layer.self_attn(normed, normed, normed)[0]
        states = states + layer.multihead_attn(layer.norm2(states), patches, patches)[0]
        hidden = torch.nn.functional.gelu(layer.linear1(layer.norm3(states)))
        states = states + layer.linear2(hidden)
        expected = projector.linear_2(projector.norm(states))
        torch.testing.assert_close(projector(shown), expected, atol=1e-5, rtol=1e-4)


def test_images_count_in_their_order(connected):
    encoded = conversation(connected, "red", n_images=2)
    shown = features(2)
    one, other = (logits_of(connected, [encoded], images) for images in (shown, shown.flip(0)))
    assert not torch.allclose(one[0, -1], other[0, -1], atol=1e-2)
    pair = [conversation(connected, "red")] * 2
    rows = logits_of(connected, pair, shown)
    swapped = logits_of(connected, pair, shown.flip(0))
    assert not torch.allclose(rows[0, -1], rows[1, -1], atol=1e-2)
    torch.testing.assert_close(rows.flip(0), swapped, atol=1e-5, rtol=1e-4)


def test_tags_and_images_must_be_equally_many(gated):
    ids, mask, labels = pad_batch([conversation(gated, "red")], gated.pad_token_id)
    with pytest.raises(ValueError, match=r"got 1 image tokens in input_ids and 2 images"):
        gated.model(ids, mask, labels, features(2))
    with pytest.raises(ValueError, match=r"got 1 image tokens in input_ids and 0 images"):
        gated.model(ids, mask, labels)


def test_a_packed_row_has_the_loss_and_the_gradients_of_a_padded_batch(connected):
    model = connected.model
    encoded = [
        conversation(connected, "red"),
        conversation(connected, "an answer without image", image=None),
        conversation(connected, "two of them", n_images=2),
    ]
    shown, rows = features(3), [Row(encoded=each) for each in encoded]
    model.requires_grad_(True)
    found = []
    for packing in (False, True):
        model.zero_grad()
        (piece,) = deal(
            rows, rank=0, world=1, packing=packing, max_tokens=None, pad_token_id=connected.pad_token_id
        ).pieces
        with packed(model.llm) if packing else torch.enable_grad():
            loss = model(
                piece.input_ids, piece.attention_mask, piece.labels, shown, lengths=piece.lengths
            ).loss
        loss.backward()
        gradients = [p.grad.clone() for p in model.projector.parameters()]
        found.append((loss.detach(), gradients))
    torch.testing.assert_close(found[0][0], found[1][0])
    for padded, in_row in zip(found[0][1], found[1][1], strict=True):
        torch.testing.assert_close(padded, in_row, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("lengths", [(3, 4, 2), (9,)])
def test_what_each_token_sees_against_a_loop(lengths):
    generator = torch.Generator().manual_seed(0)
    is_tag = torch.rand(1, 9, generator=generator) < 0.3
    expected, image, position = [], -1, 0
    for length in lengths:
        last = -1
        for _ in range(length):
            if is_tag[0, position]:
                image += 1
                last = image
            expected.append(last)
            position += 1
    assert images_seen(is_tag, is_token=None, lengths=lengths).tolist() == [expected]


def test_padding_sees_nothing_on_either_side():
    is_tag = torch.tensor([[0, 0, 1, 0], [1, 0, 0, 0]]) > 0
    mask = torch.tensor([[0, 1, 1, 1], [1, 1, 0, 0]])
    assert images_seen(is_tag, is_token=mask, lengths=None).tolist() == [[-1, -1, 0, 0], [1, 1, -1, -1]]


@pytest.mark.parametrize(
    ("stage", "parts"),
    [("align", {"multi_modal_projector"}), ("finetune", {"multi_modal_projector", "language_model"})],
)
@pytest.mark.parametrize("packing", [False, True])
def test_a_stage_moves_what_it_trains(bundle, kind, drawn, tmp_path, stage, parts, packing):
    start = connect(bundle, kind, settings=KINDS[kind])
    before = {name: tensor.clone() for name, tensor in hf_names(start.model).items()}
    config = getattr(mini_cpu(), stage)
    config = replace(config, n_epochs=1, describe_epochs=0.0, batch_size=8, packing=packing)
    config = replace(config, new_projector=False)
    run_stage(config, start, drawn, out=tmp_path / stage, seed=0)
    after = hf_names(start.model)
    assert {name.split(".")[1] for name in before if not torch.equal(before[name], after[name])} == parts


@pytest.mark.parametrize("learns", ["projector", "llm"])
def test_gradients_reach_only_what_learns(connected, learns):
    model = connected.model.train()
    model.projector.requires_grad_(learns == "projector")
    model.llm.requires_grad_(learns == "llm")
    ids, mask, labels = pad_batch([conversation(connected, "red")], connected.pad_token_id)
    model(ids, mask, labels, features(1)).loss.backward()
    reached = {name.split(".")[0] for name, p in model.named_parameters() if p.grad is not None}
    assert reached == {learns}
    silent = [name for name, p in getattr(model, learns).named_parameters() if p.grad is None]
    assert not silent


def test_without_any_image_the_connection_stays_in_the_graph(connected):
    """Data-parallel training waits for a gradient of everything that learns."""
    model = connected.model
    model.projector.requires_grad_(True)
    ids, mask, labels = pad_batch([conversation(connected, "red", image=None)], connected.pad_token_id)
    model(ids, mask, labels, features(0)).loss.backward()
    assert all(p.grad is not None and not p.grad.any() for p in model.projector.parameters())


def test_gradient_checkpointing_gives_the_same_gradients(connected):
    model = connected.model.train()
    model.requires_grad_(True)
    ids, mask, labels = pad_batch([conversation(connected, "red")], connected.pad_token_id)
    found = []
    for checkpointing in (False, True):
        model.zero_grad()
        if checkpointing:
            model.llm.activation_checkpointing_enable({"use_reentrant": False})
        model(ids, mask, labels, features(1)).loss.backward()
        found.append([p.grad.clone() for p in model.projector.parameters()])
    model.llm.activation_checkpointing_disable()
    for plain, again in zip(*found, strict=True):
        torch.testing.assert_close(plain, again)


def test_scores_are_those_of_whole_sequences(connected, drawn):
    examples = [drawn[0], drawn[-1], drawn[1]]
    together = option_logprobs(connected, examples)
    for example, scores in zip(examples, together, strict=True):
        asked = ask(connected, example)
        shown = None
        if example.image is not None:
            from llava_core.data.images import load_pixels

            shown = connected.model.vision_features(load_pixels([example.image], connected.image_processor))
        for option, total in zip(asked.option_ids, scores.sum, strict=True):
            ids = torch.tensor([[*asked.prompt_ids, *option]])
            with torch.no_grad():
                logprob = connected.model(ids, vision_features=shown).logits[0].log_softmax(-1)
            n = len(asked.prompt_ids)
            expected = sum(logprob[n - 1 + k, token] for k, token in enumerate(option))
            assert float(total) == pytest.approx(float(expected), abs=1e-3)


def test_what_is_written_is_what_the_logits_say_step_by_step(connected, drawn):
    examples = [drawn[0], drawn[-1], drawn[2]]
    dialogues = [question_dialogue(connected, example) for example in examples]
    found = generate(connected, dialogues, Decoding(max_new_tokens=8))
    assert len(set(found)) > 1
    for example, text in zip(examples, found, strict=True):
        from llava_core.data.images import load_pixels

        shown = None
        if example.image is not None:
            shown = connected.model.vision_features(load_pixels([example.image], connected.image_processor))
        ids = [*ask(connected, example).prompt_ids]
        n_prompt = len(ids)
        for _ in range(8):
            with torch.no_grad():
                token = int(
                    connected.model(torch.tensor([ids]), vision_features=shown).logits[0, -1].argmax()
                )
            if token == connected.tokenizer.eos_token_id:
                break
            ids.append(token)
        written = connected.tokenizer.decode(
            ids[n_prompt:], skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        assert text == written.strip()


def test_the_picture_changes_the_answer(connected, drawn):
    shown = option_logprobs(connected, [drawn[0]])[0].sum
    blank = option_logprobs(connected, [drawn[0]], blank_image=True)[0].sum
    assert abs(shown - blank).max() > 1e-2


def test_a_fresh_connection_does_not_flood_the_language_model(lively_bundle, kind):
    model = connect(lively_bundle, kind, settings=KINDS[kind]).model
    scale = torch.linspace(0.1, 9, 16)
    sample = 5 + scale * features(300)
    embeddings = model.llm.get_input_embeddings().weight.detach()
    initialise(model.projector, sample, embeddings, generator=torch.Generator().manual_seed(0))
    first = model.projector.linear_1(sample)
    assert float(first.mean((0, 1)).abs().max()) < 1e-3
    assert 0.7 < float(first.std()) < 1.3
    if kind == "query":
        assert 0.7 < float(model.project(sample).std() / embeddings.std()) < 1.3
    else:
        assert all(not block.attention_gate.any() for block in model.projector.blocks)
    again = connect(lively_bundle, kind, settings=KINDS[kind], seed=7).model
    initialise(again.projector, sample, embeddings, generator=torch.Generator().manual_seed(0))
    for name, tensor in model.projector.state_dict().items():
        torch.testing.assert_close(tensor, again.projector.state_dict()[name], rtol=0, atol=0)


def test_blocks_may_stand_before_some_layers_only(lively_bundle):
    made = connect(lively_bundle, "gated_cross_attention", settings={"every_n_layers": 2})
    assert len(made.model.projector.blocks) == 1
    assert projector_settings(made.model.projector) == {"n_llm_layers": 2, "every_n_layers": 2}
    wake(made.model.projector)
    encoded = conversation(made, "red")
    one, other = (logits_of(made, [encoded], features(1, seed=seed)) for seed in (0, 1))
    assert not torch.allclose(one[0, -1], other[0, -1], atol=1e-2)


def test_connecting_back_leaves_no_trace(gated):
    wake(gated.model.projector)
    linear = connect(gated, "linear")
    encoded = conversation(linear, "red", image=None)
    ids = torch.tensor([encoded.input_ids])
    with torch.no_grad():
        alone = linear.model.llm(input_ids=ids).logits
    torch.testing.assert_close(logits_of(linear, [encoded], None), alone, rtol=0, atol=0)
    assert linear.model.n_image_tokens == 4


@pytest.mark.parametrize(
    ("kind", "settings", "layer", "message"),
    [
        ("resampler", {}, -2, "got projector 'resampler', allowed are linear"),
        ("query", {"n_query": 3}, -2, r"got settings \['n_query'\], which projector 'query' does not take"),
        ("query", {"n_queries": 0}, -2, "n_queries=0"),
        ("gated_cross_attention", {"n_llm_layers": 7}, -2, "cross-attention for 7 layers"),
        ("linear", {}, -5, r"vision_layer: got -5, allowed is -4 to 3"),
    ],
)
def test_what_cannot_be_connected_is_refused(lively_bundle, kind, settings, layer, message):
    with pytest.raises(InputError, match=message):
        connect(lively_bundle, kind, settings=settings, vision_layer=layer)
