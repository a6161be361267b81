"""What a round is said to cost."""

import dataclasses

import pytest

from training.launching.estimates import ENGINE_START_SECONDS, TRAINER_START_SECONDS, Counts, seconds_of
from training.recipe import load

# What was measured below; the demo itself may be tuned without a word here.
_demo = load("demo")
DEMO = dataclasses.replace(
    _demo,
    rejection_sampling=dataclasses.replace(_demo.rejection_sampling, candidates=8, max_tokens=80),
    sft=dataclasses.replace(_demo.sft, epochs=2.0),
    dpo=dataclasses.replace(_demo.dpo, epochs=1.0, max_pairs_per_prompt=2),
    reward_model=dataclasses.replace(_demo.reward_model, epochs=1.0, max_pairs_per_prompt=2),
    evaluate=dataclasses.replace(_demo.evaluate, n=2, max_tokens=80),
)
COUNTS = Counts(
    pairs_train=700,
    pairs_eval=200,
    prompts_train=148,
    prompts_eval=54,
    prompt_tokens=45,
    completion_tokens=65,
    parameters=135e6,
    cores=2,
)


def changed(**changes):
    return dataclasses.replace(COUNTS, **changes)


def test_every_stage_of_the_recipe_has_its_seconds_in_order():
    assert list(seconds_of(DEMO, COUNTS)) == DEMO.stages


@pytest.mark.parametrize(
    ("stage", "seconds"),
    [
        # Wall time on two cores, with little else running; the reward model's is half of its processor time.
        ("reward_model", 114),
        ("rejection_sampling", 152),
        ("sft", 75),
        ("dpo", 209),
        ("evaluate", 44),
    ],
)
def test_the_estimates_are_near_what_was_measured(stage, seconds):
    assert seconds_of(DEMO, COUNTS)[stage] == pytest.approx(seconds, rel=0.3)


def test_training_rows_cost_six_operations_a_parameter_and_token_and_the_head():
    # SFT on 148 rows of 110 tokens: 148 * 110 * 6 * 135e6 / (2 * 2.6e11) = 25.4 s an epoch; the head makes it 34.7.
    work = seconds_of(DEMO, COUNTS)["sft"] - TRAINER_START_SECONDS
    assert work == pytest.approx(2 * 34.7, rel=0.01)


def test_cores_halve_the_work_and_not_the_starting():
    two, four = (seconds_of(DEMO, changed(cores=cores)) for cores in (2, 4))
    assert four["dpo"] - TRAINER_START_SECONDS == pytest.approx((two["dpo"] - TRAINER_START_SECONDS) / 2)
    assert four["evaluate"] - 2 * ENGINE_START_SECONDS == pytest.approx(
        (two["evaluate"] - 2 * ENGINE_START_SECONDS) / 2
    )


def test_pairs_beyond_what_a_prompt_may_give_cost_nothing_more():
    most = DEMO.dpo.max_pairs_per_prompt * COUNTS.prompts_train
    assert seconds_of(DEMO, changed(pairs_train=most))["dpo"] == seconds_of(DEMO, changed(pairs_train=9999))["dpo"]
    assert seconds_of(DEMO, changed(pairs_train=most // 2))["dpo"] < seconds_of(DEMO, COUNTS)["dpo"]


def test_a_gpu_and_a_smaller_model_cost_less():
    here = sum(seconds_of(DEMO, COUNTS).values())
    assert sum(seconds_of(DEMO, changed(has_gpu=True)).values()) < here
    assert sum(seconds_of(DEMO, changed(parameters=30e6)).values()) < here


def test_completions_are_never_longer_than_the_recipe_lets_them_be():
    cut = seconds_of(DEMO, changed(completion_tokens=1000))["evaluate"]
    at_most = seconds_of(DEMO, changed(completion_tokens=DEMO.evaluate.max_tokens))["evaluate"]
    # Scoring reads the whole rows; sampling stops at max_tokens.
    scored = 2 * 54 * DEMO.evaluate.n * (1000 - DEMO.evaluate.max_tokens) * 2 * 135e6 / (2 * 2.6e11)
    assert cut - at_most == pytest.approx(scored)
