"""Which stages run, what each reads, how each is started."""

import os
import sys
from pathlib import Path

import pytest
from accelerate.commands.launch import launch_command_parser
from accelerate.utils.launch import prepare_simple_launcher_cmd_env

from training.models import StageKind
from training.running import round_plan

DIRECTORY = Path("/rounds/1")
RECIPE = {
    "reward_model": {"judges": "people"},
    "judge_model": {"judges": "all"},
    "rejection_sampling": {"pool": "all_rounds"},
    "sft": {"start_from": "previous"},
    "dpo": {"judges": "all"},
}


def places(*kinds: StageKind, **more) -> round_plan.Places:
    return round_plan.Places(
        base_policy="/models/base",
        schedule_base="/models/first",
        data=DIRECTORY / "data",
        caches=Path("/caches"),
        run_dirs={kind: DIRECTORY / kind.value for kind in kinds},
        **more,
    )


def inputs(kind: StageKind, there: round_plan.Places, recipe=RECIPE):
    return round_plan.inputs_of(kind, there, recipe)


def test_a_recipe_may_leave_out_stages_but_not_the_check():
    assert round_plan.kinds_of({"name": "x", "dpo": {"beta": 0.1}}) == [StageKind.CHECK, StageKind.DPO]


def test_the_order_is_the_rounds_whatever_the_recipes_is():
    recipe = {"evaluate": {"n": 1}, "dpo": {"beta": 0.1}, "reward_model": {"epochs": 1}, "gate": {}}
    assert round_plan.kinds_of(recipe) == [
        StageKind.CHECK, StageKind.REWARD_MODEL, StageKind.DPO, StageKind.EVALUATE,
    ]  # fmt: skip


def test_dpo_alone_starts_from_the_base_policy():
    assert inputs(StageKind.DPO, places(StageKind.DPO))["policy"] == "/models/base"


def test_dpo_starts_from_what_rejection_sampling_made():
    assert inputs(StageKind.DPO, places(StageKind.SFT, StageKind.DPO))["policy"] == "/rounds/1/sft/checkpoint"


def test_after_demonstrations_all_that_follows_starts_from_what_they_made():
    there = places(*StageKind)
    learned = "/rounds/1/demonstrations/checkpoint"
    assert inputs(StageKind.DEMONSTRATIONS, there)["policy"] == "/models/base"
    for kind in (StageKind.REWARD_MODEL, StageKind.JUDGE_MODEL, StageKind.REJECTION_SAMPLING, StageKind.SFT):
        assert inputs(kind, there)["policy"] == learned


def test_fine_tuning_starts_from_the_schedules_base_where_the_recipe_says_so():
    there = places(StageKind.REJECTION_SAMPLING, StageKind.SFT)
    assert inputs(StageKind.SFT, there, {"sft": {"start_from": "base"}})["policy"] == "/models/first"
    assert inputs(StageKind.SFT, there)["policy"] == "/models/base"


def test_without_dpo_the_new_policy_is_the_fine_tuned_one():
    there = places(StageKind.SFT, StageKind.EVALUATE)
    assert inputs(StageKind.EVALUATE, there)["policy_new"] == "/rounds/1/sft/checkpoint"
    assert inputs(StageKind.EVALUATE, there)["policy_base"] == "/models/first"


def test_an_evaluation_without_a_reward_model_is_told_of_none():
    assert (
        not {"reward", "reward_selector"} & inputs(StageKind.EVALUATE, places(StageKind.DPO, StageKind.EVALUATE)).keys()
    )


def test_an_evaluation_is_told_apart_the_reward_model_that_selected_and_the_one_that_did_not():
    own = "/rounds/1/reward_model/checkpoint"
    kinds = (StageKind.REWARD_MODEL, StageKind.REJECTION_SAMPLING, StageKind.EVALUATE)

    def told(*kinds, best):
        read = inputs(StageKind.EVALUATE, places(*kinds, rewards=("/r/1", "/r/2"), best_reward=best))
        return read["reward_selector"], read["reward"]

    assert told(*kinds, best=own) == (own, "/r/2")  # the newest of the others
    assert told(*kinds, best="/r/2") == ("/r/2", own)
    assert told(*kinds, StageKind.JUDGE_MODEL, best=own) == (own, "/rounds/1/judge_model/checkpoint")


