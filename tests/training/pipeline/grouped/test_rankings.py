"""From pairs to rankings and to their pieces: no pair is lost, and none is computed that is not needed."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training.pipeline.grouped.drawn import one_ranking, pairs_in, pairs_of_a_prompt
from training.pipeline.grouped.rankings import Comparison, Ranking, TokenPair, cut, group, longest_shared_start


@given(st.lists(pairs_of_a_prompt(), max_size=3))
def test_every_pair_is_in_exactly_one_ranking_and_every_completion_once(drawn):
    pairs = [pair for each in drawn for pair in each]
    found = group(pairs)
    assert Counter(pair for ranking in found for pair in pairs_in(ranking)) == Counter(pairs)
    assert [ranking.prompt for ranking in found] == list(dict.fromkeys(pair.prompt for pair in pairs))
    for ranking in found:
        assert len(set(ranking.completions)) == len(ranking.completions)


@given(one_ranking(), st.integers(0, 60))
def test_a_ranking_that_is_cut_keeps_each_pair_once_and_no_piece_is_too_large(ranking, most):
    pieces = cut(ranking, most)
    assert Counter(pair for piece in pieces for pair in pairs_in(piece)) == Counter(pairs_in(ranking))
    for piece in pieces:
        assert piece.shared_tokens <= most or len(piece.completions) == 2  # a single pair is never cut
        used = {side for pair in piece.pairs for side in (pair.chosen, pair.rejected)}
        assert used == set(range(len(piece.completions)))  # nothing goes through the model for no pair


@given(one_ranking(), st.integers(0, 200))
def test_in_rows_of_their_own_each_completion_is_as_long_as_the_longest(ranking, most):
    pieces = cut(ranking, most, separate=True)
    assert Counter(pair for piece in pieces for pair in pairs_in(piece)) == Counter(pairs_in(ranking))
    for piece in pieces:
        assert piece.longest * len(piece.completions) <= most or len(piece.completions) == 2


def test_a_ranking_that_fits_stays_whole():
    ranking = Ranking((1, 2), ((3,), (4, 5), (6,)), (Comparison(0, 1), Comparison(0, 2)))
    assert ranking.shared_tokens == 2 + 1 + 2 + 1
    assert cut(ranking, 6) == [ranking]
    # Of five tokens: the prompt with the first pair is 2 + 1 + 2, with the second 2 + 1 + 1.
    assert [piece.completions for piece in cut(ranking, 5)] == [((3,), (4, 5)), ((3,), (6,))]


def test_one_prompt_that_came_from_two_people_is_one_ranking_and_a_pair_of_both_counts_twice():
    pairs = [TokenPair((1,), (2,), (3,)), TokenPair((9,), (2,), (3,)), TokenPair((1,), (2,), (3,), margin=1.0)]
    (first, second) = group(pairs)
    assert first.pairs == (Comparison(0, 1), Comparison(0, 1, margin=1.0))
    assert (first.completions, second.prompt) == (((2,), (3,)), (9,))


def test_a_prompt_with_one_completion_has_no_pair_and_so_no_ranking():
    assert group([]) == []


@pytest.mark.parametrize(
    ("texts", "shared"),
    [
        ([(1, 2, 3), (1, 2, 4)], 2),
        ([(1, 2, 3, 4), (1, 2, 3)], 2),  # of the shorter one a token is left over
        ([(1, 2, 3), (5, 2, 3)], 0),
        ([(1, 2), (1, 2)], 1),
        ([(1, 9, 3), (1, 2, 3), (1, 9, 4)], 1),
    ],
)
def test_what_all_texts_begin_with(texts, shared):
    assert longest_shared_start(texts) == shared


def test_without_weight_a_ranking_is_the_same_for_the_model_and_nothing_for_the_loss():
    ranking = Ranking((1,), ((2,), (3,)), (Comparison(0, 1, weight=0.5),))
    assert ranking.without_weight() == Ranking((1,), ((2,), (3,)), (Comparison(0, 1, weight=0.0),))
