import pytest
import torch
from torch import nn

from llava_core.data.collate import pad_batch
from llava_core.data.conversation import Turn, encode
from llava_core.data.template import MINI_V1
from llava_core.model.llava import hf_names, load_hf_names
from llava_core.model.projector import initialise


def batch(bundle, *answers, image="first"):
    turns = [[Turn(role="human", text="What?", image=image), Turn(role="assistant", text=a)] for a in answers]
    encoded = [encode(t, bundle.tokenizer, MINI_V1, bundle.n_image_tokens) for t in turns]
    return pad_batch(encoded, bundle.tokenizer.pad_token_id)


def test_features_are_the_last_layer_but_one_without_cls(bundle):
    pixels = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    tower = bundle.model.vision_tower
    hidden = tower.pre_layrnorm(tower.embeddings(pixels))
    for layer in tower.encoder.layers[:-1]:
        hidden = layer(hidden, None)
    features = bundle.model.vision_features(pixels)
    assert features.shape == (2, bundle.n_image_tokens, 16)
    torch.testing.assert_close(features, hidden[:, 1:])
    assert not features.requires_grad


def test_patches_replace_image_tokens_in_reading_order(bundle):
    input_ids, _, _ = batch(bundle, "red", "a much longer answer")
    features = torch.randn(2, bundle.n_image_tokens, 16)
    embedded = bundle.model.embed(input_ids, features)
    projected = bundle.model.project(features)
    words = bundle.model.llm.get_input_embeddings()(input_ids)
    for row in range(2):
        at = input_ids[row] == bundle.model.image_token_id
        torch.testing.assert_close(embedded[row, at], projected[row])
        torch.testing.assert_close(embedded[row, ~at], words[row, ~at])


def test_mismatch_of_tokens_and_patches_names_both_counts(bundle):
    input_ids, mask, labels = batch(bundle, "red", "blue")
    with pytest.raises(ValueError, match=r"got 8 image tokens .* 4 image patches"):
        bundle.model(input_ids, mask, labels, torch.randn(1, bundle.n_image_tokens, 16))
    with pytest.raises(ValueError, match=r"got 8 image tokens .* 0 image patches"):
        bundle.model(input_ids, mask, labels)


def test_padding_changes_nothing(bundle):
    features = torch.randn(2, bundle.n_image_tokens, 16)
    input_ids, mask, _ = batch(bundle, "red", "a much longer answer")
    together = bundle.model(input_ids, mask, vision_features=features).logits
    input_ids, mask, _ = batch(bundle, "red")
    alone = bundle.model(input_ids, mask, vision_features=features[:1]).logits
    torch.testing.assert_close(together[:1, : alone.shape[1]], alone, atol=1e-5, rtol=1e-4)


def test_the_head_on_supervised_tokens_only_gives_the_loss_of_the_definition(bundle):
    input_ids, mask, labels = batch(bundle, "red", "a much longer answer")
    features = torch.randn(2, bundle.n_image_tokens, 16)
    logprobs = bundle.model(input_ids, mask, vision_features=features).logits.log_softmax(-1)
    by_hand = [
        -logprobs[row, position - 1, labels[row, position]]
        for row, position in (labels != -100).nonzero().tolist()
    ]
    loss = bundle.model(input_ids, mask, labels, features).loss
    torch.testing.assert_close(loss, torch.stack(by_hand).mean())
    shared = bundle.model(input_ids, mask, labels, features, n_supervised=100).loss
    torch.testing.assert_close(shared, torch.stack(by_hand).sum() / 100)


@pytest.mark.parametrize("layer", [0, 1, -1, -2, -3])
@pytest.mark.parametrize("keep_cls", [False, True])
def test_any_hidden_state_of_the_tower_can_be_read(bundle, layer, keep_cls):
    model, pixels = bundle.model, torch.randn(2, 3, 32, 32)
    hidden = model.vision_tower(pixel_values=pixels, output_hidden_states=True).hidden_states[layer]
    model.vision_layer, model.keep_cls = layer, keep_cls
    torch.testing.assert_close(model.vision_features(pixels), hidden if keep_cls else hidden[:, 1:])
    assert model.vision_features(pixels).shape[1] == model.n_image_tokens


