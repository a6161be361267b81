"""What an evaluation found, as the words of its tables."""

import pytest

from training.watching import evaluation_results, figures


def match(**more):
    return {"opponent": "old", "name": "r1-dpo", "judge": "model", "independent": False, "win_rate": 0.6} | more


def cells(**more):
    table = evaluation_results.matches_table([match(**more)])
    return [cell.words for cell in table.rows[0]]


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"independent": True, "independence": "independent"}, "independent"),
        ({"independence": "selected"}, "it selected"),
        ({"independence": "takes_part"}, "it takes part"),
        ({}, "it takes part"),  # of before the reason was kept: a policy selects nothing
        ({"judge": "reward_model"}, "it selected"),
    ],
)
def test_why_a_judge_is_not_independent_is_said(told, words):
    assert cells(**told)[2] == words


def test_the_newest_published_policy_is_called_so():
    assert cells(opponent="published", name="r0-dpo")[0] == "the newest published policy (r0-dpo)"


def test_a_change_of_few_examples_is_not_told_as_one_unless_it_is_beyond_chance():
    def told(drop, examples):
        task = {"task": "everyday", "metric": "acc", "drop_in_errors": drop, "examples": examples}
        return [cell.words for cell in evaluation_results.tasks_table({"tasks": [task]}).rows[0]]

    assert told(-1.0, 20)[4] == "+1.0: too few examples to tell"
    assert told(0.0, 20)[4] == "0: too few examples to tell"
    assert told(0.04, 60)[4] == "0"  # never "-0.0"
    assert told(3.2, 40)[4] == "-3.2"
    assert told(1.0, 50)[1:5] == ["accuracy", "not measured", "not measured", "-1.0"]


def test_a_divergence_on_sharpened_completions_is_not_called_a_kl_alone():
    def told(**more):
        return dict(figures.facts_of("evaluate", {"kl_to_old": 0.12} | more))["KL to the old policy"]

    assert told() == told(kl_temperature=1.0, kl_top_p=1.0) == "0.120 nats a token"
    assert told(kl_temperature=0.7, kl_top_p=1.0) == (
        "0.120 nats a token, on completions at temperature 0.7 and top-p 1: a log-ratio, not quite the KL"
    )
