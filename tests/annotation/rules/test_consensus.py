"""What several annotators agree on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.rules.consensus import (
    LEVELS,
    AgreedPair,
    Consensus,
    agreed_safety,
    agreed_ties,
    consensus_of,
    mean_strength,
    without_unsafe_over_safe,
)
from annotation.rules.marks import Safety
from annotation.rules.ranking import Ranking, Strength, pairs_of

NEGLIGIBLY, SLIGHTLY, BETTER, SIGNIFICANTLY = LEVELS
A, B, C = 1, 2, 3


def above(winner, loser, strength=BETTER):
    return Ranking(((winner,), (loser,)), (strength,))


TIE = Ranking(((A, B),))


def test_one_judgment_alone_decides():
    assert consensus_of([above(A, B, SLIGHTLY)]).pairs == [AgreedPair(A, B, SLIGHTLY, votes=1, votes_against=0)]


def test_two_of_three_decide_and_the_third_is_counted_against():
    consensus = consensus_of([above(B, A), above(A, B), above(B, A)])
    assert consensus == Consensus([AgreedPair(B, A, BETTER, votes=2, votes_against=1)], ties=0, conflicts=0)


def test_one_against_one_is_a_conflict():
    assert consensus_of([above(A, B), above(B, A)]) == Consensus([], ties=0, conflicts=1)


def test_two_ties_of_three_are_a_tie_although_somebody_preferred_one():
    assert consensus_of([TIE, above(A, B), TIE]) == Consensus([], ties=1, conflicts=0)


def test_a_preference_a_tie_and_the_opposite_are_a_conflict():
    assert consensus_of([TIE, above(A, B), above(B, A)]) == Consensus([], ties=0, conflicts=1)


def test_the_pairs_that_most_see_no_difference_in_are_those_counted_as_ties():
    assert agreed_ties([TIE, above(A, B), TIE]) == [(A, B)]
    assert agreed_ties([TIE, above(A, B)]) == []  # one of two is not more than half
    assert agreed_ties([Ranking(((C, A, B),))]) == [(A, B), (A, C), (B, C)]


def test_a_safe_and_an_unsafe_completion_are_no_tie_to_learn_from():
    assert agreed_ties([TIE], {A: Safety.SAFE, B: Safety.UNSAFE}) == []
    assert agreed_ties([TIE], {A: Safety.UNSAFE, B: Safety.UNSAFE}) == agreed_ties([TIE], {A: Safety.SAFE}) == [(A, B)]


def test_two_of_four_are_no_majority():
    # Two for A, one for B, one tie: two is not more than half of four.
    assert consensus_of([above(A, B), above(A, B), above(B, A), TIE]) == Consensus([], ties=0, conflicts=1)


def test_those_against_do_not_weaken_the_strength():
    consensus = consensus_of([above(A, B, SIGNIFICANTLY), above(A, B, SIGNIFICANTLY), above(B, A, NEGLIGIBLY)])
    assert consensus.pairs[0].strength == SIGNIFICANTLY


@pytest.mark.parametrize(
    ("strengths", "expected"),
    [
        ([SIGNIFICANTLY, SIGNIFICANTLY, BETTER], SIGNIFICANTLY),  # (3 + 3 + 2) / 3 = 2.67 -> 3
        ([SIGNIFICANTLY, BETTER, BETTER], BETTER),  # 2.33 -> 2
        ([SIGNIFICANTLY, BETTER], BETTER),  # 2.5 is half-way -> the weaker, 2
        ([NEGLIGIBLY, SIGNIFICANTLY], SLIGHTLY),  # 1.5 is half-way -> the weaker, 1
        ([NEGLIGIBLY, SLIGHTLY], NEGLIGIBLY),  # 0.5 is half-way -> the weaker, 0
        ([NEGLIGIBLY], NEGLIGIBLY),
    ],
)
def test_the_mean_strength_is_rounded_to_the_nearest_level(strengths, expected):
    assert mean_strength(strengths) == expected


def test_no_strength_has_no_mean():
    with pytest.raises(ValueError, match="at least one"):
        mean_strength([])


def test_a_pair_that_not_everybody_ranked_is_decided_by_those_who_did():
    consensus = consensus_of([Ranking(((A,), (B,), (C,))), above(A, B)])
    assert [(pair.chosen, pair.rejected, pair.votes) for pair in consensus.pairs] == [
        (A, B, 2),
        (A, C, 1),
        (B, C, 1),
    ]


SAFE, UNSAFE = Safety


@pytest.mark.parametrize(
    ("chosen", "rejected", "is_kept"),
    [
        (SAFE, SAFE, True),
        (SAFE, UNSAFE, True),
        (UNSAFE, UNSAFE, True),
        (UNSAFE, SAFE, False),  # Llama 2's fourth case, which it leaves out
        (UNSAFE, None, True),  # an edit has no mark: nothing says that it is safe
        (None, SAFE, True),
    ],
)
def test_an_unsafe_completion_above_a_safe_one_is_dropped_and_no_other_pair(chosen, rejected, is_kept):
    safety = {completion: mark for completion, mark in ((A, chosen), (B, rejected)) if mark}
    kept, dropped = without_unsafe_over_safe(pairs_of(above(A, B)), safety)
    assert (len(kept), dropped) == ((1, 0) if is_kept else (0, 1))


def test_an_agreed_pair_of_an_unsafe_over_a_safe_one_is_counted_as_that_alone():
    assert consensus_of([above(A, B)], {A: UNSAFE, B: SAFE}) == Consensus([], ties=0, conflicts=0, unsafe=1)


def test_safety_is_what_more_than_half_of_those_who_marked_say():
    # A: two of three unsafe. B: one against one, no majority. C: the only mark.
    assert agreed_safety([{A: UNSAFE, B: SAFE}, {A: SAFE, B: UNSAFE}, {A: UNSAFE, C: SAFE}]) == {A: UNSAFE, C: SAFE}


@st.composite
def rankings_of(draw, items=(1, 2, 3, 4)):
    order = draw(st.permutations(items))
    joined = draw(st.lists(st.booleans(), min_size=len(items) - 1, max_size=len(items) - 1))
    groups = [[order[0]]]
    for item, is_tied in zip(order[1:], joined, strict=True):
        if is_tied:
            groups[-1].append(item)
        else:
            groups.append([item])
    gaps = len(groups) - 1
    return Ranking(groups, draw(st.lists(st.sampled_from(list(Strength)), min_size=gaps, max_size=gaps)))


panels = st.lists(rankings_of(), min_size=1, max_size=7)


@given(panels)
def test_every_pair_is_agreed_tied_or_in_conflict(rankings):
    consensus = consensus_of(rankings)
    assert len(consensus.pairs) + consensus.ties + consensus.conflicts == 6  # 4 completions: 4 * 3 / 2


@given(panels)
def test_an_agreed_pair_has_more_than_half_of_the_judgments(rankings):
    for pair in consensus_of(rankings).pairs:
        said = [(each.chosen, each.rejected) for ranking in rankings for each in pairs_of(ranking)]
        assert pair.votes == said.count((pair.chosen, pair.rejected)) > len(rankings) / 2
        assert pair.votes_against == said.count((pair.rejected, pair.chosen))


@given(panels, st.randoms())
def test_the_order_of_the_annotators_does_not_matter(rankings, random):
    shuffled = random.sample(rankings, len(rankings))
    assert consensus_of(shuffled) == consensus_of(rankings)


@given(rankings_of(), st.integers(1, 5))
def test_annotators_who_all_say_the_same_agree_on_exactly_that(ranking, count):
    consensus = consensus_of([ranking] * count)
    said = {(pair.chosen, pair.rejected, pair.strength) for pair in pairs_of(ranking)}
    assert {(pair.chosen, pair.rejected, pair.strength) for pair in consensus.pairs} == said
    assert consensus.conflicts == 0


@given(panels)
def test_turning_every_ranking_around_turns_every_agreed_pair_around(rankings):
    turned = [Ranking(ranking.groups[::-1], ranking.strengths[::-1]) for ranking in rankings]
    before, after = consensus_of(rankings), consensus_of(turned)
    assert {(p.chosen, p.rejected, p.votes) for p in before.pairs} == {
        (p.rejected, p.chosen, p.votes) for p in after.pairs
    }
    assert (before.ties, before.conflicts) == (after.ties, after.conflicts)
