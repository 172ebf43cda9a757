"""The modality gap: how far the vectors of images and of their texts lie apart on the sphere.

References
----------
Liang, W. et al. (2022). Mind the gap: understanding the modality gap in multi-modal contrastive
representation learning. NeurIPS.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, kw_only=True, slots=True)
class ModalityGap:
    """Distances and mean cosines of vectors of length 1."""

    centroid_distance: float
    """Between the mean of the images and that of the texts, in [0, 2]."""
    image_cosine: float
    """Mean over pairs of different images: near 1 they share a narrow cone."""
    text_cosine: float
    pair_cosine: float
    """Mean of an image and its own text."""
    other_cosine: float
    """Mean of an image and another item's text."""
    n: int
    """Pairs."""


def modality_gap(image: ArrayLike, text: ArrayLike) -> ModalityGap:
    """Measure the gap between images and their texts in a joint space.

    Parameters
    ----------
    image, text : (n_pairs, dim) array_like of float
        Of the same item in the same row, none of length 0.

    Raises
    ------
    ValueError
        If shapes differ, there are fewer than two pairs, or a vector has length 0.

    Examples
    --------
    >>> modality_gap([[1.0, 0.0], [1.0, 0.0]], [[0.0, 2.0], [0.0, 3.0]])
    ... # doctest: +NORMALIZE_WHITESPACE
    ModalityGap(centroid_distance=1.4142135623730951, image_cosine=1.0, text_cosine=1.0, pair_cosine=0.0,
                other_cosine=0.0, n=2)
    """
    images, texts = _unit(image), _unit(text)
    if images.shape != texts.shape or len(images) < 2:
        raise ValueError(
            f"got images of shape {images.shape} and texts of {texts.shape}, expected two rows or more"
        )
    n = len(images)
    of_pairs = (images * texts).sum()
    crossed = images.sum(axis=0) @ texts.sum(axis=0)
    return ModalityGap(
        centroid_distance=float(np.linalg.norm(images.mean(axis=0) - texts.mean(axis=0))),
        image_cosine=_within(images),
        text_cosine=_within(texts),
        pair_cosine=float(of_pairs / n),
        other_cosine=float((crossed - of_pairs) / (n * (n - 1))),
        n=n,
    )


def _unit(vectors: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(vectors, dtype=np.float64)
    assert np.isfinite(array).all(), "items without a vector are left out by the caller"
    length = np.linalg.norm(array, axis=1, keepdims=True)
    if (length == 0).any():
        raise ValueError("got a vector of length 0, which has no direction")
    return np.asarray(array / length)


def _within(units: NDArray[np.float64]) -> float:
    n = len(units)
    total = units.sum(axis=0)
    return float((total @ total - n) / (n * (n - 1)))
