"""How often a reward model is right, against pencil work."""

import pytest

from training.pipeline.accuracy import accuracy_by_strength, accuracy_of, verdicts_by, verdicts_by_length
from training.pipeline.preferences import Pair


def a_pair(prompt_id, *, chosen="yes", rejected="no", strength="better"):
    return Pair(prompt_id, [{"role": "user", "content": prompt_id}], chosen, rejected, strength, 0.0)


def test_equal_scores_are_not_right():
    # chosen, rejected: 2 over 1 is right, 1 under 2 is wrong, 1 and 1 say nothing
    assert verdicts_by([2.0, 1.0, 1.0, 2.0, 1.0, 1.0]) == [1.0, 0.0, 0.0]


def test_by_length_the_longer_completion_wins_and_equal_lengths_are_half_right():
    pairs = [a_pair("a", chosen="long", rejected="no"), a_pair("b", chosen="no", rejected="long"),
             a_pair("c", chosen=" no ", rejected="so")]  # fmt: skip
    assert verdicts_by_length(pairs) == [1.0, 0.0, 0.5]


def test_the_accuracy_is_the_share_of_pairs_and_its_interval_draws_prompts():
    # Four pairs of one prompt all right, one pair of another wrong: 4 of 5, and either prompt could be all there is.
    pairs = [a_pair("a") for _ in range(4)] + [a_pair("b")]
    found = accuracy_of(pairs, [1.0, 1.0, 1.0, 1.0, 0.0], seed=1)
    assert (found.accuracy, found.low, found.high) == (0.8, 0.0, 1.0)


def test_without_pairs_there_is_no_accuracy():
    assert accuracy_of([], [], seed=1) is None
    assert accuracy_by_strength([], [], seed=1) == []


def test_each_strength_has_its_own_accuracy_the_strongest_first_and_absent_ones_are_left_out():
    pairs = [
        a_pair("a", strength="slightly_better"),
        a_pair("b", strength="significantly_better"),
        a_pair("c", strength="slightly_better"),
        a_pair("d", strength="slightly_better"),
    ]
    levels = accuracy_by_strength(pairs, [1.0, 1.0, 0.0, 0.0], seed=1)
    assert [(each.strength, each.pairs) for each in levels] == [("significantly_better", 1), ("slightly_better", 3)]
    assert [each.accuracy for each in levels] == [1.0, pytest.approx(1 / 3)]
    assert all(each.low <= each.accuracy <= each.high for each in levels)
