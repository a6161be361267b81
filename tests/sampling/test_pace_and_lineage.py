"""The two pure parts of the pages: how fast, and which came from which."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sampling.durations import duration, roughly
from sampling.lineage import lay_out
from sampling.pace import Pace, pace

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def ago(*seconds: float) -> list[datetime]:
    return [NOW - timedelta(seconds=second) for second in seconds]


def test_pace_counts_the_window_when_the_run_is_older():
    # 15 completions in the 30 s window = 0.5 a second; 100 are left, so 200 s
    moments = ago(*(2 * number + 0.5 for number in range(15)), 31, 40)
    assert pace(stored_at=moments, now=NOW, done=100, total=200) == Pace(0.5, timedelta(seconds=200))


def test_pace_of_a_list_that_was_cut_off_uses_the_time_that_it_covers():
    # 10 of 1000 completions, the oldest 5 s ago: 2 a second; 10 are left, so 5 s
    moments = ago(*(number / 2 for number in range(1, 11)))
    assert pace(stored_at=moments, now=NOW, done=1000, total=1010) == Pace(2.0, timedelta(seconds=5))


def test_there_is_no_pace_while_nothing_comes():
    assert pace(stored_at=[], now=NOW, done=0, total=10) is None
    assert pace(stored_at=ago(31), now=NOW, done=1, total=10) is None


def test_an_estimate_is_said_roughly():
    said = {2: "5 s", 12: "10 s", 54: "55 s", 84: "1 min", 166: "3 min", 5399: "90 min", 9400: "2.5 h", 259200: "3 d"}
    assert {seconds: roughly(seconds) for seconds in said} == said
    assert roughly(None) == ""


def test_durations_are_said_in_two_units():
    said = [duration(seconds) for seconds in (0, 59.4, 60, 3725, 90061)]
    assert said == ["0 s", "59 s", "1 min 0 s", "1 h 2 min", "1 d 1 h"]
    assert duration(timedelta(minutes=2)) == "2 min 0 s"
    assert duration(None) == ""


@dataclass
class V:
    pk: int
    parent_id: int | None = None


def places(*versions: V) -> list[tuple[int, int, int]]:
    return [(node.version.pk, node.row, node.column) for node in lay_out(versions).nodes]


def test_one_round_hangs_below_its_base_with_the_reward_model_aside():
    #  1          the base
    #  +- 2       its reward model
    #  3          sft
    #  4          dpo
    assert places(V(1), V(2, 1), V(3, 1), V(4, 3)) == [(1, 0, 0), (2, 1, 1), (3, 2, 0), (4, 3, 0)]


def test_two_families_stand_one_below_the_other():
    assert places(V(1), V(2), V(3, 1)) == [(1, 0, 0), (3, 1, 0), (2, 2, 0)]


def test_a_version_whose_parent_is_not_listed_stands_alone():
    assert places(V(5, 1)) == [(5, 0, 0)]


def test_a_thousand_generations_are_one_straight_line():
    lineage = lay_out([V(1), *(V(number, number - 1) for number in range(2, 1001))])
    assert {node.column for node in lineage.nodes} == {0}
    assert lineage.nodes[1].line == "M11 17 V51"  # rows are 34 high: their middles are at 17 and 51
