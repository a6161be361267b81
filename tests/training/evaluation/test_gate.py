"""The gate's arithmetic, and its words."""

import dataclasses
import math

import pytest

from training.evaluation import gate
from training.recipe import Gate, load
from training.recipe.together import WIN_RATES

EVALUATION = {"win_rate": 0.7, "win_rate_low": 0.55, "mean_tokens_new": 60.0, "mean_tokens_old": 50.0}
HARNESS = {
    "perplexity_ratio": 1.04,
    "largest_drop": 0.8,
    "tasks": [
        {"task": "everyday", "drop_in_errors": 0.8},
        {"task": "sums", "drop_in_errors": -1.5},
        {"task": "broken", "drop_in_errors": None},
    ],
}


def passed(conditions, evaluation=EVALUATION, harness=None) -> bool:
    return gate.judged(conditions=conditions, evaluation=evaluation, harness=harness)["passed"]


def words(conditions, evaluation=EVALUATION, harness=None) -> list[str]:
    report = gate.judged(conditions=conditions, evaluation=evaluation, harness=harness)
    return [condition["words"] for condition in report["conditions"]]


def test_the_lower_end_must_lie_above_the_threshold_and_not_on_it():
    assert passed({"min_win_rate_low": 0.54})
    assert not passed({"min_win_rate_low": 0.55})
    assert not passed({"min_win_rate_low": 0.56})


def test_the_length_ratio_is_new_by_old():
    # 60 / 50 = 1.2
    assert passed({"max_length_ratio": 1.2})
    assert not passed({"max_length_ratio": 1.19})
    assert passed({"min_length_ratio": 1.2})
    assert not passed({"min_length_ratio": 1.21})


def test_a_win_that_is_owed_to_length_can_be_refused():
    evaluation = EVALUATION | {"length_controlled_win_rate": 0.49}
    assert not passed({"min_length_controlled_win_rate": 0.5}, evaluation)
    assert passed({"min_length_controlled_win_rate": 0.49}, evaluation)


def test_no_task_may_fall_by_more_than_its_error():
    assert passed({"max_task_drop": 1.0}, harness=HARNESS)
    assert not passed({"max_task_drop": 1.0}, harness=HARNESS | {"largest_drop": 1.2})
    assert not passed({"max_perplexity_ratio": 1.03}, harness=HARNESS)


def test_one_condition_that_fails_closes_the_gate():
    report = gate.judged(conditions={"min_win_rate_low": 0.5, "max_length_ratio": 1.1}, evaluation=EVALUATION)
    assert [condition["passed"] for condition in report["conditions"]] == [True, False]
    assert not report["passed"]
    assert report["reason"] == "Not published: mean length, new policy to old is 1.200, and must be <= 1.1."


@pytest.mark.parametrize(
    "evaluation",
    [
        None,
        {},
        {"win_rate_low": None},
        {"mean_tokens_old": 0},
        {"win_rate_low": math.nan, "mean_tokens_new": math.nan, "mean_tokens_old": 50.0},
    ],
)
def test_what_was_not_measured_has_not_passed(evaluation):
    assert not passed({"min_win_rate_low": 0.5}, evaluation)
    assert not passed({"max_length_ratio": 1.5}, evaluation)


@pytest.mark.parametrize("condition", Gate.conditions())
def test_every_condition_of_a_recipe_has_a_rule_and_none_passes_unmeasured(condition):
    assert not passed({condition: 1.0}, {}, {})
    report = gate.judged(conditions={condition: 1.0}, evaluation={}, harness={})
    assert "is not measured, and must be" in report["reason"]


def test_a_harness_that_measured_no_task_lets_nothing_pass():
    assert not passed({"max_task_drop": 5.0}, harness={"largest_drop": None, "tasks": []})


