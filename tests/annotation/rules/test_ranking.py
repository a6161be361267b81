"""The rules of rankings. Pure: no database."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.rules.ranking import (
    DEFAULT_STRENGTH,
    Pair,
    Ranking,
    RankingError,
    Strength,
    check_covers,
    pairs_of,
    ranking_from_ranks,
    without,
)

STRONGEST_FIRST = list(Strength)


@st.composite
def rankings(draw) -> Ranking:
    items = draw(st.lists(st.integers(0, 999), min_size=1, max_size=9, unique=True))
    ranks = {item: draw(st.integers(1, 9)) for item in items}
    gaps = len(set(ranks.values())) - 1
    strengths = draw(st.lists(st.sampled_from(Strength), min_size=gaps, max_size=gaps))
    return ranking_from_ranks(ranks, strengths)


@given(rankings())
def test_each_two_completions_give_one_pair_unless_they_are_tied(ranking):
    everything = math.comb(len(ranking.items), 2)
    tied = sum(math.comb(len(group), 2) for group in ranking.groups)
    assert len(pairs_of(ranking)) == everything - tied


@given(rankings())
def test_no_pair_appears_both_ways_round(ranking):
    sides = {(pair.chosen, pair.rejected) for pair in pairs_of(ranking)}
    assert not {(rejected, chosen) for chosen, rejected in sides} & sides


@given(rankings())
def test_the_chosen_of_each_pair_stands_in_a_better_group(ranking):
    place = {item: index for index, group in enumerate(ranking.groups) for item in group}
    assert all(place[pair.chosen] < place[pair.rejected] for pair in pairs_of(ranking))


@given(rankings())
def test_no_pair_is_weaker_than_any_gap_that_it_spans(ranking):
    place = {item: index for index, group in enumerate(ranking.groups) for item in group}
    for pair in pairs_of(ranking):
        spanned = ranking.strengths[place[pair.chosen] : place[pair.rejected]]
        assert STRONGEST_FIRST.index(pair.strength) == min(map(STRONGEST_FIRST.index, spanned))


@given(rankings())
def test_reversing_a_ranking_swaps_both_sides_of_every_pair(ranking):
    backwards = Ranking(ranking.groups[::-1], ranking.strengths[::-1])
    swapped = {Pair(pair.rejected, pair.chosen, pair.strength) for pair in pairs_of(ranking)}
    assert set(pairs_of(backwards)) == swapped


def test_the_pairs_of_a_ranking_with_a_tie_worked_out_by_hand():
    # A >> C = D > B, ">>" significantly and ">" slightly better.
    ranking = Ranking((("A",), ("C", "D"), ("B",)), ("significantly_better", "slightly_better"))

    assert pairs_of(ranking) == [
        Pair("A", "C", Strength.SIGNIFICANTLY_BETTER),
        Pair("A", "D", Strength.SIGNIFICANTLY_BETTER),
        Pair("A", "B", Strength.SIGNIFICANTLY_BETTER),  # spans both gaps: the stronger one counts
        Pair("C", "B", Strength.SLIGHTLY_BETTER),
        Pair("D", "B", Strength.SLIGHTLY_BETTER),
    ]


def test_tied_completions_yield_no_pair():
    assert pairs_of(Ranking((("A", "B", "C"),))) == []


def test_a_ranking_without_strengths_gets_the_default_one():
    assert Ranking((("A",), ("B",), ("C",))).strengths == (DEFAULT_STRENGTH, DEFAULT_STRENGTH)


def test_ranks_with_holes_and_ties_mean_the_same_order():
    assert ranking_from_ranks({"A": 7, "B": 2, "C": 7}).groups == (("B",), ("A", "C"))


@pytest.mark.parametrize(
    ("groups", "strengths", "message"),
    [
        ((), (), "is empty"),
        (((),), (), "is empty"),
        ((("A",), ()), ("better",), "empty group"),
        ((("A",), ("A",)), ("better",), "twice"),
        ((("A",), ("B",)), ("better", "better"), "1 gaps, but 2 strengths"),
        ((("A",), ("B",)), ("superb",), '"superb" is no strength'),
    ],
)
def test_what_is_no_ranking_is_refused_with_a_reason(groups, strengths, message):
    with pytest.raises(RankingError, match=message):
        Ranking(groups, strengths)


def test_a_ranking_must_place_exactly_what_was_shown():
    ranking = Ranking((("A",), ("B",)))
    check_covers(ranking, ["B", "A"])
    with pytest.raises(RankingError, match="1 of 3 completions have no place"):
        check_covers(ranking, ["A", "B", "C"])
    with pytest.raises(RankingError, match="not shown here"):
        check_covers(ranking, ["A"])


def test_renaming_keeps_groups_and_strengths():
    ranking = Ranking((("A",), ("B", "C")), ("slightly_better",))
    assert ranking.map({"A": 11, "B": 12, "C": 13}) == Ranking(((11,), (12, 13)), ("slightly_better",))
    with pytest.raises(RankingError, match="C was not shown"):
        ranking.map({"A": 11, "B": 12})


@given(rankings(), st.data())
def test_without_one_the_others_relate_as_before(ranking, data):
    gone = data.draw(st.sampled_from(ranking.items))
    if len(ranking.items) == 1:
        return
    left = [pair for pair in pairs_of(ranking) if gone not in (pair.chosen, pair.rejected)]
    assert set(pairs_of(without(ranking, gone))) == set(left)
