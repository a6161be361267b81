"""What a round is said to cost."""

import dataclasses

import pytest

from training.estimates import ENGINE_START_SECONDS, TRAINER_START_SECONDS, Counts, seconds_of
from training.recipe import load

DEMO = load("demo")
COUNTS = Counts(
    pairs_train=700,
    pairs_eval=200,
    prompts_train=148,
    prompts_eval=54,
    prompt_tokens=60,
    completion_tokens=65,
    parameters=135e6,
    cores=2,
)


def changed(**changes):
    return dataclasses.replace(COUNTS, **changes)


def test_every_stage_of_the_recipe_has_its_seconds_in_order():
    assert list(seconds_of(DEMO, COUNTS)) == DEMO.stages


def test_the_demo_fits_its_ten_minutes_on_two_cores():
    assert 240 < sum(seconds_of(DEMO, COUNTS).values()) < 600


def test_training_rows_cost_six_operations_a_parameter_and_token():
    # SFT on 148 rows of 125 tokens: 148 * 125 * 6 * 135e6 / (2 * 3.2e11) = 23.4 s an epoch, after the start.
    work = seconds_of(DEMO, COUNTS)["sft"] - TRAINER_START_SECONDS
    assert work == pytest.approx(23.4 * DEMO.sft.epochs, rel=0.01)


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
    scored = 2 * 54 * DEMO.evaluate.n * (1000 - DEMO.evaluate.max_tokens) * 2 * 135e6 / (2 * 3.2e11)
    assert cut - at_most == pytest.approx(scored)