def test_what_a_recipe_does_not_ask_is_not_judged():
    section = dataclasses.asdict(Gate(min_win_rate=0.6))  # every other condition is None
    assert len(gate.judged(conditions=section, evaluation=EVALUATION)["conditions"]) == 1


def test_what_a_recipe_does_not_ask_is_told_with_what_was_measured():
    found = gate.not_asked(
        conditions={"min_win_rate_low": 0.5, "max_length_ratio": None, "rounds": ""},
        evaluation=EVALUATION,
        harness={"perplexity_ratio": 1.43},
    )
    assert [each["name"] for each in found] == [name for name in Gate.conditions() if name != "min_win_rate_low"]
    values = {each["name"]: each["value"] for each in found}
    assert (values["max_perplexity_ratio"], values["max_length_ratio"]) == (1.43, 1.2)
    assert values["max_task_drop"] is None


def test_nothing_is_asked_without_a_gate_and_nothing_measured_without_stages():
    found = gate.not_asked(conditions=None, evaluation=None)
    assert {each["name"] for each in found} == set(Gate.conditions())
    assert {each["value"] for each in found} == {None}


def test_the_words_say_whom_it_met_and_who_judged():
    met = {"opponent": "old", "name": "r1-dpo", "judge": "simulated", "independent": True}
    evaluation = EVALUATION | {"judge": "simulated", "matches": [met]}
    assert words({"min_win_rate_low": 0.5}, evaluation) == [
        "lower end of the 95 % interval of the win rate over r1-dpo, judged by the simulated annotators"
    ]
    assert words({"min_win_rate": 0.5}, evaluation) == ["win rate over r1-dpo, judged by the simulated annotators"]


def test_the_words_say_when_the_judge_is_not_independent():
    met = {"opponent": "old", "name": "r1-dpo", "judge": "reward_model", "independent": False}
    evaluation = EVALUATION | {"judge": "reward_model", "matches": [met]}
    assert words({"min_win_rate": 0.5}, evaluation) == [
        "win rate over r1-dpo, judged by the reward model, which selected its candidates and so decides nothing"
    ]
    evaluation = EVALUATION | {"judge": "model", "matches": [met | {"judge": "model"}]}
    assert words({"min_win_rate": 0.5}, evaluation) == [
        "win rate over r1-dpo, judged by the policy that judges, which takes part itself and so decides nothing"
    ]


@pytest.mark.parametrize("condition", WIN_RATES)
@pytest.mark.parametrize(("judge", "why"), [("reward_model", "selected"), ("model", "takes_part")])
def test_no_win_rate_passes_in_the_eyes_of_a_judge_that_selected_or_takes_part(condition, judge, why):
    met = {"opponent": "old", "name": "r1-dpo", "judge": judge, "independent": False, "independence": why}
    evaluation = EVALUATION | {"length_controlled_win_rate": 0.7, "judge": judge, "matches": [met]}
    report = gate.judged(conditions={condition: 0.5}, evaluation=evaluation)
    assert not report["passed"]
    assert "decides nothing" in report["reason"]
    assert report["reason"].endswith(gate.REMEDY)
    believed = met | {"independent": True, "independence": "independent"}
    assert passed({condition: 0.5}, evaluation | {"matches": [believed]})


def test_what_no_judge_has_a_part_in_passes_whoever_judged():
    met = {"opponent": "old", "name": "r1-dpo", "judge": "reward_model", "independent": False}
    evaluation = EVALUATION | {"judge": "reward_model", "matches": [met]}
    assert passed({"max_length_ratio": 1.3}, evaluation)
    report = gate.judged(conditions={"max_length_ratio": 1.1}, evaluation=evaluation)
    assert gate.REMEDY not in report["reason"]


# --- the newest published policy, where the old one was withheld ---


