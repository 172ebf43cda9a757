"""Overlap of an option with the other texts of its question."""

import numpy as np
import pandas as pd

from studies.design.texts import Overlap

WORDS = ("anthracite", "burgundy", "cornflower", "dandelion", "emerald", "flax", "gold", "heather")


def questions(n: int, rng: np.random.Generator) -> pd.DataFrame:
    rows = [
        {"question_id": q, "question": "Which colour is it?", "option": " ".join(rng.permutation(WORDS)[:3])}
        for q in range(n)
        for _ in range(int(rng.integers(2, 6)))
    ]
    return pd.DataFrame(rows).assign(hint=None, caption=None, ocr=None)


def test_the_order_of_the_options_does_not_show_in_a_single_bit() -> None:
    rng = np.random.default_rng(0)
    frame = questions(200, rng)
    overlap = Overlap(sources=("question",)).fit(frame)
    order = np.lexsort((rng.random(len(frame)), frame["question_id"]))
    turned = frame.iloc[order].reset_index(drop=True)
    np.testing.assert_array_equal(overlap.transform(turned), overlap.transform(frame)[order])
