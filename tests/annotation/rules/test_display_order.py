"""Orders of display: balanced exactly, the same for the same slot, and not to be foreseen."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotation.rules.display_order import ROUNDS, display_order

SECRET = b"of the tests"
SIZES = pytest.mark.parametrize("k", range(2, 10))


def order(comparison, turn=0, k=4, secret=SECRET):
    """Ids are 0 .. k-1 of policies 100 .. 100+k-1, so that an id is a policy, too."""
    return display_order([(n, 100 + n) for n in range(k)], comparison=comparison, turn=turn, secret=secret)


@SIZES
def test_over_the_slots_of_a_comparison_each_completion_stands_everywhere_equally_often(k):
    for comparison in range(3 * k):
        orders = [order(comparison, turn, k) for turn in range(2 * k)]
        for position in range(k):
            assert Counter(shown[position] for shown in orders[:k]) == dict.fromkeys(range(k), 1)
            assert Counter(shown[position] for shown in orders) == dict.fromkeys(range(k), 2)


@SIZES
def test_over_a_block_of_comparisons_each_policy_stands_everywhere_equally_often(k):
    block = range(7 * ROUNDS * k, 8 * ROUNDS * k)
    for turn in (0, 1, k):
        orders = [order(comparison, turn, k) for comparison in block]
        for position in range(k):
            assert Counter(shown[position] for shown in orders) == dict.fromkeys(range(k), ROUNDS)


def test_a_policy_is_known_by_its_number_not_by_its_place_in_the_list():
    pairs = [(7, 30), (8, 10), (9, 20)]
    ways = [display_order(given, comparison=5, turn=0, secret=SECRET) for given in (pairs, pairs[::-1])]
    assert ways[0] == ways[1]


def test_completions_of_one_policy_and_of_persons_have_an_order_too():
    shown = display_order([(3, 1), (2, 1), (9, None)], comparison=5, turn=0, secret=SECRET)
    assert sorted(shown) == [2, 3, 9]


@given(st.integers(1, 10**7), st.integers(0, 60), st.integers(2, 9))
@settings(max_examples=100, deadline=None)
def test_the_same_slot_always_shows_the_same_order(comparison, turn, k):
    assert order(comparison, turn, k) == order(comparison, turn, k)
    assert sorted(order(comparison, turn, k)) == list(range(k))


def test_which_row_comes_first_is_like_a_coin():
    """1,024 comparisons of two: 512 each way, exactly; but runs of equal ones are as long as a coin's.

    With a plain alternation no two neighbours would be equal, with sides that never change all would. Of a fair coin's
    1,023 neighbours half are equal, with a standard deviation of sqrt(1023) / 2 = 16; blocks take a little away.
    """
    first = [order(comparison, k=2)[0] for comparison in range(1024)]
    assert sum(first) == 512
    equal = sum(before == after for before, after in pairwise(first))
    assert 400 < equal < 600


def test_another_secret_gives_other_orders():
    ours, theirs = ([order(n, secret=secret) for n in range(64)] for secret in (b"one", b"two"))
    # Of 64 orders with 24 possibilities, 64/24 = 2.7 are equal by chance; 20 would be ten deviations away.
    assert sum(a == b for a, b in zip(ours, theirs, strict=True)) < 20