def over_two(**published):
    """Better than the withheld policy that it was continued from; the figures against the published one are given."""
    old = {"opponent": "old", "name": "r1-dpo", "judge": "simulated", "independent": True}
    other = {"opponent": "published", "name": "r0-dpo", "judge": "simulated", "independent": True}
    of_another_judge = other | {"judge": "reward_model", "win_rate": 0.9, "low": 0.8, "mean_tokens_opponent": 60.0}
    measured = {"win_rate": 0.6, "low": 0.52, "mean_tokens_new": 60.0, "mean_tokens_opponent": 50.0} | published
    return EVALUATION | {
        "judge": "simulated", "published_is": "published", "matches": [old, of_another_judge, other | measured],
    }  # fmt: skip


def test_a_policy_better_than_a_withheld_one_must_be_better_than_the_published_one_too():
    assert passed({"min_win_rate_low": 0.5}, over_two())
    assert not passed({"min_win_rate_low": 0.5}, over_two(low=0.48))
    assert not passed({"min_win_rate": 0.5}, over_two(win_rate=0.49))
    assert not passed({"min_length_controlled_win_rate": 0.5}, over_two() | {"length_controlled_win_rate": 0.6})
    both = over_two(length_controlled_win_rate=0.55) | {"length_controlled_win_rate": 0.6}
    assert passed({"min_length_controlled_win_rate": 0.5}, both)


def test_the_lengths_must_hold_against_both():
    # 60 / 50 = 1.2 against the old one; 60 / 40 = 1.5 against the published one.
    assert passed({"max_length_ratio": 1.3}, over_two())
    assert not passed({"max_length_ratio": 1.3}, over_two(mean_tokens_opponent=40.0))


def test_each_condition_is_reported_once_for_each_opponent_by_name():
    report = gate.judged(
        conditions={"min_win_rate": 0.5, "max_length_ratio": 1.3, "max_task_drop": 1.0},
        evaluation=over_two(), harness=HARNESS,
    )  # fmt: skip
    assert [condition["words"] for condition in report["conditions"]] == [
        "win rate over r1-dpo, judged by the simulated annotators",
        "win rate over r0-dpo, judged by the simulated annotators",
        "mean length, new policy to r1-dpo",
        "mean length, new policy to r0-dpo",
        "largest drop of a harness task (everyday), in standard errors",
    ]
    assert [condition["value"] for condition in report["conditions"]] == [0.7, 0.6, 1.2, 1.2, 0.8]


def test_a_base_that_is_the_newest_published_policy_is_asked_of_by_its_own_match():
    evaluation = over_two(low=0.48)
    evaluation["matches"][-1]["opponent"] = "base"
    assert not passed({"min_win_rate_low": 0.5}, evaluation | {"published_is": "base"})
    assert passed({"min_win_rate_low": 0.5}, evaluation | {"published_is": "old"})


def test_a_published_policy_that_was_not_met_lets_nothing_pass():
    evaluation = over_two() | {"matches": over_two()["matches"][:1]}
    report = gate.judged(conditions={"min_win_rate": 0.5}, evaluation=evaluation)
    assert not report["passed"]
    assert (
        "win rate over the newest published policy, judged by the simulated annotators is not measured"
        in (report["reason"])
    )


def test_an_evaluation_from_before_matches_were_kept_still_has_words():
    assert words({"min_win_rate": 0.5}) == ["win rate over the old policy"]


def test_the_task_that_fell_most_is_named():
    assert words({"max_task_drop": 1.0}, harness=HARNESS) == [
        "largest drop of a harness task (everyday), in standard errors"
    ]


def test_the_smoke_recipes_gate_asks_only_to_have_been_measured():
    conditions = load("smoke").resolved()["gate"]
    assert passed(conditions, {"win_rate": 0.0, "win_rate_low": 0.0})
    assert not passed(conditions, {})


def test_a_recipe_without_a_gate_publishes_nothing():
    assert not passed({})
    assert not passed(None)


def test_a_condition_without_a_rule_is_an_error():
    with pytest.raises(KeyError):
        passed({"min_beauty": 0.5})
