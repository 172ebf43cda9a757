import itertools

import numpy as np
import pytest

from studies.stats import augrc, aurc, coverage_at_risk, reachable_points, risk_coverage


def auroc(confidence, credit):
    """Chance that a right answer is surer than a wrong one, by comparing all pairs."""
    right = [c for c, ok in zip(confidence, credit, strict=True) if ok]
    wrong = [c for c, ok in zip(confidence, credit, strict=True) if not ok]
    return sum((r > w) + 0.5 * (r == w) for r in right for w in wrong) / (len(right) * len(wrong))


def sample(n=80, ties=False, seed=0):
    rng = np.random.default_rng(seed)
    credit = (rng.random(n) < 0.75).astype(float)
    confidence = credit * 0.5 + rng.random(n)
    return (np.round(confidence, 1) if ties else confidence), credit


def test_curve_agrees_with_a_loop():
    confidence, credit = sample()
    order = sorted(range(80), key=lambda i: -confidence[i])
    risks = [sum(1 - credit[i] for i in order[: k + 1]) / (k + 1) for k in range(80)]
    curve = risk_coverage(confidence, credit)
    assert curve.risk == pytest.approx(risks)
    assert curve.reachable.all()
    assert aurc(confidence, credit) == pytest.approx(sum(risks) / 80)
    assert curve.risk[-1] == pytest.approx(1 - credit.mean())


def test_ties_give_the_mean_over_all_orders():
    confidence, credit = [0.9, 0.5, 0.5, 0.5, 0.2], [1.0, 0.0, 1.0, 1.0, 0.0]
    total = []
    for order in itertools.permutations([1, 2, 3]):
        losses = [1 - credit[i] for i in (0, *order, 4)]
        total.append(np.mean(np.cumsum(losses) / np.arange(1, 6)))
    assert aurc(confidence, credit) == pytest.approx(np.mean(total))


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_augrc_theorem(ties, seed):
    """Traub et al. (2024): AUGRC from AUROC of the confidence and the accuracy alone."""
    confidence, credit = sample(ties=ties, seed=seed)
    accuracy = credit.mean()
    expected = (1 - auroc(confidence, credit)) * accuracy * (1 - accuracy) + (1 - accuracy) ** 2 / 2
    assert augrc(confidence, credit) == pytest.approx(expected)


def test_row_order_and_monotone_maps_do_not_matter():
    confidence, credit = sample(ties=True)
    order = np.random.default_rng(1).permutation(80)
    for figure in (aurc, augrc, lambda s, c: coverage_at_risk(s, c, 0.05)):
        assert figure(confidence[order], credit[order]) == pytest.approx(figure(confidence, credit))
        assert figure(np.exp(confidence), credit) == pytest.approx(figure(confidence, credit))


def test_perfect_order_is_best_and_inverted_is_worst():
    _, credit = sample()
    rng = np.random.default_rng(2)
    areas = [figure(rng.random(80), credit) for figure in (aurc, augrc) for _ in range(20)]
    for figure, some in ((aurc, areas[:20]), (augrc, areas[20:])):
        assert figure(credit, credit) < min(some)
        assert figure(-credit, credit) > max(some)


def test_coverage_is_the_largest_safe_prefix():
    confidence, credit = sample(ties=True, seed=4)
    for risk in (0.0, 0.01, 0.05, 0.2, 1.0):
        safe = [
            np.mean(confidence >= threshold)
            for threshold in set(confidence)
            if 1 - credit[confidence >= threshold].mean() <= risk + 1e-12
        ]
        assert coverage_at_risk(confidence, credit, risk) == pytest.approx(max(safe, default=0.0))


def test_no_safe_threshold_and_full_coverage():
    assert coverage_at_risk([0.9, 0.1], [0, 1], 0.01) == 0.0
    assert coverage_at_risk([0.9, 0.1], [1, 1], 0.0) == 1.0
    assert coverage_at_risk([0.5, 0.5], [1, 0], 0.01) == 0.0


@pytest.mark.parametrize(
    ("confidence", "credit", "message"),
    [([], [], "empty"), ([0.1], [1, 0], "equally long"), ([np.nan], [1.0], "finite")],
)
def test_bad_input_is_refused(confidence, credit, message):
    with pytest.raises(ValueError, match=message):
        risk_coverage(confidence, credit)
    with pytest.raises(ValueError, match="risk must lie"):
        coverage_at_risk([0.1], [1.0], 2)


def test_points_for_drawing_are_on_the_curve_and_reached_by_a_threshold():
    confidence, credit = sample(n=500, ties=True)
    curve = risk_coverage(confidence, credit)
    for most in (2, 5, 1000):
        points = reachable_points(curve, most=most)
        assert len(points) <= most
        assert points[-1] == (1.0, pytest.approx(1 - credit.mean()))
        for coverage, risk in points:
            threshold = sorted(confidence, reverse=True)[round(coverage * 500) - 1]
            answered = confidence >= threshold
            assert answered.mean() == pytest.approx(coverage)
            assert 1 - credit[answered].mean() == pytest.approx(risk)
    assert len(points) == len(np.unique(confidence))
