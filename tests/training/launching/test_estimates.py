"""What a round is said to cost."""

import dataclasses

import pytest

from training.launching.estimates import (
    CHECK_SECONDS,
    ENGINE_START_SECONDS,
    HARNESS_TASK_TOKENS,
    PERPLEXITY_TOKENS,
    TRAINER_START_SECONDS,
    Counts,
    Pairs,
    rows_of,
    seconds_of,
)
from training.recipe import Demonstrations, Harness, JudgeModel, load

# What was measured below; the demo itself may be tuned without a word here.
_demo = load("demo")
DEMO = dataclasses.replace(
    _demo,
    rejection_sampling=dataclasses.replace(_demo.rejection_sampling, candidates=8, max_tokens=80),
    sft=dataclasses.replace(_demo.sft, epochs=2.0),
    dpo=dataclasses.replace(_demo.dpo, epochs=1.0, max_pairs_per_prompt=2),
    reward_model=dataclasses.replace(_demo.reward_model, epochs=1.0, max_pairs_per_prompt=2),
    evaluate=dataclasses.replace(_demo.evaluate, n=2, max_tokens=80),
    judge_model=None,
)
COUNTS = Counts(
    pairs=Pairs(700, 200),
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
    assert list(seconds_of(DEMO, COUNTS)) == ["check", *DEMO.stages]


@pytest.mark.parametrize(
    ("stage", "seconds"),
    [
        # Wall time on two cores, with little else running; the reward model's is half of its processor time.
        ("reward_model", 114),
        ("rejection_sampling", 152),
        ("sft", 75),
        # On whole rankings 9,559 tokens were trained on at 400 a second and read as reference at 1,120: so would be the
        # 148 * (45 + 2.5616 * 65) = 31,303 tokens of these; and 12 s beside them.
        ("dpo", 118),
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


def test_from_the_second_round_on_the_base_is_sampled_and_scored_too():
    # Three policies instead of two; the second reward model of the schedule selected nothing, so it is heard as well.
    first, second = (seconds_of(DEMO, changed(rounds_earlier=number))["evaluate"] for number in (0, 1))
    written = 54 * DEMO.evaluate.n
    sampled = ENGINE_START_SECONDS + written * 65 * 135e6 / (7.6e10 * 2)
    scored = written * 110 * 2 * 135e6 / 5.2e11
    assert first == pytest.approx(2 * sampled + 2 * scored)
    assert second == pytest.approx(3 * sampled + 2 * 3 * scored)


def test_each_reward_model_that_judges_reads_everything():
    judge = JudgeModel(**dataclasses.asdict(DEMO.reward_model))

    def passes(**sections):
        def of(**more):
            return seconds_of(dataclasses.replace(DEMO, **more), COUNTS)["evaluate"]

        without = of(reward_model=None, rejection_sampling=None)
        return (of(**sections) - without) / (2 * 54 * DEMO.evaluate.n * 110 * 2 * 135e6 / 5.2e11)

    assert passes() == pytest.approx(1)  # the one that selects
    assert passes(judge_model=judge) == pytest.approx(2)
    assert passes(rejection_sampling=None) == pytest.approx(1)  # nobody selects
    assert passes(rejection_sampling=None, judge_model=judge) == pytest.approx(1)  # the judge model alone


def test_a_policy_that_judges_is_asked_of_every_opponent():
    asked = dataclasses.replace(DEMO.evaluate, judges=("model",), judge_policy="critic")

    def judged(number):
        counts = changed(rounds_earlier=number)
        both = (seconds_of(with_stage(evaluate=each), counts)["evaluate"] for each in (asked, DEMO.evaluate))
        return next(both) - next(both) - ENGINE_START_SECONDS

    assert judged(1) == pytest.approx(2 * judged(0))


def test_pairs_beyond_what_a_prompt_may_give_cost_nothing_more():
    most = DEMO.dpo.max_pairs_per_prompt * COUNTS.prompts_train
    half, all_of_it, more = (
        seconds_of(DEMO, changed(pairs=Pairs(train, 200)))["dpo"] for train in (most // 2, most, 9999)
    )
    assert half < all_of_it == more


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


def test_the_check_reads_both_sides_of_each_pair_once():
    # (700 + 200) pairs of two rows of 110 tokens: 198,000 tokens, at 300,000 a second two thirds of a second.
    assert seconds_of(DEMO, COUNTS)["check"] == pytest.approx(CHECK_SECONDS + 0.66)


def with_stage(**section):
    return dataclasses.replace(DEMO, **section)


def test_demonstrations_cost_by_their_own_number_and_length():
    section = Demonstrations(method="full", learning_rate=1e-5, epochs=1, batch=8, max_length=256)
    recipe = with_stage(demonstrations=section)
    told = changed(demonstrations=1000, demonstration_tokens=220)
    assert rows_of(section, told) == 1000
    # 1,000 rows of 220 tokens: 1000 * 220 * 6 * 135e6 / (2 * 2.6e11) = 342.7 s; the head makes it 469.5.
    work = seconds_of(recipe, told)["demonstrations"] - TRAINER_START_SECONDS
    assert work == pytest.approx(469.5, rel=0.001)


def test_a_judge_model_learns_from_the_held_out_pairs():
    section = JudgeModel(**{**dataclasses.asdict(DEMO.reward_model), "max_pairs_per_prompt": 2})
    assert rows_of(section, COUNTS) == 108  # 54 eval prompts of at most two pairs, of 200 pairs
    assert rows_of(section, changed(pairs=Pairs(700, 90))) == 90
    # Two pairs of a prompt are of (1 + sqrt(17)) / 2 = 2.5616 completions, each read once, like the prompt: 54 * (45 +
    # 2.5616 * 65) = 11,421 tokens are trained on; then 2 x 700 rows of 110 are measured.
    work = seconds_of(with_stage(judge_model=section), COUNTS)["judge_model"] - TRAINER_START_SECONDS
    assert work == pytest.approx((11_421 * 6 + 1400 * 110 * 2) * 135e6 / 5.2e11, rel=1e-4)


def test_the_harness_costs_by_its_tasks_for_both_policies():
    seconds = seconds_of(with_stage(harness=Harness(tasks=("a", "b"))), COUNTS)["harness"]
    read = 2 * HARNESS_TASK_TOKENS + PERPLEXITY_TOKENS
    assert seconds == pytest.approx(2 * (TRAINER_START_SECONDS + read * 2 * 135e6 / 5.2e11))


def test_the_pairs_of_earlier_snapshots_count_where_the_stage_asks_for_all():
    few = changed(pairs=Pairs(100, 200, earlier=50))
    assert rows_of(DEMO.dpo, few) == 100
    assert rows_of(dataclasses.replace(DEMO.dpo, snapshots="all"), few) == 150


def test_a_sweep_of_temperatures_samples_its_prompts_once_more_for_each():
    swept = dataclasses.replace(DEMO.rejection_sampling, temperatures=(0.7, 1.0), sweep_prompts=74)
    one, two = (seconds_of(with_stage(rejection_sampling=each), COUNTS) for each in (DEMO.rejection_sampling, swept))
    # Two temperatures on 74 prompts are the 148 prompts once more.
    engine = ENGINE_START_SECONDS
    assert two["rejection_sampling"] - engine == pytest.approx(2 * (one["rejection_sampling"] - engine))


def test_a_stage_that_counts_people_alone_has_the_pairs_of_people():
    told = changed(pairs_by_people=Pairs(10, 5))
    by_people = dataclasses.replace(DEMO.dpo, judges="people")
    assert (rows_of(by_people, told), rows_of(by_people, COUNTS)) == (10, rows_of(DEMO.dpo, COUNTS))
    assert rows_of(DEMO.dpo, told) == rows_of(DEMO.dpo, COUNTS)


def test_a_stage_without_a_row_takes_no_time():
    told = changed(pairs_by_people=Pairs(0, 0))
    seconds = seconds_of(with_stage(dpo=dataclasses.replace(DEMO.dpo, judges="people")), told)
    assert seconds["dpo"] == 0
    assert seconds["reward_model"] > TRAINER_START_SECONDS
