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


def test_the_share_of_answers_that_repeat_is_drawn_on_an_axis_of_all_shares():
    (chart,) = charts.charts_of([{"step": 1, "probe_repeats": 0.0}, {"step": 2, "probe_repeats": 0.1}])
    assert [chart.y_ticks[0].label, chart.y_ticks[-1].label] == ["0", "1"]


def test_a_stage_without_metrics_has_no_charts():
    assert charts.charts_of([]) == []
    assert charts.charts_of([{"step": 1, "loss": None}]) == []


def test_rounds_are_laid_over_each_other_metric_by_metric():
    rows = [{"step": 1, "loss": 0.69, "logps/chosen": -60}]
    drawn = charts.overlaid({"r1": rows, "r2": [{"step": 2, "loss": 0.5}], "r3": []})
    assert [(chart.title, [line.label for line in chart.lines]) for chart in drawn] == [
        ("Loss: train", ["r1", "r2"]),
        ("Log-probability: chosen", ["r1"]),
    ]


def test_a_round_has_one_colour_in_all_charts():
    drawn = charts.overlaid({"r1": [], "r2": [{"step": 1, "loss": 0.5}]})
    assert [line.colour for line in drawn[0].lines] == [2]
