"""What the bench of a whole round makes of the times that a round left."""

import pytest

from sampling.engine.phases import Kind
from tests.bench import round as bench
from training.watching.timing import Piece, RoundTimes, Times


@pytest.fixture
def times():
    dpo = Times("dpo", "DPO", [Piece("loading", Kind.LOADING, 1, 10.0), Piece("training", Kind.WORK, 1, 80.0)])
    own = Times("", "the round itself", [Piece("writing the data", Kind.KEEPING, 1, 10.0)])
    return RoundTimes([dpo, own], wall=100.0, waiting=0.0)


def test_the_ratio_is_the_clock_to_the_work_and_overhead_is_what_is_between(times):
    result = bench.as_json(times)
    assert (result["ratio"], result["overhead"]) == (1.25, 20.0)
    assert result["holds_from"] == pytest.approx(200)  # 220 to 200 is 1.1


def test_the_table_has_a_row_a_stage_and_their_sums(times):
    first, dpo, own, whole = bench.show(bench.as_json(times)).splitlines()[:4]
    assert first.split() == ["seconds", "wall", "work", "starting", "loading", "engine", "keeping", "other"]
    assert dpo.split() == ["DPO", "90.0", "80.0", "0.0", "10.0", "0.0", "0.0", "0.0"]
    assert own.split()[-7:] == ["10.0", "0.0", "0.0", "0.0", "0.0", "10.0", "0.0"]
    assert whole.split() == ["all", "100.0", "80.0", "0.0", "10.0", "0.0", "10.0", "0.0"]
