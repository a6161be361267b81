"""What is asked of a pair, and the probability of an aggregated one."""

from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.rules.aggregation import Aggregation, PairRule, probability_of, share_of
from annotation.rules.consensus import consensus_of, shares_of
from annotation.rules.marks import Safety
from annotation.rules.ranking import Ranking, Strength

FIRST, SECOND, TIE = Ranking(((1,), (2,))), Ranking(((2,), (1,))), Ranking(((1, 2),))
WEAK = Ranking(((1,), (2,)), (Strength.SLIGHTLY_BETTER,))


@pytest.mark.parametrize(
    ("rankings", "probability"),
    [
        ([FIRST], 1),
        ([FIRST, FIRST, SECOND], 2 / 3),
        ([FIRST, FIRST, TIE], 2.5 / 3),  # a tie is half a vote for each
    ],
)
def test_by_majority_the_probability_is_the_share(rankings, probability):
    (pair,) = consensus_of(rankings).pairs
    assert (pair.chosen, pair.rejected) == (1, 2)
    assert pair.probability == pytest.approx(probability, abs=1e-6)


def test_a_weighted_vote_may_outweigh_two():
    # 0.9 has odds of 9 for the second; twice 0.6 has 1.5 * 1.5 = 2.25 for the first: 9 / 2.25 = 4 to 1, so 0.8.
    weights = [log(1.5), log(1.5), log(9)]
    (pair,) = consensus_of([FIRST, FIRST, SECOND], {}, PairRule(), weights).pairs
    assert (pair.chosen, pair.rejected, pair.votes, pair.votes_against) == (2, 1, 1, 2)
    assert pair.probability == pytest.approx(0.8)


def test_equal_weights_against_each_other_are_a_conflict_and_most_ties_are_a_tie():
    assert consensus_of([FIRST, SECOND], {}, PairRule(), [0.7, 0.7]).conflicts == 1
    assert consensus_of([FIRST], {}, PairRule(), [0.0]).conflicts == 1  # nothing is known of who said so
    assert consensus_of([TIE, TIE, FIRST], {}, PairRule(), [2.0, 2.0, 2.0]).ties == 1


@pytest.mark.parametrize(("agreement", "kept"), [(0.5, 1), (0.66, 1), (0.67, 1), (0.68, 0), (1, 0)])
def test_two_of_three_are_67_per_cent(agreement, kept):
    consensus = consensus_of([FIRST, FIRST, SECOND], {}, PairRule(agreement))
    assert (len(consensus.pairs), consensus.disputed) == (kept, 1 - kept)


def test_what_is_too_weak_is_dropped_by_that_name():
    rule = PairRule(min_strength=Strength.BETTER)
    assert consensus_of([WEAK], {}, rule).weak == 1
    assert consensus_of([WEAK, WEAK], {}, rule).weak == 1
    assert len(consensus_of([FIRST], {}, rule).pairs) == 1


def test_an_annotator_of_whom_nothing_is_known_weighs_nothing():
    rule = PairRule(aggregation=Aggregation.DAWID_SKENE, accuracies={7: 0.9})
    assert rule.weight_of(7) == pytest.approx(log(9))
    assert rule.weight_of(8) == 0


def test_of_each_pair_the_larger_side_has_its_share():
    assert shares_of([FIRST, FIRST, SECOND, TIE]) == {(1, 2): (0.5, 0.25, 0.25)}


RANKINGS = st.permutations([1, 2, 3]).flatmap(
    lambda items: st.sampled_from([tuple((item,) for item in items), (tuple(items[:2]), (items[2],)), (tuple(items),)])
)


@given(RANKINGS, st.sampled_from(list(Strength)), st.booleans())
def test_one_judgment_says_the_same_as_twice_the_same(groups, strength, is_unsafe):
    """The short way for one ranking is the long way's answer."""
    ranking = Ranking(groups, (strength,) * (len(groups) - 1))
    safety = {1: Safety.UNSAFE, 2: Safety.SAFE, 3: Safety.SAFE} if is_unsafe else {}
    rule = PairRule(0.9, Strength.SLIGHTLY_BETTER)
    one, two = consensus_of([ranking], safety, rule), consensus_of([ranking, ranking], safety, rule)
    assert [(each.chosen, each.rejected, each.strength, each.probability) for each in one.pairs] == [
        (each.chosen, each.rejected, each.strength, each.probability) for each in two.pairs
    ]
    assert (one.ties, one.unsafe, one.weak, one.disputed) == (two.ties, two.unsafe, two.weak, two.disputed)


@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 20))
def test_both_sides_shares_make_one(votes, against, ties):
    if votes + against + ties:
        assert share_of(votes, against, ties) + share_of(against, votes, ties) == pytest.approx(1, abs=2e-6)
    assert probability_of(0) == 0.5
