"""The intervals, against pencil work."""

import pytest

from training.pipeline import intervals
from training.pipeline.intervals import clustered_share, wilson


def test_wilsons_interval_of_eight_in_ten():
    # z = 1.95996, z^2 = 3.84146. Centre: (0.8 + 3.84146 / 20) / (1 + 3.84146 / 10) = 0.992073 / 1.384146 = 0.716740.
    # Half: 1.95996 / 1.384146 * sqrt(0.8 * 0.2 / 10 + 3.84146 / 400) = 1.416007 * 0.160011 = 0.226577.
    interval = wilson(8, 10)
    assert interval.value == 0.8
    assert interval.low == pytest.approx(0.716740 - 0.226577, abs=1e-5)
    assert interval.high == pytest.approx(0.716740 + 0.226577, abs=1e-5)


def test_wilsons_interval_of_all_does_not_reach_below_what_was_seen_and_stays_under_one():
    # Ten of ten: the lower end is 1 / (1 + z^2 / 10) = 0.722467.
    interval = wilson(10, 10)
    assert interval.low == pytest.approx(0.722467, abs=1e-5)
    assert interval.high == pytest.approx(1.0)


def test_nothing_tried_has_no_interval():
    assert wilson(0, 0) is None
    assert clustered_share([], resamples=100, seed=1) is None
    assert clustered_share([[], []], resamples=100, seed=1) is None


def test_the_interval_of_many_clusters_is_near_the_normal_one():
    # 60 of 100 clusters won: 0.6 -+ 1.96 * sqrt(0.6 * 0.4 / 100) = 0.6 -+ 0.096.
    interval = clustered_share([[1.0]] * 60 + [[0.0]] * 40, resamples=10_000, seed=1)
    assert interval.low == pytest.approx(0.504, abs=0.011)
    assert interval.high == pytest.approx(0.696, abs=0.011)


def test_the_same_seed_draws_the_same():
    clusters = [[float(i % 3 > 0)] for i in range(40)]
    first, again, other = (clustered_share(clusters, resamples=50, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_in_a_share_every_value_counts_once():
    # Three of four; as a mean of clusters it would be (1 + 0) / 2.
    assert clustered_share([[1.0, 1.0, 1.0], [0.0]], resamples=100, seed=1).value == 0.75


def test_the_share_of_two_opposite_clusters_of_unlike_size_is_drawn_as_a_ratio():
    # Drawn: twice the first, 1; both, 3/4; twice the second, 0. Each end of the middle 95 % has a chance of 1/4.
    interval = clustered_share([[1.0, 1.0, 1.0], [0.0]], resamples=1000, seed=1)
    assert (interval.low, interval.high) == (0.0, 1.0)


def test_pairs_of_one_prompt_that_resemble_each_other_widen_the_interval():
    # 50 prompts, 30 right. Of each 4 alike pairs: as if 50 were tried, half-width 1.96 * sqrt(0.24 / 50) = 0.136.
    # Were all 200 independent it would be half of that.
    alike = clustered_share([[1.0] * 4] * 30 + [[0.0] * 4] * 20, resamples=10_000, seed=1)
    each_alone = clustered_share([[1.0]] * 120 + [[0.0]] * 80, resamples=10_000, seed=1)
    assert alike.high - alike.low == pytest.approx(2 * 0.136, abs=0.015)
    assert each_alone.high - each_alone.low == pytest.approx(0.136, abs=0.015)


def test_all_right_is_not_certainty():
    # Ten prompts of two pairs: as ten of ten, 1 / (1 + z^2 / 10) = 0.722467 (and not twenty of twenty, 0.8389).
    interval = clustered_share([[1.0, 1.0]] * 10, resamples=100, seed=1)
    assert (interval.value, interval.low) == (1.0, pytest.approx(0.722467, abs=1e-5))
    none = clustered_share([[0.0]] * 10, resamples=100, seed=1)
    assert (none.value, none.high) == (0.0, pytest.approx(1 - 0.722467, abs=1e-5))


def test_many_clusters_are_drawn_a_part_at_a_time_with_the_same_result(monkeypatch):
    clusters = [[float(i % 3 > 0)] for i in range(40)]
    whole = clustered_share(clusters, resamples=100, seed=1)
    monkeypatch.setattr(intervals, "DRAWN_AT_ONCE", 120)
    assert clustered_share(clusters, resamples=100, seed=1) == whole
