"""The gate's arithmetic."""

import pytest

from training.evaluation import gate

EVALUATION = {"win_rate": 0.7, "win_rate_low": 0.55, "mean_tokens_new": 60.0, "mean_tokens_old": 50.0}


def passed(conditions, evaluation=EVALUATION) -> bool:
    return gate.judged(conditions=conditions, evaluation=evaluation)["passed"]


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


def test_one_condition_that_fails_closes_the_gate():
    report = gate.judged(conditions={"min_win_rate_low": 0.5, "max_length_ratio": 1.1}, evaluation=EVALUATION)
    assert [condition["passed"] for condition in report["conditions"]] == [True, False]
    assert not report["passed"]
    assert report["reason"] == "Not published: mean length, new policy to old is 1.200, and must be <= 1.1."


@pytest.mark.parametrize("evaluation", [None, {}, {"win_rate_low": None}, {"mean_tokens_old": 0}])
def test_what_was_not_measured_has_not_passed(evaluation):
    assert not passed({"min_win_rate_low": 0.5}, evaluation)
    assert not passed({"max_length_ratio": 1.5}, evaluation)


def test_a_recipe_without_a_gate_publishes_nothing():
    assert not passed({})
    assert not passed(None)


def test_a_condition_without_a_rule_is_an_error():
    with pytest.raises(KeyError):
        passed({"min_beauty": 0.5})
