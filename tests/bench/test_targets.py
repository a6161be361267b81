"""What the bench of the queue calls reached."""

from tests.bench.queue import NothingLeft, Row, flatness, targets


def row(**changes):
    values = {
        "comparisons": 1_000, "clients": 1, "cycles": 800, "next_p50": 9.0, "next_p95": 19.0, "submit_p50": 8.0,
        "submit_p95": 16.0, "cycles_per_second": 55.0, "over_assigned": 0,
    }  # fmt: skip
    return Row(**values | changes)


def test_what_was_not_measured_is_not_called_reached():
    assert set(targets([], []).values()) == {None}
    reached = targets([row()], [])
    assert reached["next p50 < 10 ms with 1 client"] is True
    assert reached["60 cycles a second with 8"] is None
    assert reached["p95 < 100 ms where nothing is left"] is None


def test_one_size_says_nothing_of_flatness():
    assert flatness([row(), row(clients=8)]) == {}
    assert targets([row(), row(clients=8)], [])["flat within 20 %"] is None


def test_one_that_is_missed_is_missed():
    rows = [row(), row(comparisons=1_000_000, next_p50=11.0)]
    reached = targets(rows, [NothingLeft(1_000, 5, 101, 130)])
    assert flatness(rows) == {1: 1.22}
    assert reached["next p50 < 10 ms with 1 client"] is False
    assert reached["flat within 20 %"] is False
    assert reached["p95 < 100 ms where nothing is left"] is False
    assert reached["no over-assignment"] is True
