import numpy as np
import pytest
import torch
from torch import nn

from llava_core.train.contrastive import (
    CaptionedImages,
    ContrastiveConfig,
    caption_matching,
    contrastive_loss,
    pretrain_clip,
)
from llava_core.train.loop import OptimConfig
from llava_core.train.pretrain import captioned_images


def unit(*shape, seed=0):
    return nn.functional.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def test_loss_is_clips_where_all_captions_differ():
    image, text, scale = unit(6, 8), unit(6, 8, seed=1), torch.tensor(7.0)
    logits = scale * image @ text.T
    targets = torch.arange(6)
    cross_entropy = nn.functional.cross_entropy
    expected = (cross_entropy(logits, targets) + cross_entropy(logits.T, targets)) / 2
    torch.testing.assert_close(contrastive_loss(image, text, targets, scale), expected)


def test_equal_captions_do_not_push_each_other_away():
    text, scale = unit(1, 8, seed=1).repeat(2, 1), torch.tensor(50.0)
    # Two positives share the probability, so the loss of a perfect match is their entropy.
    assert float(contrastive_loss(text, text, torch.tensor([5, 5]), scale)) == pytest.approx(
        np.log(2), abs=1e-5
    )


def test_loss_does_not_depend_on_the_order_of_rows():
    image, text, caption = unit(6, 8), unit(6, 8, seed=1), torch.tensor([0, 1, 1, 2, 3, 0])
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    scale = torch.tensor(3.0)
    torch.testing.assert_close(
        contrastive_loss(image[order], text[order], caption[order], scale),
        contrastive_loss(image, text, caption, scale),
    )


def test_pretraining_learns_to_match_colours(bundle, drawn):
    data = captioned_images(drawn, bundle)
    config = ContrastiveConfig(n_steps=150, batch_size=16, optim=OptimConfig(lr=3e-3), max_shift_px=1)
    before = {name: tensor.clone() for name, tensor in bundle.clip.state_dict().items()}
    trace = pretrain_clip(bundle.clip, data, config, seed=0)
    assert trace.loss[-1][1] < 0.6 * trace.loss[0][1]
    one_skill = CaptionedImages(
        pixels=data.pixels,
        input_ids=data.input_ids,
        mask=data.mask,
        caption=data.caption,
        skill=np.zeros_like(data.skill),
    )
    ((accuracy, n),) = caption_matching(bundle.clip, one_skill).values()
    assert n == len(data.caption)
    assert accuracy > 0.8
    assert any(not torch.equal(before[name], tensor) for name, tensor in bundle.clip.state_dict().items())


def test_matching_of_a_random_tower_is_near_chance_and_skips_poor_skills(bundle, drawn):
    data = captioned_images(drawn, bundle)
    assert caption_matching(bundle.clip, data, n_candidates=30) == {}
