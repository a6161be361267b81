"""What in a stage's curves is worth a look."""

import pytest

from tests.training.watching.written import curves
from training.watching import warnings
from training.watching.warnings import Level


def names(metrics, **told):
    return [each.name for each in warnings.of_training(metrics, **told)]


def only(metrics, **told):
    (found,) = warnings.of_training(metrics, **told)
    return found


def rows(name, values):
    return [{"step": step, name: value} for step, value in enumerate(values, start=1)]


def test_curves_as_they_should_be_warn_of_nothing():
    assert names(curves(falls=0.0), beta=0.1) == []
    assert names([]) == []


@pytest.mark.parametrize("loss", [None, float("nan"), float("inf")])
def test_a_loss_that_is_no_number_is_told_with_its_step_and_before_all_else(loss):
    metrics = curves(falls=0.5)
    metrics[9]["loss"] = loss
    first, *_ = warnings.of_training(metrics, beta=0.1)
    assert (first.name, first.level, first.since) == ("loss_not_finite", Level.ERROR, 10)


def test_the_chosen_log_probability_is_told_from_a_twentieth_of_a_nat_a_token_on():
    # Over 60 steps it falls evenly by 0.2 nats a token; the mean of the newest fifth, steps 49 to 60, is that of step
    # 54.5: 0.2 * 54.5 / 60 = 0.182, and exp(-0.182) = 0.83. It is below 0.05 after 0.05 / 0.2 * 60 = 15 steps.
    found = only(curves(falls=0.2), beta=0.1)
    assert (found.name, found.level, found.since) == ("chosen_falling", Level.NOTE, 15)
    assert "By 0.18 nats a token" in found.words
    assert "17% less likely" in found.words
    assert "common in DPO" in found.words


def test_a_far_fall_is_a_warning_that_says_why_it_matters():
    found = only(curves(falls=0.4), beta=0.1)
    assert found.level == Level.WARNING
    assert "unlearns what people chose" in found.words


def test_a_slight_fall_and_a_rise_are_not_told():
    assert names(curves(falls=0.05), beta=0.1) == []  # 0.05 * 54.5 / 60 = 0.045
    assert names(curves(falls=-0.5), beta=0.1) == []


def test_without_beta_or_lengths_the_fall_is_not_guessed_from_what_batches_hold():
    assert names(curves(falls=0.5)) == []
    metrics = [{key: value for key, value in row.items() if key != "chosen_tokens"} for row in curves(falls=0.5)]
    assert names(metrics, beta=0.1) == []


def test_a_gradient_ten_times_as_large_as_usual_has_exploded():
    found = only(rows("grad_norm", [2.0] * 40 + [25.0] * 10))
    assert (found.name, found.since) == ("gradient_exploding", 41)
    assert "13 times" in found.words or "12 times" in found.words  # 25 / 2 = 12.5


def test_a_single_spike_of_the_gradient_is_clipped_and_forgotten():
    assert names(rows("grad_norm", [2.0] * 44 + [900.0] + [2.0] * 5)) == []
    assert names(rows("grad_norm", [2.0] * 40 + [19.0] * 10)) == []


def test_accuracy_at_chance_is_told_once_there_are_points_enough():
    assert names(rows("rewards/accuracies", [0.5] * 9)) == []
    assert names(rows("rewards/accuracies", [0.5] * 10)) == ["accuracy_at_chance"]
    assert names(rows("rewards/accuracies", [0.5] * 8 + [0.6, 0.6])) == []


def test_reward_models_accuracy_counts_the_same():
    assert names(rows("accuracy", [0.48] * 10)) == ["accuracy_at_chance"]


def test_a_policy_far_from_its_start_is_told_since_the_step_that_took_it_there():
    found = only(rows("kl", [0.1, 0.3, 0.6, 0.7]))
    assert (found.name, found.since) == ("far_from_start", 3)
    assert "0.70 nats a token" in found.words
    assert names(rows("kl", [0.1, 0.6, 0.49])) == []  # it has come back


def said(*steps, limit=48):
    """Warnings of probes.jsonl: at each step, from 0 on, the answers as (tokens, text)."""
    probes = [
        {"step": step, "index": index, "tokens": tokens, "text": text}
        for step, answers in zip(range(0, 100, 10), steps, strict=False)
        for index, (tokens, text) in enumerate(answers)
    ]
    return warnings.of_answers(probes, limit=limit)


def lengths(*steps, **told):
    return said(*([(tokens, "So.") for tokens in answers] for answers in steps), **told)


def test_growing_answers_are_told_against_step_0_when_the_growth_is_no_matter_of_a_few_tokens():
    assert lengths([30, 30], [39, 39]) == []  # 1.3 times: not above
    assert lengths([10], [17]) == []  # 7 tokens
    (found,) = lengths([20, 40], [30, 46], [38, 46])  # on average 30, 38, 42
    assert (found.name, found.since) == ("lengths_growing", 20)
    assert "have 42 tokens on average; they had 30 before" in found.words


def test_answers_that_reach_the_limit_are_told_though_their_mean_cannot_grow_any_more():
    # From 40 on average a limit of 48 leaves room for 1.2 times. At first one of four is cut off, then three are.
    (found,) = lengths([48, 40, 36, 36], [48, 47, 40, 40], [48, 48, 48, 40])
    assert (found.name, found.level, found.since) == ("answers_cut_off", Level.NOTE, 20)
    assert "75% of the probe answers reach the 48 tokens" in found.words
    assert "before the stage 25% did" in found.words
    assert lengths([48, 40, 36, 36], [48, 48, 40, 40]) == []  # one more of four
    assert lengths([40] * 4, [48] * 4, limit=None) == []


REPEATED = "It is good for you. " * 3


def test_answers_that_repeat_themselves_are_told_when_they_did_not_before():
    fine, hacked = (12, "Boiled fruit."), (12, REPEATED)
    (found,) = said([fine] * 4, [fine] * 3 + [hacked], [fine, fine, hacked, hacked])
    assert (found.name, found.level, found.since) == ("repeats", Level.WARNING, 10)
    assert "50%" in found.words
    assert said([hacked, fine], [hacked, fine]) == []
    assert said([fine] * 4, [fine] * 3 + [hacked], [fine] * 4) == []


def test_before_the_first_probe_nothing_is_said_of_answers():
    assert lengths([48, 48]) == []
    assert lengths() == []


def test_every_warning_says_what_to_do():
    metrics = [row | {"kl": 2.0, "rewards/accuracies": 0.5, "loss": None} for row in curves(falls=2.0)]
    found = warnings.of_training(metrics, beta=0.1) + said([(20, "So.")], [(48, REPEATED)]) + lengths([20], [40])
    assert len({each.name for each in found}) == 7
    assert all(each.title and each.words.endswith(".") and each.remedy.endswith(".") for each in found)
