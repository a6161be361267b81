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
    assert result_warnings.of_rejection_sampling({"prompts": 10, "dropped": {"all_alike": 2}}) == []
    assert result_warnings.of_rejection_sampling({}) == []


def test_prompts_that_were_lost_are_told_above_a_fifth_with_the_reason():
    lost = {"prompts": 148, "dropped": {"none_finished": 54, "all_alike": 3}}
    (found,) = result_warnings.of_rejection_sampling(lost, {"max_tokens": 80})
    assert (found.name, found.level) == ("prompts_lost", Level.WARNING)
    assert "Of 148 prompts, 57 have no candidate" in found.words
    assert "54: no candidate finished within 80 tokens" in found.words
    assert result_warnings.of_rejection_sampling({"prompts": 10, "dropped": {"none_finished": 2}}) == []
    both = {"prompts": 10, "dropped": {"none_finished": 3, "all_alike": 6}}
    assert names(result_warnings.of_rejection_sampling(both)) == ["prompts_lost", "all_alike"]


def test_beta_is_advised_only_where_there_is_one():
    (found,) = result_warnings.of_evaluation({"kl_to_old": 0.6}, has_dpo=True)
    assert "beta" in found.remedy
    (found,) = result_warnings.of_evaluation({"kl_to_old": 0.6})
    assert "beta" not in found.remedy


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


def test_a_judge_that_takes_part_is_neither_the_selector_nor_independent():
    partial = match(independent=False, rate=0.9) | {"independence": "takes_part"}
    assert result_warnings.of_evaluation({"matches": [match(independent=True, rate=0.6), partial]}) == []
    selector = match(independent=False, rate=0.9) | {"independence": "selected"}
    low = match(independent=False, rate=0.3) | {"independence": "takes_part"}
    assert result_warnings.of_evaluation({"matches": [low, selector]}) == []


def by_people(low, high, opponent="old"):
    return {
        "opponent": opponent, "judge": "people", "independent": True, "win_rate": (low + high) / 2, "low": low,
        "high": high, "prompts": 6,
    }  # fmt: skip


def test_people_whose_interval_lies_on_the_other_side_of_one_half_are_told():
    (found,) = result_warnings.of_evaluation({"win_rate": 0.736, "matches": [by_people(0.12, 0.46)]})
    assert (found.name, found.level) == ("people_disagree", Level.WARNING)
    assert found.title == "People prefer the old policy, and the first judge does not"
    assert "29% wins of the new policy over the old one (12% to 46%, 6 prompts)" in found.words
    assert "sees 74%" in found.words
    (found,) = result_warnings.of_evaluation({"win_rate": 0.4, "matches": [by_people(0.55, 0.9)]})
    assert found.title == "People prefer the new policy, and the first judge does not"


def test_people_who_agree_or_are_not_sure_are_not():
    for low, high, opponent in ((0.12, 0.64, "old"), (0.55, 0.9, "old"), (0.1, 0.3, "base")):
        result = {"win_rate": 0.736, "matches": [by_people(low, high, opponent)]}
        assert result_warnings.of_evaluation(result) == []


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
