"""Answers scored against known ones."""

import pytest

from annotation.rules.known import known_ranking, pairs_right, share_right
from annotation.rules.ranking import Ranking


def ranked(*groups):
    return Ranking(tuple(tuple(group) for group in groups))


@pytest.mark.parametrize(
    ("known", "given", "score"),
    [
        (ranked("a", "b"), ranked("a", "b"), (1, 1)),
        (ranked("a", "b"), ranked("b", "a"), (0, 1)),
        (ranked("ab"), ranked("ba"), (1, 1)),  # a tie is a tie in any order
        (ranked("ab"), ranked("a", "b"), (0, 1)),  # a winner where there is none
        (ranked("a", "b"), ranked("ab"), (0, 1)),  # a tie where there is a winner
        # Known a > b = c. Given a = b > c: a-b tied, wrong; a-c right; b-c decided, wrong.
        (ranked("a", "bc"), ranked("ab", "c"), (1, 3)),
        # Reversed, three different places: none of 3.
        (ranked("a", "b", "c"), ranked("c", "b", "a"), (0, 3)),
        # One neighbouring swap of four: 5 of 6.
        (ranked("a", "b", "c", "d"), ranked("a", "c", "b", "d"), (5, 6)),
    ],
)
def test_a_pair_is_right_when_it_stands_the_same_way(known, given, score):
    assert pairs_right(known, given) == score


def test_an_edit_that_only_the_answer_has_does_not_count():
    assert pairs_right(ranked("a", "b"), ranked("e", "a", "b")) == (1, 1)


def test_what_the_answer_lacks_is_wrong():
    assert pairs_right(ranked("a", "b", "c"), ranked("a", "b")) == (1, 3)


def test_without_an_answer_everything_is_wrong():
    assert pairs_right(ranked("a", "b", "c"), None) == (0, 3)


def test_each_pair_counts_the_same():
    assert share_right([(1, 1), (0, 3)]) == 0.25
    assert share_right([]) is None


def test_a_stored_answer_is_read():
    assert known_ranking([[3], [1, 2]]) == Ranking(((3,), (1, 2)))
