import itertools
import math

import pytest
import torch
from torch import nn

from llava_core.train.loop import (
    OptimConfig,
    epochs,
    gradients,
    lr_factor,
    make_optimizer,
    optimise,
    threads,
)


def minimise(weight, batches, loss_of, *, config, **options):
    optimizer = make_optimizer([weight], config)
    return optimise([weight], optimizer, batches, gradients(loss_of), config=config, **options)


def test_schedule_rises_linearly_and_falls_as_a_cosine_to_zero():
    factors = [lr_factor(step, 100, 0.1) for step in range(100)]
    assert factors[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert factors[10] == pytest.approx(1.0)
    assert factors[55] == pytest.approx(0.5)
    assert 0 < factors[-1] < 0.001
    assert all(a >= b for a, b in itertools.pairwise(factors[10:]))


def test_a_step_is_adamw_with_clipped_gradient():
    weight = nn.Parameter(torch.tensor([[3.0, -2.0]]))
    twin = nn.Parameter(weight.detach().clone())
    config = OptimConfig(lr=0.1, warmup_frac=0.0, clip_norm=0.5, weight_decay=0.01)
    trace = minimise(weight, [1.0] * 3, lambda b: b * (weight**2).sum(), n_steps=3, config=config, every=1)
    reference = torch.optim.AdamW([twin], lr=0.1, weight_decay=0.01)
    losses = []
    for step in range(3):
        reference.param_groups[0]["lr"] = 0.1 * lr_factor(step, 3, 0.0)
        loss = (twin**2).sum()
        losses.append(float(loss.detach()))
        reference.zero_grad()
        loss.backward()
        twin.grad.mul_(min(1.0, 0.5 / float(twin.grad.norm())))
        reference.step()
    torch.testing.assert_close(weight, twin)
    assert [step for step, _ in trace.loss] == [1, 2, 3]
    assert [loss for _, loss in trace.loss] == pytest.approx(losses)


def test_too_few_batches_and_infinite_loss_are_refused():
    weight = nn.Parameter(torch.ones(1))
    config = OptimConfig(lr=0.1)
    with pytest.raises(ValueError, match="got 1 batches, expected 2"):
        minimise(weight, [0], lambda _: weight.sum(), n_steps=2, config=config)
    with pytest.raises(ValueError, match="got loss inf at step 0"):
        minimise(weight, [0], lambda _: weight.sum() * math.inf, n_steps=1, config=config)


def test_epochs_go_on_until_the_steps_are_done():
    assert list(epochs(lambda number: [f"{number}{letter}" for letter in "abc"], 5)) == [
        "0a",
        "0b",
        "0c",
        "1a",
        "1b",
    ]
    with pytest.raises(ValueError, match="empty epoch"):
        list(epochs(lambda _: [], 1))


def test_threads_are_given_back():
    before = torch.get_num_threads()
    with threads(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_a_training_goes_on_where_another_stopped():
    config, batches = OptimConfig(lr=0.1, weight_decay=0.01), [1.0, 2.0, 0.5, 3.0, 1.5, 0.7]
    weight, twin = (nn.Parameter(torch.tensor([[3.0, -2.0]])) for _ in range(2))
    options = {"n_steps": 6, "config": config, "every": 4}
    whole = minimise(weight, batches, lambda b: b * (weight**2).sum(), **options)
    reports = []
    optimizer = make_optimizer([twin], config)
    step = gradients(lambda b: b * (twin**2).sum())
    with pytest.raises(ValueError, match="got 3 batches"):
        optimise([twin], optimizer, batches[:3], step, after_step=reports.append, **options)
    rest = optimise([twin], optimizer, batches[3:], step, before=reports[-1], **options)
    assert torch.equal(weight, twin)
    assert rest.loss == whole.loss


def test_the_projector_can_have_a_rate_of_its_own():
    llm, projector = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(3))
    optimizer = make_optimizer([llm, projector], OptimConfig(lr=0.1, projector_lr=0.5), projector=[projector])
    peak = {id(p): group["peak_lr"] for group in optimizer.param_groups for p in group["params"]}
    assert peak == {id(llm): 0.1, id(projector): 0.5}
