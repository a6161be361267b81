"""Which stages a recipe asks for, what each reads, and how its program is started. No rows here."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, assert_never

from django.conf import settings

from training.models import StageKind
from training.running.places import (
    CHECKPOINT,
    DEMONSTRATIONS,
    HELD_OUT_DEMONSTRATIONS,
    HELD_OUT_POOL,
    HELD_OUT_PROMPTS,
    POOL,
    Places,
)

# Under accelerate launch where there is a GPU: what trains, and so may run on many. The others hold vLLM engines, which
# spread themselves, or train nothing.
LAUNCHED_BY_ACCELERATE = frozenset(
    {StageKind.DEMONSTRATIONS, StageKind.REWARD_MODEL, StageKind.JUDGE_MODEL, StageKind.SFT, StageKind.DPO}
)


def kinds_of(recipe: Mapping[str, Any]) -> list[StageKind]:
    """The stages of a round's resolved recipe, in the order in which they run. Every round begins with a check."""
    return [kind for kind in StageKind if kind == StageKind.CHECK or recipe.get(kind.value)]


def inputs_of(kind: StageKind, places: Places, recipe: Mapping[str, Any]) -> dict[str, Any]:
    """What a stage's program is told to read. Eval prompts and pairs reach no stage that trains a policy."""
    section = recipe.get(kind.value, {})
    started = places.newest_policy(StageKind.DEMONSTRATIONS)
    match kind:
        case StageKind.CHECK:
            return _inputs_of_check(places, recipe)
        case StageKind.DEMONSTRATIONS:
            return {"policy": places.base_policy, "rows": _demonstrations(places, DEMONSTRATIONS)}
        case StageKind.REWARD_MODEL:
            train, held_out = _pairs(places, section)
            return {
                "policy": started,
                "pairs_train": train,
                "pairs_eval": held_out,
                "rivals": list(places.rewards),
                "caches": str(places.caches),
            }
        case StageKind.JUDGE_MODEL:
            train, held_out = _pairs(places, section)
            # The other way round: what judges the policy learns from prompts that no policy and no selector saw.
            return {"policy": started, "pairs_train": held_out, "pairs_eval": train, "rivals": []}
        case StageKind.REJECTION_SAMPLING:
            return {
                "policy": started,
                "reward": places.best_reward,
                "prompts": str(places.data / "prompts_train.jsonl"),
                "pool": list(places.pool) if section.get("pool") == "all_rounds" else [],
                "caches": str(places.caches),
            }
        case StageKind.SFT:
            from_base = section.get("start_from") == "base"
            kept = places.run_dirs[StageKind.REJECTION_SAMPLING] / "kept.jsonl"
            return {"policy": places.schedule_base if from_base else started, "rows": str(kept)}
        case StageKind.DPO:
            train, _ = _pairs(places, section)
            newest = places.newest_policy(StageKind.DEMONSTRATIONS, StageKind.SFT)
            return {"policy": newest, "pairs_train": train, "caches": str(places.caches)}
        case StageKind.EVALUATE:
            given = {
                "reward": places.independent_reward,
                "reward_selector": places.selecting_reward,
                "judge_policy": places.judge_policy,
            }
            return {
                **_old_and_new(places),
                "policy_base": places.schedule_base,
                "policy_published": places.published_policy,
                "prompts": str(places.data / "prompts_eval.jsonl"),
                "names": dict(places.names or {}),
                "earlier": list(places.judged),
                "caches": str(places.caches),
                **{name: location for name, location in given.items() if location},
            }
        case StageKind.HARNESS:
            return _old_and_new(places) | {"caches": str(places.caches)}
        case _:
            assert_never(kind)


def _old_and_new(places: Places) -> dict[str, str]:
    new = places.newest_policy(StageKind.DEMONSTRATIONS, StageKind.SFT, StageKind.DPO)
    return {"policy_new": new, "policy_old": places.base_policy}


def _pairs(places: Places, section: Mapping[str, Any]) -> tuple[str, str]:
    """The files of the pairs to train on and of the held-out ones, by whose judgments the stage counts."""
    directory = places.data / section.get("judges", "people")
    return str(directory / "train.jsonl"), str(directory / "eval.jsonl")


def judges_in(recipe: Mapping[str, Any]) -> list[str]:
    """Whose judgments the round's stages ask for: "people", "people_and_imported", "all"."""
    sections = [section for section in recipe.values() if isinstance(section, Mapping)]
    return sorted({section["judges"] for section in sections if isinstance(section.get("judges"), str)})


