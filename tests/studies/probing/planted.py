"""Synthetic vectors with known answers."""

import numpy as np

from studies.probing import ChoiceTask, ClassTask, Stage


def example(vectors) -> Stage:
    return Stage(name="planted", level="example", vectors=np.asarray(vectors))


def classes(codes) -> ClassTask:
    return ClassTask(labels=np.asarray(codes).astype(str))


def linear_classes(n: int, *, dim: int = 12, n_classes: int = 3, distance: float = 2.0, seed: int = 0):
    """Vectors around one mean per class, their classes, and the best possible log-probability of each."""
    rng = np.random.default_rng(seed)
    means = np.linalg.qr(rng.normal(size=(dim, dim)))[0][:n_classes] * distance
    y = rng.integers(n_classes, size=n)
    X = means[y] + rng.normal(size=(n, dim))
    logit = X @ means.T - 0.5 * (means**2).sum(axis=1)
    log_prob = logit - np.logaddexp.reduce(logit, axis=1, keepdims=True)
    return X, y, log_prob


def same_options(codes, n_classes: int) -> ChoiceTask:
    """Each item has all classes as its options."""
    codes = np.asarray(codes)
    return ChoiceTask(
        question=np.repeat(np.arange(len(codes)), n_classes),
        option=np.tile(np.arange(n_classes).astype(str), len(codes)),
        is_right=(np.arange(n_classes) == codes[:, None]).ravel(),
    )


def split(n: int, n_train: int):
    return np.arange(n_train), np.arange(n_train, n)
