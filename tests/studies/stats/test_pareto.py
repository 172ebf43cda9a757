import numpy as np
import pytest

from studies.stats import on_front


def test_front_agrees_with_a_loop() -> None:
    rng = np.random.default_rng(0)
    cost, value = rng.integers(0, 12, 60), rng.integers(0, 12, 60)
    want = [
        not any(
            (c <= cost[i] and v >= value[i]) and (c < cost[i] or v > value[i])
            for c, v in zip(cost, value, strict=True)
        )
        for i in range(60)
    ]
    assert on_front(cost, value).tolist() == want
    assert 0 < sum(want) < 60


def test_the_front_rises_with_cost() -> None:
    rng = np.random.default_rng(1)
    cost, value = rng.random(50), rng.random(50)
    front = on_front(cost, value)
    order = np.argsort(cost[front])
    assert (np.diff(value[front][order]) > 0).all()
    assert value[front].max() == value.max()
    assert cost[front].min() == cost.min()


def test_equals_stand_together() -> None:
    assert on_front([1, 1, 2], [0.5, 0.5, 0.5]).tolist() == [True, True, False]
    assert on_front([], []).tolist() == []


def test_what_was_not_measured_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        on_front([1, np.nan], [0.5, 0.6])
    with pytest.raises(ValueError, match="equally long"):
        on_front([1], [0.5, 0.6])
