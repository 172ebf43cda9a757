"""Cuts to equal rank, and random maps."""

import numpy as np
import pytest

from studies.probing import Stage, matched_rank, random_projection
from tests.studies.probing.planted import example


def test_the_cut_keeps_what_varies_most_and_learns_from_training_items_only() -> None:
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(20, 20)))[0]
    spread = np.array([9.0, 5.0, 3.0] + [0.1] * 17)
    X = rng.normal(size=(300, 20)) * spread @ basis
    X[200:] *= 100.0
    X[250] = np.nan
    cut = matched_rank(example(X), rank=3, train=np.arange(200))
    assert (cut.dim, cut.name, cut.level) == (3, "planted", "example")
    kept = cut.vectors[:200]
    # Against the eigenvectors of the covariance, up to sign.
    values, vectors = np.linalg.eigh(np.cov(X[:200].T))
    expected = (X[:200] - X[:200].mean(axis=0)) @ vectors[:, ::-1][:, :3]
    np.testing.assert_allclose(np.abs(kept), np.abs(expected), atol=1e-8)
    np.testing.assert_allclose(kept.var(axis=0, ddof=1), values[::-1][:3])
    assert np.isnan(cut.vectors[250]).all()


def test_a_rank_above_the_dimensions_turns_and_keeps_all() -> None:
    X = np.random.default_rng(1).normal(size=(50, 4))
    cut = matched_rank(example(X), rank=9, train=np.arange(50))
    assert cut.dim == 4
    between = np.linalg.norm(X[:, None] - X[None], axis=2)
    np.testing.assert_allclose(np.linalg.norm(cut.vectors[:, None] - cut.vectors[None], axis=2), between)


def test_option_rows_are_cut_by_those_of_training_items() -> None:
    rng = np.random.default_rng(2)
    question = np.repeat(np.arange(30), 2)
    vectors = rng.normal(size=(60, 3))
    vectors[40:, 2] *= 1000.0
    stage = Stage(name="o", level="option", vectors=vectors, question=question)
    cut = matched_rank(stage, rank=2, train=np.arange(20))
    alone = matched_rank(example(vectors[:40]), rank=2, train=np.arange(40))
    np.testing.assert_allclose(cut.vectors[:40], alone.vectors)
    assert cut.question is not None


def test_a_random_map_is_linear_and_keeps_lengths_about() -> None:
    X = np.random.default_rng(3).normal(size=(40, 200))
    stage = random_projection(example(X), dim=4000, seed=1, name="random")
    assert (stage.name, stage.dim) == ("random", 4000)
    ratio = (stage.vectors**2).mean() / (X**2).mean()
    assert ratio == pytest.approx(1.0, rel=0.05)
    double = random_projection(example(2 * X[:5]), dim=4000, seed=1, name="random")
    np.testing.assert_allclose(double.vectors, 2 * stage.vectors[:5])
    other = random_projection(example(X), dim=4000, seed=2, name="random")
    assert not np.allclose(other.vectors, stage.vectors)


def test_vectors_that_are_all_alike_stay_alike() -> None:
    cut = matched_rank(example(np.full((20, 5), 0.3)), rank=2, train=np.arange(15))
    np.testing.assert_allclose(cut.vectors, np.zeros((20, 2)), atol=1e-12)
