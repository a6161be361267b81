"""Win rates at equal lengths, on constructed verdicts."""

import numpy as np
import pytest
import statsmodels.api as sm

from training.pipeline.length_control import Duels, length_controlled


def duels(verdicts, tokens_new, tokens_other, clusters=None):
    clusters = clusters or [[i] for i in range(len(verdicts))]
    return Duels(list(verdicts), list(tokens_new), list(tokens_other), clusters)


def drawn(*, quality, slope, count=2000, longer_by=30.0, seed=1):
    """Verdicts drawn from the model itself, of a policy that writes ``longer_by`` tokens more on average."""
    dice = np.random.default_rng(seed)
    other = dice.integers(80, 120, count)
    new = other + np.round(dice.normal(longer_by, 40, count)).astype(int)
    feature = np.tanh((new - other) / (new - other).std(ddof=1))
    chance = 1 / (1 + np.exp(-(quality + slope * feature)))
    return duels((dice.random(count) < chance).astype(float), new, other)


def test_where_length_explains_everything_the_win_rate_at_equal_lengths_is_one_half():
    data = drawn(quality=0.0, slope=3.0)
    found = length_controlled(data, resamples=400, seed=1)
    assert np.mean(data.verdicts) > 0.68  # raw, the longer policy seems better
    assert found.value == pytest.approx(0.5, abs=0.04)
    assert found.low < 0.5 < found.high


def test_where_length_explains_nothing_the_win_rate_stays():
    # sigmoid(0.8473) = 0.7
    data = drawn(quality=0.8473, slope=0.0)
    found = length_controlled(data, resamples=400, seed=1)
    assert found.value == pytest.approx(np.mean(data.verdicts), abs=0.02)
    assert found.value == pytest.approx(0.7, abs=0.04)
    assert found.low < 0.7 < found.high


def test_a_better_policy_that_also_writes_more_is_told_apart_from_its_length():
    # sigmoid(0.4055) = 0.6
    found = length_controlled(drawn(quality=0.4055, slope=2.0), resamples=400, seed=1)
    assert found.value == pytest.approx(0.6, abs=0.04)


def test_the_regression_is_statsmodels_own():
    data = drawn(quality=0.3, slope=1.0, count=300)
    difference = np.subtract(data.tokens_new, data.tokens_other)
    design = np.column_stack([np.ones(300), np.tanh(difference / difference.std(ddof=1))])
    fitted = sm.GLM(np.array(data.verdicts), design, family=sm.families.Binomial()).fit()
    # The prior of a standard deviation of 10 moves hardly anything.
    expected = 1 / (1 + np.exp(-fitted.params[0]))
    assert length_controlled(data, resamples=100, seed=1).value == pytest.approx(expected, abs=1e-3)


def test_by_hand_two_prompts_of_opposite_differences():
    # Longer by 10 and won, shorter by 10 and lost: by symmetry the quality is 0, so half.
    assert length_controlled(duels([1.0, 0.0], [20, 10], [10, 20]), resamples=100, seed=1).value == pytest.approx(0.5)


def test_without_any_difference_it_is_the_raw_rate():
    # Three of four. The prior pulls log odds of ln 3 by 0.01 * ln 3 / (4 * 0.75 * 0.25), and the rate by 0.0027.
    found = length_controlled(duels([1.0, 1.0, 1.0, 0.0], [9] * 4, [9] * 4), resamples=100, seed=1)
    assert found.value == pytest.approx(0.75, abs=0.005)


def test_ties_are_half_wins():
    found = length_controlled(duels([0.5] * 6, [1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1]), resamples=100, seed=1)
    assert (found.value, found.low, found.high) == pytest.approx((0.5, 0.5, 0.5))


def test_a_difference_that_is_always_the_same_says_nothing():
    assert length_controlled(duels([1.0, 0.0, 1.0], [20, 21, 22], [10, 11, 12]), resamples=100, seed=1) is None


def test_a_single_prompt_says_nothing():
    assert length_controlled(duels([1.0, 0.0], [20, 10], [10, 15], [[0, 1]]), resamples=100, seed=1) is None


def test_a_prompt_counts_once_however_many_completions_it_has():
    # Prompt a: three wins; prompt b: one loss; no difference in length. Half, not 3 / 4.
    found = length_controlled(duels([1.0, 1.0, 1.0, 0.0], [9] * 4, [9] * 4, [[0, 1, 2], [3]]), resamples=100, seed=1)
    assert found.value == pytest.approx(0.5)


def test_all_won_stays_finite_and_near_one():
    data = duels([1.0] * 40, range(60, 100), [80] * 40)
    found = length_controlled(data, resamples=100, seed=1)
    assert 0.99 < found.value < 1.0
    assert np.isfinite([found.low, found.high]).all()


def test_repeating_the_verdicts_of_each_prompt_narrows_nothing():
    once = drawn(quality=0.5, slope=1.0, count=60)
    thrice = Duels(
        verdicts=list(once.verdicts) * 3,
        tokens_new=list(once.tokens_new) * 3,
        tokens_other=list(once.tokens_other) * 3,
        clusters=[[i, i + 60, i + 120] for i in range(60)],
    )
    one, three = (length_controlled(data, resamples=200, seed=1) for data in (once, thrice))
    # The spread of 180 differences is divided by 179 where that of 60 is divided by 59: a trace.
    assert (three.value, three.low, three.high) == pytest.approx((one.value, one.low, one.high), abs=0.005)


def test_the_same_seed_draws_the_same():
    data = drawn(quality=0.5, slope=1.0, count=50)
    first, again, other = (length_controlled(data, resamples=50, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other
