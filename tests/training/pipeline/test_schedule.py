"""The arithmetic of a stage's steps, against the published values."""

import dataclasses
import subprocess
import sys

import pytest

from sampling.engine.run_dir import RunDirError
from training.pipeline.schedule import largest_divisor, schedule_of, warning_of
from training.recipe import Dpo

# OLM and Llama 2: 512 pairs a batch, two epochs of DPO, warm-up 3 % of the steps and at least 5.
OLM = Dpo(method="full", learning_rate=1e-5, epochs=2, batch=512, max_length=4096)


def changed(**changes):
    return dataclasses.replace(OLM, **changes)


def test_the_olm_schedule_for_100_000_pairs():
    # 100,000 / 512 = 195.3: 196 steps an epoch, 392 in two; 3 % of 392 = 11.76, so 12.
    schedule = schedule_of(OLM, 100_000)
    assert (schedule.steps_per_epoch, schedule.steps, schedule.warmup_steps) == (196, 392, 12)
    assert schedule.batch == 512


def test_the_warm_up_is_never_below_five_steps():
    # 10,000 / 512 = 19.5: 40 steps in two epochs; 3 % of 40 = 1.2, so 2, which is fewer than 5.
    assert schedule_of(OLM, 10_000).warmup_steps == 5
    # 3 % of 166 = 4.98 and of 167 = 5.01: from there on the share counts.
    assert schedule_of(changed(epochs=1), 166 * 512).warmup_steps == 5
    assert schedule_of(changed(epochs=1), 167 * 512).warmup_steps == 6


@pytest.mark.parametrize(("steps", "warm_up"), [(7, 5), (6, 5), (5, 0), (4, 0), (2, 0), (1, 0)])
def test_a_run_that_is_no_longer_than_its_warm_up_has_none_for_its_first_step_would_be_lost(steps, warm_up):
    assert schedule_of(changed(epochs=1, batch=8), steps * 8).warmup_steps == warm_up


def test_whoever_launches_a_stage_of_few_steps_is_told():
    def warning(steps):
        return warning_of(schedule_of(changed(epochs=1, batch=8), steps * 8))

    assert warning(10) is None
    assert warning(9).startswith("9 steps in all, of which 5 warm up and the first one changes nothing. Collect more")
    assert warning(2).startswith("2 steps in all, too few to warm up.")
    assert warning(1).startswith("one step in all, too few to warm up.")


def test_zephyr_and_spin_warm_up_for_a_tenth():
    # 60,000 pairs in batches of 128 are 469 steps (468.75); a tenth is 46.9, so 47.
    recipe = changed(epochs=1, batch=128, warmup_share=0.1, least_warmup_steps=0)
    assert schedule_of(recipe, 60_000).warmup_steps == 47


def test_a_share_is_not_rounded_up_by_floating_point():
    # 0.07 * 100 = 7.000000000000001 in floating point.
    recipe = changed(epochs=1, batch=1, warmup_share=0.07)
    assert schedule_of(recipe, 100).warmup_steps == 7


@pytest.mark.parametrize(
    ("micro_batch", "processes", "accumulation"),
    [(1, 1, 512), (4, 1, 128), (64, 1, 8), (512, 1, 1), (8, 8, 8), (16, 32, 1)],
)
def test_512_pairs_are_reached_exactly_on_any_hardware(micro_batch, processes, accumulation):
    schedule = schedule_of(changed(micro_batch=micro_batch), 100_000, processes)
    assert schedule.accumulation == accumulation
    assert schedule.micro_batch * schedule.accumulation * processes == 512
    assert schedule.steps == 392


def test_a_micro_batch_that_does_not_divide_a_process_share_is_lowered_and_the_batch_stays():
    # 48 rows on four processes are 12 each: of 8 rows together at most 6 divide them.
    schedule = schedule_of(changed(batch=48, micro_batch=8), 480, 4)
    assert (schedule.micro_batch, schedule.accumulation, schedule.steps) == (6, 2, 20)


def test_what_the_memory_holds_is_used_only_where_the_recipe_leaves_it_open():
    assert schedule_of(OLM, 1000, micro_batch=64).micro_batch == 64
    assert schedule_of(OLM, 1000, micro_batch=50).micro_batch == 32
    assert schedule_of(changed(micro_batch=4), 1000, micro_batch=64).micro_batch == 4
    assert schedule_of(OLM, 1000).micro_batch == 8


def test_a_batch_that_the_processes_cannot_share_is_refused_with_the_remedy():
    with pytest.raises(RunDirError, match="512 rows a step, which 3 processes cannot share"):
        schedule_of(OLM, 1000, 3)


def test_part_of_an_epoch_is_rounded_up_to_a_step():
    # 100 rows in batches of 8 are 13 steps an epoch; 2.5 of them are 32.5.
    assert schedule_of(changed(batch=8, epochs=2.5), 100).steps == 33


def test_the_largest_divisor():
    assert [largest_divisor(48, at_most=most) for most in (100, 48, 47, 7, 1)] == [48, 48, 24, 6, 1]
    assert largest_divisor(7, at_most=6) == 1


def test_the_schedule_is_asked_for_without_torch():
    code = (
        "import sys, training.pipeline.arguments as a; a.schedule_of; assert not {'torch', 'peft'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_there_are_no_more_steps_than_rankings_of_which_a_step_has_one_at_least():
    # 36 pairs in batches of 8 are five steps; of three rankings of 12 they are three, and the warm-up goes with them.
    assert schedule_of(changed(batch=8), 36).steps_per_epoch == 5
    assert schedule_of(changed(batch=8), 36, rankings=3).steps_per_epoch == 3
    assert schedule_of(changed(batch=8), 36, rankings=12) == schedule_of(changed(batch=8), 36)