def test_without_rejection_sampling_no_reward_model_has_selected_and_the_best_one_judges():
    own = "/rounds/1/reward_model/checkpoint"
    there = places(StageKind.REWARD_MODEL, StageKind.DPO, StageKind.EVALUATE, best_reward=own)
    read = inputs(StageKind.EVALUATE, there)
    assert read["reward"] == own
    assert "reward_selector" not in read


def test_each_stage_reads_the_pairs_of_the_judges_that_it_counts():
    there = places(*StageKind)
    assert round_plan.judges_in(RECIPE) == ["all", "people"]
    assert inputs(StageKind.REWARD_MODEL, there)["pairs_train"] == "/rounds/1/data/people/train.jsonl"
    assert inputs(StageKind.DPO, there)["pairs_train"] == "/rounds/1/data/all/train.jsonl"
    assert inputs(StageKind.CHECK, there)["pairs"] == {
        "all": "/rounds/1/data/all", "people": "/rounds/1/data/people",
    }  # fmt: skip


def test_the_judge_model_learns_from_what_the_reward_model_is_measured_on():
    read = inputs(StageKind.JUDGE_MODEL, places(*StageKind))
    assert read["pairs_train"] == "/rounds/1/data/all/eval.jsonl"
    assert read["pairs_eval"] == "/rounds/1/data/all/train.jsonl"


def test_earlier_candidates_are_read_only_where_the_recipe_pools_them():
    there = places(*StageKind, pool=("/rounds/1/data/pool/0001.jsonl",))
    assert inputs(StageKind.REJECTION_SAMPLING, there)["pool"] == ["/rounds/1/data/pool/0001.jsonl"]
    assert inputs(StageKind.REJECTION_SAMPLING, there, {"rejection_sampling": {"pool": "this_round"}})["pool"] == []


def test_the_check_is_told_of_what_was_held_out_and_of_the_pool_where_there_is_one():
    told = inputs(StageKind.CHECK, places())
    assert told["held_out_prompts"] == "/rounds/1/data/held_out_prompts.jsonl"
    assert (told["pool"], told["held_out_pool"]) == ("/rounds/1/data/pool", "/rounds/1/data/held_out_pool.jsonl")
    assert not {"pool", "held_out_pool"} & inputs(StageKind.CHECK, places(), {"dpo": {"judges": "all"}}).keys()


def test_demonstrations_are_read_without_what_is_held_out_and_are_none_where_no_set_was_given():
    given = places(*StageKind, demonstrations="/sets/1.jsonl")
    assert inputs(StageKind.DEMONSTRATIONS, given)["rows"] == "/rounds/1/data/demonstrations.jsonl"
    assert inputs(StageKind.DEMONSTRATIONS, places(*StageKind))["rows"] == ""
    assert inputs(StageKind.CHECK, places(*StageKind))["demonstrations"] == ""


@pytest.mark.parametrize("kind", StageKind)
def test_what_is_held_out_reaches_only_what_measures(kind):
    there = places(*StageKind, demonstrations="/sets/1.jsonl", pool=("/rounds/1/data/pool/0001.jsonl",))
    held_out = [path for path in inputs(kind, there).values() if isinstance(path, str) and "eval.jsonl" in path]
    measuring = (StageKind.CHECK, StageKind.REWARD_MODEL, StageKind.JUDGE_MODEL, StageKind.EVALUATE)
    assert bool(held_out) == (kind in measuring)


def test_a_stage_is_told_its_section_and_the_check_the_whole_recipe(settings):
    settings.TRACKERS = ["trackio"]
    told = round_plan.stage_file(StageKind.DPO, recipe=RECIPE, seed=17, places=places(*StageKind))
    assert (told["recipe"], told["seed"], told["trackers"]) == (RECIPE["dpo"], 17, ["trackio"])
    assert round_plan.stage_file(StageKind.CHECK, recipe=RECIPE, seed=17, places=places())["recipe"] == RECIPE


