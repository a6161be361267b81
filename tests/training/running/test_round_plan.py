"""Which stages run, what each reads, how each is started."""

import sys
from pathlib import Path

import pytest

from training.models import StageKind
from training.running import round_plan

DIRECTORY = Path("/rounds/1")


def places(*kinds: StageKind) -> round_plan.Places:
    return round_plan.Places(
        base_policy="/models/base",
        data=DIRECTORY / "data",
        run_dirs={kind: DIRECTORY / kind.value for kind in kinds},
    )


def test_a_recipe_may_leave_out_stages():
    assert round_plan.kinds_of({"name": "x", "dpo": {"beta": 0.1}}) == [StageKind.DPO]


def test_the_order_is_the_rounds_whatever_the_recipes_is():
    recipe = {"evaluate": {"n": 1}, "dpo": {"beta": 0.1}, "reward_model": {"epochs": 1}, "gate": {}}
    assert round_plan.kinds_of(recipe) == [StageKind.REWARD_MODEL, StageKind.DPO, StageKind.EVALUATE]


def test_dpo_alone_starts_from_the_base_policy():
    assert round_plan.inputs_of(StageKind.DPO, places(StageKind.DPO))["policy"] == "/models/base"


def test_without_dpo_the_new_policy_is_the_fine_tuned_one():
    there = places(StageKind.SFT, StageKind.EVALUATE)
    assert round_plan.inputs_of(StageKind.EVALUATE, there)["policy_new"] == "/rounds/1/sft/checkpoint"


def test_an_evaluation_without_a_reward_model_is_told_of_none():
    assert "reward" not in round_plan.inputs_of(StageKind.EVALUATE, places(StageKind.DPO, StageKind.EVALUATE))


@pytest.mark.parametrize("kind", StageKind)
def test_what_is_held_out_reaches_only_what_measures(kind):
    read = round_plan.inputs_of(kind, places(*StageKind)).values()
    held_out = [path for path in read if "eval.jsonl" in path]
    assert bool(held_out) == (kind in (StageKind.REWARD_MODEL, StageKind.EVALUATE))


def test_a_stage_that_trains_is_launched_by_accelerate_and_one_that_samples_is_not():
    training = round_plan.program_of(StageKind.DPO, DIRECTORY, has_gpu=False)
    assert training[:3] == [sys.executable, "-m", "accelerate.commands.launch"]
    assert "--cpu" not in training  # it would bind every thread to one core
    assert training[-4:] == ["-m", "training.pipeline.dpo", "--run-dir", "/rounds/1"]
    sampling = round_plan.program_of(StageKind.EVALUATE, DIRECTORY, has_gpu=False)
    assert sampling == [sys.executable, "-m", "training.pipeline.evaluate", "--run-dir", "/rounds/1"]


def test_a_machine_with_a_gpu_does_not_train_on_its_cpu():
    assert "--num_cpu_threads_per_process" not in round_plan.program_of(StageKind.DPO, DIRECTORY, has_gpu=True)


@pytest.mark.parametrize("chosen", [True, False])
def test_the_programs_run_on_the_device_that_the_packages_were_chosen_for(settings, chosen):
    settings.HAS_GPU = chosen
    assert round_plan.has_gpu() is chosen


def test_the_models_of_a_round_are_called_after_it():
    names = [round_plan.model_name("r1", kind) for kind in StageKind]
    assert names == ["r1-reward", None, "r1-sft", "r1-dpo", None]