@pytest.mark.parametrize("layer", [0, -1, -3])
@pytest.mark.parametrize("pooled", [False, True])
def test_one_pass_gives_the_means_of_any_layers(bundle, layer, pooled):
    """Against all hidden states of the stock tower; the pass goes on behind the layer that is read."""
    model, pixels, layers = bundle.model, torch.randn(3, 3, 32, 32), (-2, 0, 3, -2, 1)
    model.vision_layer = layer
    stock = model.vision_tower(pixel_values=pixels, output_hidden_states=True)
    outputs = model.vision_outputs(pixels, pooled=pooled, keep_layers=layers)
    expected = torch.stack([stock.hidden_states[each][:, 1:].mean(1) for each in layers], 1)
    torch.testing.assert_close(outputs.layer_means, expected)
    torch.testing.assert_close(outputs.features, stock.hidden_states[layer][:, 1:])
    if pooled:
        torch.testing.assert_close(outputs.pooled, stock.pooler_output)
    else:
        assert outputs.pooled is None


@pytest.mark.parametrize(
    ("asked", "n_run"),
    [({}, 2), ({"keep_layers": (0, 1)}, 2), ({"keep_layers": (0, -1)}, 3), ({"pooled": True}, 3)],
)
def test_layers_behind_the_last_one_asked_for_do_not_run(bundle, asked, n_run):
    ran = []
    for layer in bundle.model.vision_tower.encoder.layers:
        layer.register_forward_hook(lambda *_: ran.append(1))
    outputs = bundle.model.vision_outputs(torch.randn(1, 3, 32, 32), **asked)
    assert len(ran) == n_run
    assert outputs.layer_means.shape == (1, len(asked.get("keep_layers", ())), 16)


def test_text_only_rows_need_no_features(bundle):
    assert bundle.model(*batch(bundle, "red", image=None)).loss.isfinite()


def test_tower_stays_frozen_and_in_evaluation_mode(bundle):
    bundle.model.train()
    assert bundle.model.llm.training
    assert not bundle.model.vision_tower.training
    assert not any(p.requires_grad for p in bundle.model.vision_tower.parameters())


def test_names_are_those_of_the_stock_class(bundle):
    from transformers import CLIPVisionConfig, LlavaConfig, LlavaForConditionalGeneration

    model = bundle.model
    stock = LlavaForConditionalGeneration(
        LlavaConfig(
            vision_config=CLIPVisionConfig.from_dict(model.vision_tower.config.to_dict()),
            text_config=model.llm.config,
            image_token_index=model.image_token_id,
        )
    ).state_dict()
    for name, tensor in hf_names(model).items():
        assert stock[name].shape == tensor.shape, name
    missing = set(stock) - set(hf_names(model))
    assert missing == {
        "lm_head.weight",  # tied to the embeddings
        "model.multi_modal_projector.linear_2.weight",
        "model.multi_modal_projector.linear_2.bias",
    }


def test_weights_survive_the_way_over_stock_names(bundle):
    weights = {name: torch.randn_like(tensor) for name, tensor in hf_names(bundle.model).items()}
    load_hf_names(bundle.model, weights)
    for name, tensor in hf_names(bundle.model).items():
        torch.testing.assert_close(tensor, weights[name])
    weights.pop("model.language_model.norm.weight")
    with pytest.raises(ValueError, match=r"model\.language_model\.norm\.weight"):
        load_hf_names(bundle.model, weights)


def test_fresh_projector_has_the_spread_of_the_embeddings():
    from llava_core.model.projector import LinearProjector

    generator = torch.Generator().manual_seed(1)
    features = 5 + torch.randn(200, 4, 32, generator=generator) * torch.linspace(0.1, 9, 32)
    embeddings = 0.03 * torch.randn(500, 48, generator=generator)
    projector = LinearProjector(32, 48)
    initialise(projector, features, embeddings, generator=generator)
    projected = projector(features).detach()
    assert projected.mean((0, 1)).abs().max() < 1e-3
    assert 0.8 < float(projected.std() / embeddings.std()) < 1.2
    assert isinstance(projector.linear_1, nn.Linear)
