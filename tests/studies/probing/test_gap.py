"""The modality gap against sums over pairs."""

import numpy as np
import pytest

from studies.probing import modality_gap


def test_sums_over_pairs() -> None:
    rng = np.random.default_rng(0)
    image, text = rng.normal(size=(25, 6)) + 1.0, rng.normal(size=(25, 6)) - 0.5
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (image, text))
    found = modality_gap(image, text)
    different = ~np.eye(25, dtype=bool)
    assert found.centroid_distance == pytest.approx(np.linalg.norm(a.mean(axis=0) - b.mean(axis=0)))
    assert found.image_cosine == pytest.approx((a @ a.T)[different].mean())
    assert found.text_cosine == pytest.approx((b @ b.T)[different].mean())
    assert found.pair_cosine == pytest.approx(np.diag(a @ b.T).mean())
    assert found.other_cosine == pytest.approx((a @ b.T)[different].mean())
    assert found.n == 25


def test_lengths_do_not_count_and_the_same_vectors_have_no_gap() -> None:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(40, 5))
    found = modality_gap(X, X * rng.uniform(0.1, 9.0, size=(40, 1)))
    assert found.centroid_distance == pytest.approx(0.0, abs=1e-12)
    assert found.pair_cosine == pytest.approx(1.0)
    assert found.image_cosine == pytest.approx(found.text_cosine)


def test_bad_vectors_are_refused() -> None:
    with pytest.raises(ValueError, match="length 0"):
        modality_gap(np.zeros((3, 2)), np.ones((3, 2)))
    with pytest.raises(ValueError, match="two rows or more"):
        modality_gap(np.ones((3, 2)), np.ones((4, 2)))
