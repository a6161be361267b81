"""The interval of a win rate: Wilson's, a sign test's, and what ties may do to it."""

import itertools
from math import comb

import numpy as np
import pytest

from training.pipeline.intervals import wilson
from training.pipeline.win_intervals import FEW, win_interval


def of(wins, ties, losses):
    return win_interval([1.0] * wins + [0.5] * ties + [0.0] * losses)


def sign_test(wins, losses):
    """The exact two-sided p: twice the chance of a fair coin's being as one-sided, at most 1."""
    tosses = wins + losses
    return min(1.0, 2 * sum(comb(tosses, k) for k in range(min(wins, losses) + 1)) / 2**tosses)


@pytest.mark.parametrize(
    ("wins", "losses"), [(1, 0), (0, 1), (3, 2), (6, 0), (30, 10), (50, 50), (0, 12), (200, 3), (60, 40)]
)
def test_without_ties_it_is_wilsons(wins, losses):
    expected = wilson(wins, wins + losses)
    assert of(wins, 0, losses) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_by_hand_three_wins_and_a_tie():
    # On the scale from -1 to 1: total 3, squares 3. With z^2 = 3.8415: n = 7.8415, decided 6.8415, centre 0.38258;
    # half 1.96 * sqrt(6.8415 - 9 / 4) / 7.8415 = 1.96 * 2.1428 / 7.8415 = 0.53558. (1 -0.1530) / 2, (1 + 0.9182) / 2.
    assert of(3, 1, 0) == (pytest.approx(0.4235, abs=1e-4), pytest.approx(0.9591, abs=1e-4))


def test_by_hand_ties_alone_are_tangos_interval():
    # z^2 / (n + z^2) = 3.8415 / 23.8415 = 0.16113 for twenty; half of it on either side of one half.
    assert of(0, 20, 0) == (pytest.approx(0.41944, abs=1e-4), pytest.approx(0.58056, abs=1e-4))


def test_a_handful_of_wins_among_many_ties_is_no_difference():
    low, high = of(4, 96, 0)  # the sign test of four wins in four: 2 / 16
    assert low < 0.5 < high


@pytest.mark.parametrize(("wins", "losses"), itertools.product(range(0, 25, 2), range(0, 25, 3)))
def test_a_tie_raises_no_lower_end_beyond_one_half_and_lifts_none_over_it(wins, losses):
    if not wins + losses:
        return
    lows = [of(wins, ties, losses)[0] for ties in (0, 1, 2, 3, 5, 10, 30, 100, 1000, 30_000)]
    for before, after in itertools.pairwise(lows):
        assert after <= max(before, 0.5) + 1e-12


@pytest.mark.parametrize("ties", [0, 1, 5, 40])
def test_few_decided_prompts_leave_one_half_out_only_where_the_sign_test_does(ties):
    for wins, losses in itertools.product(range(FEW), range(FEW)):
        if 0 < wins + losses < FEW and sign_test(wins, losses) >= 0.05:
            low, high = of(wins, ties, losses)
            assert low <= 0.5 <= high


def test_nine_of_ten_are_still_a_difference():
    # The sign test: 2 * (1 + 10) / 1024 = 0.0215.
    assert of(9, 0, 1)[0] > 0.5
    assert of(1, 0, 9)[1] < 0.5


@pytest.mark.parametrize(
    ("wins", "ties", "losses"), [(1, 0, 0), (0, 1, 0), (3, 9, 2), (40, 400, 0), (7, 1, 60), (6, 0, 0), (0, 0, 6)]
)
def test_what_was_seen_lies_within_and_the_other_side_sees_the_mirror(wins, ties, losses):
    low, high = of(wins, ties, losses)
    assert 0.0 <= low <= (wins + ties / 2) / (wins + ties + losses) <= high <= 1.0
    assert of(losses, ties, wins) == pytest.approx((1 - high, 1 - low))


@pytest.mark.parametrize(("wins", "ties", "losses"), [(40, 30, 30), (60, 20, 20), (90, 10, 60), (40, 300, 60)])
def test_of_many_decided_prompts_it_is_near_the_bootstrap(wins, ties, losses):
    verdicts = np.array([1.0] * wins + [0.5] * ties + [0.0] * losses)
    dice = np.random.default_rng(17)
    means = verdicts[dice.integers(len(verdicts), size=(10_000, len(verdicts)))].mean(axis=1)
    assert of(wins, ties, losses) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])), abs=0.012)


def test_prompts_judged_several_times_are_known_more_exactly_than_by_one_verdict():
    # 54 prompts of four verdicts each, as the demo's: the means vary less than wins and losses of the same mean.
    means = [1.0] * 14 + [0.75] * 12 + [0.5] * 10 + [0.25] * 12 + [0.0] * 6  # 0.574
    low, high = win_interval(means)
    as_one, as_all = wilson(31, 54), wilson(124, 216)
    assert as_all.high - as_all.low < high - low < as_one.high - as_one.low
