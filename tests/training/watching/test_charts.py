"""A round's curves."""

import pytest

from training.watching import charts


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


def test_the_win_rates_picture_is_to_scale():
    drawn = charts.interval(0.5, 0.6, 0.75)
    assert (drawn.low, drawn.value, drawn.high, drawn.width) == (150, 180, 225, 75)
    assert drawn.description == "60%, 95 % interval 50% to 75%; one half is a draw"


def test_a_win_rate_that_was_not_measured_has_no_picture():
    assert charts.interval(None, 0.5, None) is None
