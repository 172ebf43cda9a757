import numpy as np
import pytest

from studies.stats import mean_estimate, seed_variation


def table(n_seeds: int, n: int, *, between: float = 0.0, seed: int = 0) -> np.ndarray:
    """Credits whose questions differ in difficulty and whose seeds differ by about ``between``."""
    rng = np.random.default_rng(seed)
    difficulty = rng.uniform(0.2, 0.95, n)
    shift = rng.normal(0, between, n_seeds)[:, None]
    return (rng.random((n_seeds, n)) < np.clip(difficulty + shift, 0, 1)).astype(float)


def test_it_agrees_with_loops() -> None:
    credit = table(4, 60)
    families = [i // 3 for i in range(60)]
    found = seed_variation(credit, families)
    means = [sum(row) / 60 for row in credit]
    mean = sum(means) / 4
    assert found.mean == pytest.approx(mean)
    assert found.seed_sd == pytest.approx((sum((m - mean) ** 2 for m in means) / 3) ** 0.5)
    assert (found.lowest, found.highest) == (pytest.approx(min(means)), pytest.approx(max(means)))
    squares = 0.0
    for family in range(20):
        own = [credit[:, i].mean() - mean for i in range(60) if families[i] == family]
        squares += sum(own) ** 2
    assert found.question_se == pytest.approx(squares**0.5 / 60)
    assert (found.n_seeds, found.n) == (4, 60)


def test_the_question_error_is_that_of_the_family_bootstrap() -> None:
    credit = table(3, 600)
    families = np.arange(600) // 4
    found = seed_variation(credit, families)
    estimate = mean_estimate(credit.mean(axis=0), families, n_boot=4000)
    assert (estimate.high - estimate.low) / (2 * 1.96) == pytest.approx(found.question_se, rel=0.08)


def test_equal_seeds_leave_the_questions_only() -> None:
    row = table(1, 50)
    found = seed_variation(np.repeat(row, 3, axis=0), range(50))
    assert found.seed_sd == pytest.approx(0)
    assert found.question_se > 0.05


def test_seeds_that_differ_are_seen() -> None:
    assert seed_variation(table(40, 4000, between=0.1), range(4000)).seed_sd == pytest.approx(0.1, rel=0.4)


@pytest.mark.parametrize("credit", [[[1.0, 0.0]], [[], []], [1.0, 0.0]])
def test_bad_input_is_refused(credit: list[object]) -> None:
    with pytest.raises(ValueError, match="two seeds or more"):
        seed_variation(credit, [0, 1])  # type: ignore[arg-type]
