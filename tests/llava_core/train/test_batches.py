import itertools

import numpy as np
import pytest
import torch

from llava_core.data.conversation import IGNORE_INDEX, Encoded
from llava_core.model.packing import packed
from llava_core.train.batches import Row, balanced_bins, deal


def row(length, *, n_answer=2):
    ids = tuple(range(10, 10 + length))
    return Row(encoded=Encoded(input_ids=ids, labels=(IGNORE_INDEX,) * (length - n_answer) + ids[-n_answer:]))


def best_maximum(lengths, n_bins):
    """Slow oracle: the smallest possible fullest bin, over all ways to deal."""
    ways = itertools.product(range(n_bins), repeat=len(lengths))
    return min(
        max(sum(x for x, b in zip(lengths, way, strict=True) if b == k) for k in range(n_bins))
        for way in ways
    )


@pytest.mark.parametrize("n_bins", [1, 2, 3])
@pytest.mark.parametrize("seed", range(5))
def test_bins_hold_everything_once_and_are_as_even_as_graham_says(n_bins, seed):
    lengths = np.random.default_rng(seed).integers(1, 30, 7).tolist()
    bins = balanced_bins(lengths, n_bins)
    assert sorted(index for bin_ in bins for index in bin_) == list(range(7))
    assert all(bin_ == sorted(bin_) for bin_ in bins)
    fullest = max(sum(lengths[index] for index in bin_) for bin_ in bins)
    best = best_maximum(lengths, n_bins)
    assert best <= fullest <= best * (4 / 3 - 1 / (3 * n_bins)) + 1e-9


@pytest.mark.parametrize("packing", [True, False])
@pytest.mark.parametrize("max_tokens", [None, 20, 41])
@pytest.mark.parametrize("world", [1, 2, 3])
def test_all_processes_together_compute_the_batch_once(packing, max_tokens, world):
    rows = [row(length) for length in (5, 20, 7, 13, 9, 6, 11)]
    steps = [
        deal(rows, rank=rank, world=world, packing=packing, max_tokens=max_tokens, pad_token_id=0)
        for rank in range(world)
    ]
    assert len({len(step.pieces) for step in steps}) == 1
    assert {step.n_supervised for step in steps} == {14}
    pieces = [piece for step in steps for piece in step.pieces]
    assert sum(int((piece.labels[:, 1:] >= 0).sum()) for piece in pieces) == 14
    if max_tokens is not None:
        assert max(piece.input_ids.numel() for piece in pieces) <= max_tokens
    if packing:
        assert all(sum(piece.lengths) == piece.input_ids.numel() == piece.n_tokens for piece in pieces)
        assert sorted(n for piece in pieces for n in piece.lengths)[-7:] == [5, 6, 7, 9, 11, 13, 20]


def test_more_processes_than_conversations_repeat_one_without_loss():
    steps = [
        deal([row(5), row(9)], rank=rank, world=4, packing=True, max_tokens=None, pad_token_id=0)
        for rank in range(4)
    ]
    supervised = [int((step.pieces[0].labels >= 0).sum()) for step in steps]
    assert sorted(supervised) == [0, 0, 2, 2]
    assert all(step.pieces[0].n_tokens == 5 for step, n in zip(steps, supervised, strict=True) if n == 0)


def test_a_conversation_longer_than_a_piece_is_refused():
    with pytest.raises(ValueError, match="got a conversation of 9 tokens, a piece holds 8"):
        deal([row(5), row(9)], rank=0, world=1, packing=True, max_tokens=8, pad_token_id=0)


def test_packed_and_padded_batches_have_the_same_loss_and_gradients(bundle):
    rows = [row(length) for length in (5, 20, 7, 13)]
    model = bundle.model
    model.llm.requires_grad_(True)
    found = []
    for packing in (True, False):
        for max_tokens in (None, 45):
            step = deal(rows, rank=0, world=1, packing=packing, max_tokens=max_tokens, pad_token_id=0)
            model.zero_grad()
            total = 0.0
            for piece in step.pieces:
                arguments = {"lengths": piece.lengths, "n_supervised": step.n_supervised}
                if packing:
                    with packed(model.llm):
                        loss = model(piece.input_ids, None, piece.labels, **arguments).loss
                else:
                    loss = model(piece.input_ids, piece.attention_mask, piece.labels, **arguments).loss
                loss.backward()
                total += loss.item()
            found.append((total, model.llm.model.layers[0].mlp.up_proj.weight.grad.clone()))
    for total, gradient in found[1:]:
        assert total == pytest.approx(found[0][0], rel=1e-5)
        torch.testing.assert_close(gradient, found[0][1], atol=1e-6, rtol=1e-3)
