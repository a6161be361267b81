"""How far annotators disagree, worked out by hand."""

import random
from itertools import combinations

import pytest

from annotation.rules.disagreement import Disagreement, disagreement_of, proposed_order


def test_one_judgment_disagrees_with_nobody():
    assert disagreement_of([[[1], [2]]]) == Disagreement()
    assert disagreement_of([]).share == 0


def test_the_same_ranking_written_in_another_order_is_full_agreement():
    found = disagreement_of([[[1, 2], [3]], [[2, 1], [3]]])
    assert (found.differing, found.total, found.pairs) == (0, 3, ())


def test_opposite_orders_disagree_on_every_pair():
    found = disagreement_of([[[1], [2], [3]], [[3], [2], [1]]])
    assert (found.differing, found.total) == (3, 3)
    assert found.pairs == ((1, 2), (1, 3), (2, 3))
    assert found.percent == 100


def test_a_tie_disagrees_with_an_order():
    found = disagreement_of([[[1, 2]], [[1], [2]]])
    assert (found.differing, found.total) == (1, 1)


def test_two_of_three_against_one_differ_in_two_of_three_pairs_of_judgments():
    # Judgments a, b, c say 1>2, 1>2, 2>1: a-b agree, a-c and b-c differ.
    found = disagreement_of([[[1], [2]], [[1], [2]], [[2], [1]]])
    assert (found.differing, found.total) == (2, 3)
    assert found.percent == 67


def test_what_only_one_annotator_ranked_is_left_out():
    # 9 is an edit of the first annotator's own: only 1 against 2 was ranked by both.
    found = disagreement_of([[[9], [1], [2]], [[1], [2]]])
    assert (found.differing, found.total) == (0, 1)


def test_a_little_disagreement_is_never_rounded_away():
    rankings = [[[1], [2]]] * 30 + [[[2], [1]]]
    assert 0 < disagreement_of(rankings * 10).percent < 100
    assert disagreement_of([[[n] for n in range(9)]] * 20 + [[[1], [0], *([n] for n in range(2, 9))]]).percent == 1


@pytest.mark.parametrize("seed", range(5))
def test_the_count_is_that_of_looking_at_every_two_judgments(seed):
    draw = random.Random(seed)
    rankings = [_random_ranking(draw) for _ in range(4)]
    differing = 0
    for one, other in combinations(rankings, 2):
        for pair in combinations(range(4), 2):
            differing += _above(one, *pair) != _above(other, *pair)
    found = disagreement_of(rankings)
    assert (found.differing, found.total) == (differing, 6 * 6)


def test_the_order_that_most_give_is_proposed():
    # 1 above 2 and 3 for all; 2 above 3 for two of three.
    assert proposed_order([[[1], [2], [3]], [[1], [2], [3]], [[1], [3], [2]]], [1, 2, 3]) == [[1], [2], [3]]


def test_majorities_in_a_circle_are_proposed_as_a_tie():
    rankings = [[[1], [2], [3]], [[2], [3], [1]], [[3], [1], [2]]]
    assert proposed_order(rankings, [1, 2, 3]) == [[1, 2, 3]]


def test_an_annotators_own_edit_has_no_place_in_the_proposal():
    assert proposed_order([[[9], [1], [2]]], [1, 2]) == [[1], [2]]


def _random_ranking(draw):
    places = {item: draw.randrange(3) for item in range(4)}
    return [[item for item in places if places[item] == place] for place in sorted(set(places.values()))]


def _above(groups, first, second):
    place = {item: n for n, group in enumerate(groups) for item in group}
    return (place[first] > place[second]) - (place[first] < place[second])


@pytest.mark.parametrize(
    ("rankings", "words"),
    [
        ([[[1], [2]], [[1], [2]], [[2], [1]]], "2 : 1"),
        ([[[1], [2]], [[1, 2]], [[2], [1]]], "1 : 1 : 1"),
        ([[[1], [2]], [[1], [2]]], "none"),
        ([[[1], [2], [3]], [[1], [3], [2]], [[1], [2], [3]]], "1 of 3 pairs"),
        ([[[9], [1], [2]], [[2], [1]]], "1 : 1"),  # 9 was written by one of them alone
        ([[[1], [2]]], "none"),
    ],
)
def test_disagreement_is_told_as_a_reader_counts_it(rankings, words):
    assert disagreement_of(rankings).words == words
