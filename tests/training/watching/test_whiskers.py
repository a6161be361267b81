"""Values with their intervals, to scale."""

from training.watching import whiskers
from training.watching.whiskers import Measured


def test_a_rate_is_drawn_to_scale_with_one_half_marked():
    drawn = whiskers.shares("Win rate", [Measured(label="new", value=0.6, low=0.5, high=0.75, baseline=0.4)], key="x")
    row = drawn.rows[0]
    assert (row.drawn.low, row.drawn.value, row.drawn.high, row.drawn.width) == (150, 180, 225, 75)
    assert (row.baseline, drawn.marks, drawn.key) == (120, [150], "x")
    assert row.words == "60.0 % (50.0 to 75.0)"


def test_what_was_not_measured_has_a_row_and_no_picture():
    drawn = whiskers.shares("Win rate", [Measured(label="a", value=0.6), Measured(label="b", value=None)], key="x")
    assert [(row.words, row.drawn is None) for row in drawn.rows] == [("60.0 %", False), ("not measured", True)]
    assert drawn.key == ""
    assert whiskers.shares("Win rate", [Measured(label="a", value=None)]) is None
    assert whiskers.numbers("Rating", []) is None


def test_an_axis_of_numbers_holds_them_all_and_what_is_marked():
    drawn = whiskers.numbers("Ratio", [Measured(label="a", value=1.5), Measured(label="b", value=1.2)], marked=1.0)
    assert [tick.label for tick in drawn.ticks] == ["1", "1.2", "1.4", "1.6"]
    assert drawn.marks == [0]
    assert [row.drawn.value for row in drawn.rows] == [250, 100]  # 0.5 / 0.6 and 0.2 / 0.6 of 300


def test_a_result_gives_its_value_with_the_ends_it_has():
    both = whiskers.of_result("a", {"accuracy": 0.5, "accuracy_low": 0.4, "accuracy_high": 0.6}, "accuracy")
    short = whiskers.of_result("a", {"accuracy": 0.5, "low": 0.4, "high": 0.6}, "accuracy")
    assert both == short == Measured(label="a", value=0.5, low=0.4, high=0.6)