@pytest.mark.parametrize("kind", sorted(round_plan.LAUNCHED_BY_ACCELERATE))
def test_a_stage_that_trains_is_launched_by_accelerate(kind):
    training = round_plan.program_of(kind, DIRECTORY, has_gpu=True)
    assert training[:3] == [sys.executable, "-m", "accelerate.commands.launch"]
    assert training[-4:] == ["-m", f"training.pipeline.{kind}", "--run-dir", "/rounds/1"]
    assert round_plan.environment_of(kind, has_gpu=True) == {}


@pytest.mark.parametrize("kind", sorted(set(StageKind) - round_plan.LAUNCHED_BY_ACCELERATE))
@pytest.mark.parametrize("has_gpu", [False, True])
def test_a_stage_that_trains_nothing_is_started_as_it_is(kind, has_gpu):
    program = round_plan.program_of(kind, DIRECTORY, has_gpu=has_gpu)
    assert program == [sys.executable, "-m", f"training.pipeline.{kind}", "--run-dir", "/rounds/1"]
    assert round_plan.environment_of(kind, has_gpu=has_gpu) == {}


def test_on_a_cpu_training_needs_no_launcher_and_is_told_what_one_would_tell_it(monkeypatch):
    program = round_plan.program_of(StageKind.DPO, DIRECTORY, has_gpu=False)
    assert program == [sys.executable, "-m", "training.pipeline.dpo", "--run-dir", "/rounds/1"]

    read = launch_command_parser().parse_args(
        ["--mixed_precision", "no", "--dynamo_backend", "no", "--num_processes", "1", "--num_machines", "1",
         "--num_cpu_threads_per_process", str(len(os.sched_getaffinity(0))), *program[1:]]
    )  # fmt: skip
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    read.use_cpu = False  # as launch_command has it once it has looked at the configuration
    command, environment = prepare_simple_launcher_cmd_env(read)
    told = round_plan.environment_of(StageKind.DPO, has_gpu=False)
    assert command == program
    assert told == {name: environment[name] for name in told}
    assert told["ACCELERATE_MIXED_PRECISION"] == "no"
    assert "KMP_AFFINITY" not in told  # accelerate's --cpu binds every thread to one core with it


def launch_of(settings, monkeypatch, processes, *, visible=None):
    """accelerate's own reading of the command line of a stage that trains."""
    settings.TRAINING_PROCESSES = processes
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    program = round_plan.program_of(StageKind.DPO, DIRECTORY, has_gpu=True)
    read, ours = launch_command_parser().parse_known_args(program[3:])
    assert (read.module, read.training_script, [*read.training_script_args, *ours]) == (
        True, "training.pipeline.dpo", ["--run-dir", "/rounds/1"],
    )  # fmt: skip
    return read


def test_one_process_sees_one_gpu_however_many_the_machine_has(settings, monkeypatch):
    # With two in sight TRL refuses the DataParallel that transformers would make of them.
    read = launch_of(settings, monkeypatch, 1)
    assert (read.num_processes, read.multi_gpu, read.gpu_ids) == (1, False, "0")


def test_as_many_processes_as_the_installation_says_train_on_a_gpu_each(settings, monkeypatch):
    read = launch_of(settings, monkeypatch, 3)
    assert (read.num_processes, read.multi_gpu, read.gpu_ids) == (3, True, "0,1,2")
    assert read.main_process_port == 0  # any that is free


@pytest.mark.parametrize(("processes", "named"), [(1, "5"), (2, "5,GPU-7f")])
def test_a_worker_that_was_given_some_gpus_keeps_to_them(settings, monkeypatch, processes, named):
    assert launch_of(settings, monkeypatch, processes, visible="5,GPU-7f,6").gpu_ids == named


@pytest.mark.parametrize("chosen", [True, False])
def test_the_programs_run_on_the_device_that_the_packages_were_chosen_for(settings, chosen):
    settings.HAS_GPU = chosen
    assert round_plan.has_gpu() is chosen


def test_the_models_of_a_round_are_called_after_it():
    names = {kind: name for kind in StageKind if (name := round_plan.model_name("r1", kind))}
    assert names == {
        StageKind.DEMONSTRATIONS: "r1-demonstrations",
        StageKind.REWARD_MODEL: "r1-reward",
        StageKind.JUDGE_MODEL: "r1-judge",
        StageKind.SFT: "r1-sft",
        StageKind.DPO: "r1-dpo",
    }
