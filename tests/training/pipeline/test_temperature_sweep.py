"""The choice of a temperature, by pencil."""

import pytest

from training.pipeline.candidates import Candidate
from training.pipeline.completions import Completion, Prompt
from training.pipeline.temperature_sweep import Tried, best_temperature, chosen_prompts, compare


def candidates(*rows):
    return [Candidate(Completion(*row[:2], row[2], 1, row[4]), row[3]) for row in rows]


def test_the_mean_of_the_best_and_the_mean_of_all_are_over_prompts():
    found = candidates(
        ("a", 0, "one", 3.0, "stop"),
        ("a", 1, "two", 1.0, "stop"),  # a: best 3, mean 2
        ("b", 0, "same", 0.0, "stop"),
        ("b", 1, "same ", 0.0, "stop"),  # b: best 0, mean 0, all alike
    )
    (tried,) = compare({1.0: found}, finished_only=True)
    assert (tried.temperature, tried.prompts, tried.mean_best_score, tried.mean_score) == (1.0, 2, 1.5, 1.0)
    assert (tried.all_alike, tried.none_usable) == (1, 0)


def test_a_prompt_of_which_nothing_can_be_kept_counts_as_the_worst_that_any_temperature_wrote_for_it():
    cool = candidates(("a", 0, "x", 2.0, "stop"), ("b", 0, "y", 1.0, "stop"))
    # b is broken off: were it left out, the hot one's mean best would be 2.5 and the cool one's 1.5.
    hot = candidates(("a", 0, "x", 2.5, "stop"), ("b", 0, "z", 4.0, "length"))
    cool_line, hot_line = compare({0.8: cool, 1.3: hot}, finished_only=True)
    assert cool_line.mean_best_score == 1.5  # (2 + 1) / 2
    assert hot_line.mean_best_score == 1.75  # (2.5 + 1) / 2: the worst of b is the cool one's 1
    assert hot_line.none_usable == 1
    _, allowed = compare({0.8: cool, 1.3: hot}, finished_only=False)
    assert allowed.mean_best_score == pytest.approx(3.25)


def test_of_equally_good_temperatures_the_lowest_is_used():
    tried = [Tried(each, 1, best, 0.0, 0, 0) for each, best in ((1.3, 2.0), (1.2, 2.0), (0.8, 1.0))]
    assert best_temperature(tried) == 1.2


def test_the_prompts_to_try_on_are_drawn_by_the_seed_and_stay_in_order():
    prompts = [Prompt(str(i), []) for i in range(50)]
    first, again, other = (chosen_prompts(prompts, count=10, seed=seed) for seed in (1, 1, 2))
    assert first == again != other
    assert [int(each.id) for each in first] == sorted({int(each.id) for each in first})
    assert len(first) == 10
    assert chosen_prompts(prompts[:3], count=10, seed=1) == prompts[:3]
