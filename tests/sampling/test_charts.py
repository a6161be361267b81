"""Charts as coordinates."""

import pytest

from sampling import charts


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


def test_a_bar_is_as_high_as_its_value():
    chart = charts.bar_chart("Judgments", [("Mon", 0), ("Tue", 5), ("Wed", 10)])
    assert [bar.height for bar in chart.bars] == [0, 77, 154]
    assert [bar.y + bar.height for bar in chart.bars] == [charts.HEIGHT - charts.BOTTOM] * 3
    assert chart.description == "Judgments. Mon: 0, Tue: 5, Wed: 10"


def test_bars_of_nothing_have_an_axis_all_the_same():
    assert charts.bar_chart("Judgments", [("Mon", 0)]).bars[0].height == 0


def test_a_mark_above_all_bars_is_inside_the_chart():
    chart = charts.bar_chart("First", [("1", 0.2), ("2", 0.3)], mark=(0.5, "expected"))
    assert chart.mark.position >= charts.TOP


def test_labels_that_would_run_into_each_other_are_left_out():
    def labelled(label):
        return [bar.middle for bar in charts.bar_chart("Judgments", [(label, 1)] * 30).bars if bar.label]

    for label in ("1", "12 Nov", "a long one"):
        first, second, *_ = labelled(label)
        assert second - first > len(label) * charts.CHARACTER
    assert len(labelled("1")) > len(labelled("12 Nov")) > 1


def test_a_whisker_is_to_scale_and_ends_at_the_axis():
    scale = charts.Scale(low=-1, high=1, width=200)
    drawn = charts.whisker(scale, -2, 0, 0.5)
    assert (drawn.low, drawn.value, drawn.high, drawn.width) == (0, 100, 150, 150)
