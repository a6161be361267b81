"""Which rankings make a step, and which of them are in memory together."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training.pipeline.grouped.both import pairs_of
from tests.training.pipeline.grouped.drawn import pairs_in, rankings
from training.pipeline.grouped.plan import plan, tokens_of
from training.pipeline.grouped.rankings import Comparison, Ranking, group

LAYOUTS = ("shared", "separate")


def counted(step):
    """The pairs of a step that weigh anything, of all processes."""
    pieces = [ranking for share in step for part in share.parts for ranking in part.rankings]
    return [pair for piece in pieces for pair in pairs_in(piece) if pair.weight]


@given(
    drawn=rankings(),
    batch=st.integers(1, 12),
    tokens=st.integers(0, 150),
    enough=st.none() | st.integers(0, 150),
    layout=st.sampled_from(LAYOUTS),
    processes=st.integers(1, 3),
)
def test_a_plan_has_every_pair_once_whole_rankings_in_a_step_and_processes_that_keep_step(
    drawn, batch, tokens, enough, layout, processes
):
    steps = plan(drawn, batch=batch, tokens=tokens, enough=enough, layout=layout, processes=processes)
    pairs = [pair for ranking in drawn for pair in pairs_in(ranking)]
    assert Counter(pair for step in steps for pair in counted(step)) == Counter(pairs)
    assert len(steps) == min(math.ceil(len(pairs) / batch), len(drawn))
    prompts = [{pair.prompt for pair in counted(step)} for step in steps]
    assert sum(map(len, prompts)) == len(drawn)  # none is in two steps
    for step in steps:
        assert len(step) == processes
        assert len({len(share.parts) for share in step}) == 1
        assert {share.weight for share in step} == {sum(pair.weight for pair in counted(step))}
        chosen = sum(pair.weight * len(pair.chosen) for pair in counted(step))
        assert {share.chosen_tokens for share in step} == {chosen}  # of quarters: exact
        for part in (part for share in step for part in share.parts):
            assert positions(part, layout) <= tokens or is_one_pair(part)
            assert len(part.rankings) == 1 or positions(part, layout) <= (tokens if enough is None else enough)


def positions(part, layout):
    if layout == "shared":
        return sum(ranking.shared_tokens for ranking in part.rankings)
    rows = sum(len(ranking.completions) for ranking in part.rankings)
    return rows * max(ranking.longest for ranking in part.rankings)


def is_one_pair(part):
    return len(part.rankings) == 1 and len(part.rankings[0].completions) == 2


@given(rankings(), st.integers(0, 5))
def test_the_same_seed_is_the_same_plan(drawn, seed):
    again = [plan(drawn, batch=4, tokens=50, layout="shared", seed=seed) for _ in range(2)]
    assert again[0] == again[1]


def test_another_seed_is_another_order():
    drawn = group(pair for seed in range(8) for pair in pairs_of(3, seed=seed))
    orders = {repr(plan(drawn, batch=6, tokens=100, layout="shared", seed=seed)) for seed in range(4)}
    assert len(orders) == 4


def test_steps_are_as_large_as_one_another_whatever_the_rankings():
    # 36 + 4 x 6 + 12 x 1 pairs are 72: of a batch of 24 three steps; the largest ranking is a step of its own, and the
    # others are dealt to the other two: 4 x 6 + 12 = 36, 18 each.
    sizes = [9, *[4] * 4, *[2] * 12]
    drawn = group(pair for seed, k in enumerate(sizes) for pair in pairs_of(k, seed=seed))
    steps = plan(drawn, batch=24, tokens=10_000, layout="shared")
    assert sorted(len(counted(step)) for step in steps) == [18, 18, 36]


def test_what_goes_through_the_model_is_counted():
    # A prompt of 4 with completions of 2, 3 and 5, all pairs; beside it one of 1 with 2 and 2.
    big = Ranking((1,) * 4, ((2,) * 2, (3,) * 3, (4,) * 5), (Comparison(0, 1), Comparison(0, 2), Comparison(1, 2)))
    small = Ranking((5,), ((6, 6), (7, 7)), (Comparison(0, 1),))
    # Shared: 4 + 10 + 1 + 4 = 19, no padding. Pair by pair: 3 x 8 + 2 x 10 + 2 x 1 + 4 = 50.
    found = tokens_of(plan([big, small], batch=9, tokens=100, layout="shared"), "shared")
    assert (found.real, found.padded, found.of_pairs_alone, found.padding) == (19, 0, 50, 0)
    # Rows of their own: 6 + 7 + 9 + 3 + 3 = 28 tokens in five rows of 9, which are 45.
    found = tokens_of(plan([big, small], batch=9, tokens=100, layout="separate"), "separate")
    assert (found.real, found.padded, found.of_pairs_alone) == (28, 17, 50)
    assert found.padding == pytest.approx(17 / 45)
    # If only 27 fit, the small rows are beside each other, and nothing is padded there: 27 + 6.
    found = tokens_of(plan([big, small], batch=9, tokens=27, layout="separate"), "separate")
    assert (found.real, found.padded) == (28, 5)


def test_a_process_that_has_nothing_left_computes_what_weighs_nothing():
    drawn = group(pairs_of(2))
    ((one, other),) = plan(drawn, batch=4, tokens=100, layout="shared", processes=2)
    assert [len(one.parts), len(other.parts)] == [1, 1]
    assert sorted(pair.weight for share in (one, other) for r in share.parts[0].rankings for pair in r.pairs) == [0, 1]
    assert one.weight == other.weight == 1
