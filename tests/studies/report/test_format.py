import random

import pytest

from studies.report import format as fmt


@pytest.mark.parametrize("seed", range(5))
def test_numbers_round_trip_to_their_digits(seed):
    rng = random.Random(seed)
    for _ in range(200):
        value = rng.uniform(-1, 1)
        back = float(fmt.points(value).replace(fmt.MINUS, "-")) / 100
        assert back == pytest.approx(value, abs=0.00050001)
        assert fmt.points(value)[0] in ("+", fmt.MINUS, "0")
        assert float(fmt.percent(abs(value))) / 100 == pytest.approx(abs(value), abs=0.00050001)


def test_nothing_is_written_as_a_negative_zero():
    for write in (fmt.points, fmt.percent, fmt.number, fmt.signed):
        assert set(write(-1e-9)) <= set("0.")


def test_missing_is_a_dash_never_a_zero():
    for write in (
        fmt.number,
        fmt.percent,
        fmt.points,
        fmt.p_value,
        fmt.count,
        fmt.seconds,
        fmt.size,
        fmt.coverage,
    ):
        assert write(None) == fmt.MISSING
    for write in (fmt.percent_interval, fmt.points_interval, fmt.number_interval):
        assert write(None) == ""


def test_durations_and_sizes_never_jump_at_a_unit():
    def plain(text):
        return text.replace(fmt.NARROW_SPACE, " ")

    assert plain(fmt.seconds(0.99951)) == "1.0 s"
    assert plain(fmt.seconds(59.96)) == "1 min 00 s"
    assert plain(fmt.seconds(3599.6)) == "1 h 00 min"
    assert plain(fmt.size(999_600)) == "1.0 MB"
    assert plain(fmt.size(0)) == "0 B"


def test_plain_writes_any_value():
    assert fmt.plain(None) == fmt.MISSING
    assert fmt.plain(True) == "yes"
    assert fmt.plain({"a": [1, 2.5], "b": "c"}) == "a: 1, 2.5, b: c"
    assert fmt.plain(-0.25) == f"{fmt.MINUS}0.25"


def test_shorten_and_sentence_case():
    assert fmt.shorten("abc", 3) == "abc"
    assert fmt.shorten("abcd", 3) == "ab\u2026"
    assert fmt.sentence_case("blank_image") == "Blank image"
    assert fmt.sentence_case("") == ""
