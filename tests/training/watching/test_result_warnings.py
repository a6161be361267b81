"""What in a stage's result is worth a look."""

from tests.training.watching.written import RESULTS
from training.models import StageKind
from training.watching import result_warnings
from training.watching.warnings import Level


def match(opponent="old", *, independent, rate, half=0.05):
    return {
        "opponent": opponent, "independent": independent, "win_rate": rate, "low": rate - half, "high": rate + half,
    }  # fmt: skip


def names(found):
    return [each.name for each in found]


def test_a_reward_model_whose_interval_holds_one_half_may_be_guessing():
    result = {"accuracy": 0.6, "accuracy_low": 0.48, "accuracy_high": 0.71}
    (found,) = result_warnings.of_reward_model(result)
    assert (found.name, found.level) == ("reward_at_chance", Level.WARNING)
    assert "60%" in found.words


def test_a_reward_model_that_a_ruler_may_equal_is_told():
    (found,) = result_warnings.of_reward_model(RESULTS[StageKind.REWARD_MODEL])  # from 0.58; by length 0.61
    assert (found.name, found.level) == ("reward_is_length", Level.NOTE)


def test_a_reward_model_beyond_both_is_not():
    result = {"accuracy": 0.8, "accuracy_low": 0.7, "accuracy_high": 0.9, "length_baseline": {"accuracy": 0.6}}
    assert result_warnings.of_reward_model(result) == []
    assert result_warnings.of_reward_model({"accuracy": None}) == []


def test_rejection_sampling_with_little_to_choose_from_is_told():
    assert names(result_warnings.of_rejection_sampling({"prompts": 10, "dropped": {"all_alike": 5}})) == ["all_alike"]
    assert result_warnings.of_rejection_sampling({"prompts": 10, "dropped": {"all_alike": 4}}) == []
    assert result_warnings.of_rejection_sampling({}) == []


def test_a_win_in_the_selectors_eyes_alone_is_told():
    result = {"matches": [match(independent=True, rate=0.6), match(independent=False, rate=0.9)]}
    (found,) = result_warnings.of_evaluation(result)
    assert found.name == "selector_alone"
    assert "90% wins" in found.words
    assert "60%" in found.words


def test_a_selector_whose_interval_touches_an_independent_judges_is_believed():
    near = {"matches": [match(independent=True, rate=0.6, half=0.2), match(independent=False, rate=0.9, half=0.2)]}
    base = {"matches": [match("base", independent=True, rate=0.1), match(independent=False, rate=0.9)]}
    assert result_warnings.of_evaluation(near) == []
    assert result_warnings.of_evaluation(base) == []


def test_longer_answers_and_a_win_by_length_are_told():
    found = result_warnings.of_evaluation(RESULTS[StageKind.EVALUATE] | {"matches": []})
    # 84 tokens against 55 is 1.53 times; the win rate goes from 0.64 to 0.52, which is still above one half.
    assert [(each.name, each.level) for each in found] == [
        ("longer_answers", Level.NOTE),
        ("won_by_length", Level.NOTE),
    ]


def test_a_win_that_is_length_alone_is_a_warning():
    (found,) = result_warnings.of_evaluation({"win_rate": 0.6, "length_controlled_win_rate": 0.49})
    assert (found.name, found.level) == ("won_by_length", Level.WARNING)
    assert result_warnings.of_evaluation({"win_rate": 0.6, "length_controlled_win_rate": 0.56}) == []
    assert result_warnings.of_evaluation({"win_rate": 0.4, "length_controlled_win_rate": 0.3}) == []


def test_a_policy_far_from_the_old_one_is_told():
    assert names(result_warnings.of_evaluation({"kl_to_old": 0.6})) == ["far_from_start"]


def test_what_was_forgotten_is_told_task_by_task():
    (found,) = result_warnings.of_harness(RESULTS[StageKind.HARNESS])
    assert found.words == "It is worse than the old one at: sums, by 3.2 standard errors."
    (found,) = result_warnings.of_harness({"perplexity_ratio": 1.2})
    assert found.words == "It is worse than the old one at: perplexity on held-out text, 1.20 times the old one's."
    assert (
        result_warnings.of_harness({"perplexity_ratio": 1.05, "tasks": [{"task": "a", "drop_in_errors": None}]}) == []
    )