def _inputs_of_check(places: Places, recipe: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "policy": places.base_policy,
        "demonstrations": _demonstrations(places, DEMONSTRATIONS),
        "held_out_demonstrations": _demonstrations(places, HELD_OUT_DEMONSTRATIONS),
        "pairs": {judges: str(places.data / judges) for judges in judges_in(recipe)},
        "prompts_train": str(places.data / "prompts_train.jsonl"),
        "held_out_prompts": str(places.data / HELD_OUT_PROMPTS),
        **_pool(places, recipe),
        "prompts_eval": str(places.data / "prompts_eval.jsonl"),
    }


def _pool(places: Places, recipe: Mapping[str, Any]) -> dict[str, str]:
    """The folder of earlier rounds' candidates, and the file of those that are held out by now, where they are read."""
    if recipe.get("rejection_sampling", {}).get("pool") != "all_rounds":
        return {}
    return {"pool": str(places.data / POOL), "held_out_pool": str(places.data / HELD_OUT_POOL)}


def _demonstrations(places: Places, name: str) -> str:
    """Empty where nobody gave the round a set."""
    return str(places.data / name) if places.demonstrations else ""


def stage_file(kind: StageKind, *, recipe: Mapping[str, Any], seed: int, places: Places) -> dict[str, Any]:
    """The content of ``stage.json``: everything that the program is told."""
    return {
        "recipe": recipe if kind == StageKind.CHECK else recipe[kind.value],
        "seed": seed,
        "inputs": inputs_of(kind, places, recipe),
        "outputs_dir": CHECKPOINT,
        "trackers": list(settings.TRACKERS),
    }


def program_of(kind: StageKind, run_dir: Path, *, has_gpu: bool) -> list[str]:
    """The command line of a stage's program."""
    module = ["-m", f"training.pipeline.{kind.value}", "--run-dir", str(run_dir)]
    # One process on a CPU needs no launcher, which would only import for seconds what the program imports again, and
    # start it with `environment_of`.
    if kind not in LAUNCHED_BY_ACCELERATE or not has_gpu:
        return [sys.executable, *module]
    # Every choice is spelled out, so that no accelerate configuration of the machine's user changes a round.
    processes = settings.TRAINING_PROCESSES
    launch = ["--num_processes", str(processes), "--num_machines", "1"]
    launch += ["--mixed_precision", "no", "--dynamo_backend", "no"]
    return [sys.executable, "-m", "accelerate.commands.launch", *launch, *_gpus(processes), *module]


def environment_of(kind: StageKind, *, has_gpu: bool) -> dict[str, str]:
    """What the program of a stage that trains is told beside its command line: on a CPU, what accelerate launch would.

    All cores, for accelerate counts hyper-threads out; and none of what its --cpu does: that sets a KMP_AFFINITY which
    binds every thread to core 0 (seen with Intel's runtime on two cores, where a stage took twice as long). Said, so
    that no variable of the worker's environment changes a round.
    """
    if kind not in LAUNCHED_BY_ACCELERATE or has_gpu:
        return {}
    cores = str(len(os.sched_getaffinity(0)))
    return {"ACCELERATE_MIXED_PRECISION": "no", "ACCELERATE_DYNAMO_BACKEND": "NO", "OMP_NUM_THREADS": cores}


def _gpus(processes: int) -> list[str]:
    """One GPU for each process, and no other in sight: of those TRL would make a DataParallel, and refuse it."""
    # accelerate writes these over CUDA_VISIBLE_DEVICES: a worker that was given some of the machine's keeps to them.
    given = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(processes))))
    named = ["--gpu_ids", ",".join(given.split(",")[:processes])]
    # Port 0: any that is free, because another worker of this machine may train too.
    return named if processes == 1 else ["--multi_gpu", *named, "--main_process_port", "0"]


def has_gpu() -> bool:
    """Whether the programs run on a GPU: chosen once, when the packages were installed."""
    return settings.HAS_GPU


def model_name(round_name: str, kind: StageKind) -> str | None:
    """The name of the model version that a stage leaves behind; None for a stage that trains nothing."""
    match kind:
        case StageKind.REWARD_MODEL:
            return f"{round_name}-reward"
        case StageKind.JUDGE_MODEL:
            return f"{round_name}-judge"
        case StageKind.DEMONSTRATIONS | StageKind.SFT | StageKind.DPO:
            return f"{round_name}-{kind.value}"
        case StageKind.CHECK | StageKind.REJECTION_SAMPLING | StageKind.EVALUATE | StageKind.HARNESS:
            return None
        case _:
            assert_never(kind)
