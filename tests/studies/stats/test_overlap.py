import numpy as np
import pytest

from studies.stats import alone, compare, either_credit, overlap


def credits(n: int = 300, seed: int = 0) -> dict[str, list[float]]:
    rng = np.random.default_rng(seed)
    return {
        name: (rng.random(n) < share).astype(float).tolist()
        for name, share in zip("abc", (0.8, 0.6, 0.5), strict=True)
    }


def test_counts_agree_with_a_loop_and_with_gains_and_losses() -> None:
    found = credits()
    a, b = found["a"], found["b"]
    got = overlap(a, b)
    assert got.both_right == sum(x == y == 1 for x, y in zip(a, b, strict=True))
    assert got.both_wrong == sum(x == y == 0 for x, y in zip(a, b, strict=True))
    compared = compare(a, b, range(300))
    assert (got.a_only, got.b_only, got.n) == (compared.gains, compared.losses, 300)


def test_ties_count_as_in_comparisons() -> None:
    a, b = [0.5] * 100, [1.0] * 50 + [0.0] * 50
    got, compared = overlap(a, b, seed=3), compare(a, b, range(100), seed=3)
    assert (got.a_only, got.b_only) == (compared.gains, compared.losses)
    assert 0 < got.a_only < 50


def test_independent_errors_have_ratio_one_and_equal_ones_the_inverse_error() -> None:
    grid = overlap([1, 1, 0, 0] * 5, [1, 0, 1, 0] * 5)
    assert grid.error_ratio == pytest.approx(1)
    assert grid.error_overlap == pytest.approx(1 / 3)
    same = overlap([1, 1, 1, 0], [1, 1, 1, 0])
    assert same.error_ratio == pytest.approx(1 / 0.25)
    assert same.error_overlap == 1
    assert overlap([1, 0], [0, 1]).error_ratio == 0
    perfect = overlap([1, 1], [1, 1])
    assert perfect.error_ratio is None
    assert perfect.error_overlap is None


def test_who_stands_alone_agrees_with_a_loop() -> None:
    found = credits()
    got = alone(found)
    for name in found:
        others = [found[other] for other in found if other != name]
        columns = list(zip(found[name], *others, strict=True))
        assert got[name].alone_right == sum(own == 1 and not any(rest) for own, *rest in columns)
        assert got[name].alone_wrong == sum(own == 0 and all(rest) for own, *rest in columns)
    assert all(row.alone_right > 0 and row.alone_wrong > 0 for row in got.values())


def test_the_oracle_is_right_where_any_is() -> None:
    found = credits()
    want = [float(any(column)) for column in zip(*found.values(), strict=True)]
    assert either_credit(found).tolist() == want


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="same questions"):
        overlap([1, 0], [1])
    with pytest.raises(ValueError, match=r"lie in \[0, 1\]"):
        overlap([2.0], [1.0])
