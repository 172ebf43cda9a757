import numpy as np
import pytest

from studies.stats import reliability


def test_bins_of_equal_mass_agree_with_a_loop() -> None:
    rng = np.random.default_rng(0)
    confidence, credit = rng.random(200), (rng.random(200) < 0.6).astype(float)
    found = reliability(confidence, credit, n_bins=10)
    order = sorted(range(200), key=lambda i: confidence[i])
    error = 0.0
    for place in range(10):
        members = order[20 * place : 20 * place + 20]
        mean_confidence = sum(confidence[i] for i in members) / 20
        mean_credit = sum(credit[i] for i in members) / 20
        assert found.counts[place] == 20
        assert found.confidence[place] == pytest.approx(mean_confidence)
        assert found.accuracy[place] == pytest.approx(mean_credit)
        assert set(found.bin_of[members]) == {place}
        error += abs(mean_confidence - mean_credit) / 10
    assert found.error == pytest.approx(error)
    assert found.overconfidence == pytest.approx(confidence.mean() - credit.mean())


def test_equal_confidences_are_not_torn_apart_whatever_the_order() -> None:
    rng = np.random.default_rng(1)
    confidence = np.round(rng.random(150), 1)
    credit = rng.random(150).round()
    found = reliability(confidence, credit, n_bins=7)
    assert all(len(set(found.bin_of[confidence == value])) == 1 for value in np.unique(confidence))
    order = rng.permutation(150)
    again = reliability(confidence[order], credit[order], n_bins=7)
    assert np.array_equal(again.bin_of, found.bin_of[order])
    assert again.error == pytest.approx(found.error)


def test_one_confidence_is_one_bin() -> None:
    found = reliability([0.25] * 8, [1, 0, 0, 0, 1, 0, 0, 0])
    assert found.counts.tolist() == [8]
    assert found.error == found.overconfidence == 0


def test_a_calibrated_method_has_an_error_that_goes_with_the_noise() -> None:
    rng = np.random.default_rng(2)
    confidence = rng.uniform(0.3, 1.0, 200_000)
    credit = (rng.random(200_000) < confidence).astype(float)
    assert reliability(confidence, credit).error < 0.005
    assert reliability(confidence, (rng.random(200_000) < confidence - 0.2)).error == pytest.approx(
        0.2, abs=0.01
    )


@pytest.mark.parametrize(
    ("confidence", "credit", "match"),
    [([], [], "not empty"), ([0.5], [1, 0], "equally long"), ([1.2], [1], "confidence must lie"),
     ([np.nan], [1], "confidence must lie"), ([0.5], [2], "credit must lie")],
)  # fmt: skip
def test_bad_input_is_refused(confidence: list[float], credit: list[float], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        reliability(confidence, credit)


def test_no_bin_is_refused() -> None:
    with pytest.raises(ValueError, match="0 bins"):
        reliability([0.5], [1], n_bins=0)
