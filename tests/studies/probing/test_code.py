"""Code lengths, learning curves and usable bits."""

import numpy as np
import pytest

from studies.probing import PROBES, Stage, online_code, prior_log_prob, read_out, usable_bits
from studies.probing.code import Block
from tests.studies.probing.planted import classes, example, linear_classes, same_options, split


def code_of(name: str, X, task, *, groups=None, n_train: int, settings=None, seed: int = 0):
    n = len(X)
    train, test = split(n, n_train)
    return online_code(
        name,
        example(X),
        task,
        groups=np.arange(n) if groups is None else groups,
        train=train,
        test=test,
        settings=PROBES[name].middle() if settings is None else settings,
        seed=seed,
    )


@pytest.mark.parametrize("name", list(PROBES))
def test_what_can_be_read_off_takes_fewer_bits_than_noise(name: str) -> None:
    X, y, _ = linear_classes(700, n_classes=4, dim=8, distance=6.0)
    noise = np.random.default_rng(3).integers(4, size=700)
    found, lost = (code_of(name, X, classes(labels), n_train=600) for labels in (y, noise))
    assert found.uniform_bits == lost.uniform_bits == pytest.approx(600 * 2.0, abs=1e-9)
    assert found.total_bits < 0.6 * lost.total_bits
    # The simplest settings, which noise chooses, cost nothing against the uniform code.
    simplest = code_of(name, X, classes(noise), n_train=600, settings=PROBES[name].grid[0])
    assert simplest.compression == pytest.approx(1.0, abs=0.12)
    assert lost.prior_bits == pytest.approx(lost.uniform_bits, rel=0.03)


def test_blocks_double_and_add_up() -> None:
    X, y, _ = linear_classes(740)
    code = code_of("linear", X, classes(y), n_train=640)
    assert [block.n_sent for block in code.blocks] == [20, 20, 40, 80, 160, 320]
    assert [block.n_known for block in code.blocks] == [0, 20, 40, 80, 160, 320]
    assert sum(block.bits for block in code.blocks) == pytest.approx(code.total_bits)
    assert code.blocks[0].bits == pytest.approx(20 * np.log2(3))
    assert [n for n, _ in code.curve] == [20, 40, 80, 160, 320]
    assert all(credit.shape == (100,) for _, credit in code.curve)
    assert code.curve[-1][1].mean() > code.curve[0][1].mean()
    assert code.n == 640


def test_families_are_sent_whole_and_a_block_is_what_a_read_out_says() -> None:
    X, y, _ = linear_classes(400)
    groups = np.random.default_rng(4).integers(12, size=400)
    train = np.arange(300)
    task, settings = classes(y), {"C": 0.01}
    code = code_of("linear", X, task, groups=groups, n_train=300, settings=settings, seed=2)
    sizes = np.bincount(groups[train])
    assert sum(block.n_sent for block in code.blocks) == 300
    last = code.blocks[-1]
    # Which families the last block holds: the only set of that size for which the read-out has these bits.
    order = np.random.default_rng([2, 3]).permutation(12)
    sent = order[groups[train]]
    ends = np.cumsum(np.bincount(sent))
    first = np.searchsorted(ends, last.n_known) + 1
    assert ends[first - 1] == last.n_known
    assert sizes.sum() == 300
    known, asked = train[sent < first], train[sent >= first]
    assert not set(groups[known]) & set(groups[asked])
    found = read_out(
        "linear", example(X), task, groups=groups, train=known, test=asked, seed=2, settings=settings
    )
    assert last.bits == pytest.approx(-found.log_prob.sum() / np.log(2), rel=1e-6)


def test_one_family_is_sent_with_the_uniform_code() -> None:
    X, y, _ = linear_classes(60)
    code = code_of("tree", X, classes(y), groups=np.zeros(60), n_train=40)
    assert code.blocks == (Block(n_known=0, n_sent=40, bits=code.uniform_bits),)
    assert code.curve == ()
    assert code.compression == 1.0
    assert code.prior_bits == code.uniform_bits == pytest.approx(40 * np.log2(3))


def test_one_class_takes_no_bit() -> None:
    X, _, _ = linear_classes(60)
    code = code_of("neighbours", X, classes(np.zeros(60, dtype=int)), n_train=40)
    assert code.total_bits == code.uniform_bits == code.prior_bits == 0
    assert code.compression == 1.0


def test_options_are_sent_among_their_own() -> None:
    rng = np.random.default_rng(5)
    codes = rng.integers(4, size=300)
    task = same_options(codes, 4)
    vectors = rng.normal(size=(1200, 4))
    vectors[:, 0] += 5 * task.is_right
    stage = Stage(name="o", level="option", vectors=vectors, question=task.question)
    train, test = split(300, 250)
    code = online_code(
        "linear",
        stage,
        task,
        groups=np.arange(300),
        train=train,
        test=test,
        settings={"C": 1.0},
        seed=0,
    )
    assert code.uniform_bits == code.prior_bits == 500
    assert code.total_bits < 150


def test_usable_bits_of_a_probe_that_is_calibrated() -> None:
    """A label is copied with probability q; knowing the copy is worth 1 - H(q) bits."""
    q, n = 0.9, 20000
    rng = np.random.default_rng(6)
    y = rng.integers(2, size=n)
    copied = rng.random(n) < q
    log_prob = np.log(np.where(copied, q, 1 - q))
    train, test = split(2 * n, n)
    task = classes(np.concatenate([np.arange(n) % 2, y]))
    bits = usable_bits(log_prob, task, train=train, test=test)
    np.testing.assert_allclose(np.unique(bits), [np.log2(0.1) + 1, np.log2(0.9) + 1])
    entropy = -(q * np.log2(q) + (1 - q) * np.log2(1 - q))
    assert bits.mean() == pytest.approx(1 - entropy, abs=0.02)


def test_who_knows_the_prior_only_has_no_usable_bit() -> None:
    task = classes([0, 0, 0, 1, 0, 1, 2])
    train, test = split(7, 4)
    prior = prior_log_prob(task, train, test)
    np.testing.assert_allclose(np.exp(prior), np.array([3 + 1 / 3, 1 + 1 / 3, 1 / 3]) / 5)
    np.testing.assert_array_equal(usable_bits(prior, task, train=train, test=test), 0.0)
    choice = same_options([0, 1, 2, 3], 4)
    np.testing.assert_allclose(prior_log_prob(choice, np.arange(2), np.array([3])), -np.log(4))


def test_a_probe_without_signal_reaches_no_bit() -> None:
    rng = np.random.default_rng(7)
    X, y = rng.normal(size=(1000, 4)), rng.integers(3, size=1000)
    train, test = split(1000, 600)
    found = read_out("linear", example(X), classes(y), groups=np.arange(1000), train=train, test=test, seed=0)
    bits = usable_bits(found.log_prob, classes(y), train=train, test=test)
    assert bits.mean() == pytest.approx(0.0, abs=0.02)
