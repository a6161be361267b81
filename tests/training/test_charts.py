"""Curves as coordinates."""

import pytest

from training import charts


def test_ticks_are_round_numbers_around_the_values():
    assert charts.ticks(0.0, 1.0) == [0, 0.5, 1.0]
    assert charts.ticks(0.43, 0.69) == [0.4, 0.5, 0.6, 0.7]
    assert charts.ticks(-3, 17) == [-5, 0, 5, 10, 15, 20]


def test_a_single_value_still_has_an_axis():
    low, *_, high = charts.ticks(5.0, 5.0)
    assert low < 5.0 < high


def test_a_line_runs_from_the_left_edge_to_the_right_one_and_down_as_the_values_fall():
    chart = charts.line_chart("Loss", {"train": [(1, 1.0), (3, 0.5), (5, 0.0)]})
    points = [tuple(map(float, point.split(","))) for point in chart.lines[0].points.split()]
    assert points == [
        (charts.LEFT, charts.TOP),
        ((charts.LEFT + charts.WIDTH - charts.RIGHT) / 2, (charts.TOP + charts.HEIGHT - charts.BOTTOM) / 2),
        (charts.WIDTH - charts.RIGHT, charts.HEIGHT - charts.BOTTOM),
    ]


def test_a_chart_tells_its_ends_to_who_cannot_see_it():
    chart = charts.line_chart("Loss", {"train": [(1, 0.6931), (9, 0.41)]})
    assert chart.description == "Loss by step: train from 0.6931 to 0.41"


def test_metrics_that_belong_together_share_their_axes():
    rows = [{"step": 1, "rewards/chosen": 0.1, "rewards/rejected": -0.1, "loss": 0.69, "epoch": 0.1}]
    drawn = charts.charts_of(rows)
    assert [(chart.title, [line.label for line in chart.lines]) for chart in drawn] == [
        ("Loss", ["train"]),
        ("Rewards", ["chosen", "rejected"]),
    ]


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), "0.5", True])
def test_a_value_that_is_no_number_is_left_out(value):
    rows = [{"step": 1, "loss": 0.69}, {"step": 2, "loss": value}, {"step": 3, "loss": 0.5}]
    assert len(charts.charts_of(rows)[0].lines[0].points.split()) == 2


def test_a_stage_without_metrics_has_no_charts():
    assert charts.charts_of([]) == []
    assert charts.charts_of([{"step": 1, "loss": None}]) == []


def test_a_long_curve_is_thinned_and_keeps_its_ends():
    points = [(float(step), float(step)) for step in range(10_000)]
    thinned = charts.thinned(points)
    assert len(thinned) == charts.MAX_POINTS
    assert (thinned[0], thinned[-1]) == (points[0], points[-1])


@pytest.mark.parametrize(
    ("value", "label"),
    [(0, "0"), (0.69314, "0.6931"), (1500, "1,500"), (2e-5, "2e-5"), (-0.5, "-0.5"), (1.5e-6, "1.5e-6")],
)
def test_numbers_are_short(value, label):
    assert charts.number_label(value) == label


def test_the_win_rates_picture_is_to_scale():
    drawn = charts.interval(0.5, 0.6, 0.75)
    assert (drawn.low, drawn.value, drawn.high, drawn.width) == (150, 180, 225, 75)
    assert drawn.description == "60%, 95 % interval 50% to 75%; one half is a draw"


def test_a_win_rate_that_was_not_measured_has_no_picture():
    assert charts.interval(None, 0.5, None) is None
