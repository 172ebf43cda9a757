import itertools
import math
import random

import pytest

from studies.report.geometry import Axis, interval_mark, line_chart, spanning_axis, thinned, ticks


@pytest.mark.parametrize("seed", range(30))
def test_axis_holds_all_values_between_round_ends(seed):
    rng = random.Random(seed)
    scale = 10 ** rng.uniform(-4, 5)
    values = [rng.uniform(-1, 1) * scale for _ in range(rng.randint(1, 9))]
    axis = spanning_axis(values)
    assert axis.start <= min(values) <= max(values) <= axis.stop
    marks = ticks(axis)
    assert 2 <= len(marks) <= 9
    assert marks[0]["value"] == pytest.approx(axis.start)
    assert marks[-1]["value"] == pytest.approx(axis.stop)
    gaps = [b["value"] - a["value"] for a, b in itertools.pairwise(marks)]
    assert gaps == pytest.approx([gaps[0]] * len(gaps))


def test_axis_respects_its_bounds_and_constant_data():
    assert spanning_axis([0.97, 1.0], low=0, high=1).stop == 1.0
    for value in (0.0, 1.0, 0.5):
        axis = spanning_axis([value], low=0.0, high=1.0)
        assert axis.start <= value <= axis.stop
        assert axis.start < axis.stop
    assert spanning_axis([]).start < spanning_axis([]).stop


def test_positions_are_linear_and_clipped():
    axis = Axis(start=0.5, stop=0.9)
    assert [axis.position(v) for v in (0.5, 0.6, 0.9, 0.2, 1.0)] == [0, 25, 100, 0, 100]
    mark = interval_mark({"value": 0.7, "low": 0.6, "high": 0.8}, axis)
    assert mark == {"value": 50, "low": 25, "high": 75, "width": 50}


def test_log_axis_puts_doublings_at_equal_distance():
    axis = Axis(start=1, stop=256, log=True)
    assert [axis.position(2**k) for k in range(9)] == pytest.approx([12.5 * k for k in range(9)])
    assert {tick["value"] for tick in ticks(axis)} <= {float(2**k) for k in range(9)}
    assert len(ticks(Axis(start=1, stop=10**6, log=True))) == 7


def test_chart_runs_left_to_right_with_y_downward():
    figure = line_chart([(0, 0.0), (1, 1.0)], band=[(0.0, 0.5), (0.5, 1.0)])
    assert figure["line"] == "0,100 100,0"
    assert figure["band"] == "0,100 100,50 100,0 0,50"
    assert figure["dots"] == [{"x": 0, "y": 100}, {"x": 100, "y": 0}]
    places = [tick["at"] for tick in figure["y_ticks"]]
    assert places == sorted(places, reverse=True)


def test_thinning_keeps_the_mean_and_bounds_the_length():
    line = [(float(i), math.sin(i)) for i in range(960)]
    thin = thinned(line, most=240)
    assert len(thin) == 240
    assert sum(y for _, y in thin) / 240 == pytest.approx(sum(y for _, y in line) / 960)
    assert thinned(line[:5]) == line[:5]
    assert thinned([]) == []
