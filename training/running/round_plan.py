"""Which stages a recipe asks for, what each reads, and how its program is started. No rows here."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_never

from django.conf import settings

from training.models import StageKind

CHECKPOINT = "checkpoint"

# Under accelerate launch: what trains, and so may one day run on many devices. The two others hold vLLM engines,
# which spread themselves.
LAUNCHED_BY_ACCELERATE = frozenset({StageKind.REWARD_MODEL, StageKind.SFT, StageKind.DPO})


@dataclass(frozen=True)
class Places:
    """Where a round's stages find what they read: the base policy, the data, and each other."""

    base_policy: str  # a directory, or a hub id
    data: Path
    run_dirs: Mapping[str, Path]  # by kind: only the stages that this round has

    def checkpoint(self, kind: StageKind) -> str:
        return str(self.run_dirs[kind] / CHECKPOINT)

    def newest_policy(self, *kinds: StageKind) -> str:
        """The checkpoint of the last of ``kinds`` that the round has, else the base policy."""
        trained = [self.checkpoint(kind) for kind in kinds if kind in self.run_dirs]
        return trained[-1] if trained else self.base_policy


def kinds_of(recipe: Mapping[str, Any]) -> list[StageKind]:
    """The stages of a resolved recipe, in the order in which they run."""
    return [kind for kind in StageKind if recipe.get(kind.value)]


def inputs_of(kind: StageKind, places: Places) -> dict[str, str]:
    """What a stage's program is told to read. Eval prompts and pairs reach no stage that trains a policy."""
    has_reward = StageKind.REWARD_MODEL in places.run_dirs
    match kind:
        case StageKind.REWARD_MODEL:
            return {
                "policy": places.base_policy,
                "pairs_train": str(places.data / "train.jsonl"),
                "pairs_eval": str(places.data / "eval.jsonl"),
            }
        case StageKind.REJECTION_SAMPLING:
            return {
                "policy": places.base_policy,
                "reward": places.checkpoint(StageKind.REWARD_MODEL),
                "prompts": str(places.data / "prompts_train.jsonl"),
            }
        case StageKind.SFT:
            kept = places.run_dirs[StageKind.REJECTION_SAMPLING] / "kept.jsonl"
            return {"policy": places.base_policy, "rows": str(kept)}
        case StageKind.DPO:
            return {
                "policy": places.newest_policy(StageKind.SFT),
                "pairs_train": str(places.data / "train.jsonl"),
            }
        case StageKind.EVALUATE:
            reward = {"reward": places.checkpoint(StageKind.REWARD_MODEL)} if has_reward else {}
            return {
                "policy_new": places.newest_policy(StageKind.SFT, StageKind.DPO),
                "policy_old": places.base_policy,
                "prompts": str(places.data / "prompts_eval.jsonl"),
                **reward,
            }
        case _:
            assert_never(kind)


def stage_file(kind: StageKind, *, recipe: Mapping[str, Any], seed: int, places: Places) -> dict[str, Any]:
    """The content of ``stage.json``: everything that the program is told."""
    return {
        "recipe": recipe[kind.value],
        "seed": seed,
        "inputs": inputs_of(kind, places),
        "outputs_dir": CHECKPOINT,
    }


def program_of(kind: StageKind, run_dir: Path, *, has_gpu: bool) -> list[str]:
    """The command line of a stage's program."""
    module = ["-m", f"training.pipeline.{kind.value}", "--run-dir", str(run_dir)]
    if kind not in LAUNCHED_BY_ACCELERATE:
        return [sys.executable, *module]
    # Every choice is spelled out, so that no accelerate configuration of the machine's user changes a round.
    launch = ["--num_processes", "1", "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    # Left to itself, accelerate counts hyper-threads out, and a small machine trains on one core. Its --cpu is left
    # out too: it sets a KMP_AFFINITY that binds every thread to core 0 (seen with Intel's runtime on two cores, where
    # a stage took twice as long). The stages ask for the CPU themselves.
    cores = str(len(os.sched_getaffinity(0)))
    device = [] if has_gpu else ["--num_cpu_threads_per_process", cores]
    return [sys.executable, "-m", "accelerate.commands.launch", *launch, *device, *module]


def has_gpu() -> bool:
    """Whether the programs run on a GPU: chosen once, when the packages were installed."""
    return settings.HAS_GPU


def model_name(round_name: str, kind: StageKind) -> str | None:
    """The name of the model version that a stage leaves behind; None for a stage that trains nothing."""
    match kind:
        case StageKind.REWARD_MODEL:
            return f"{round_name}-reward"
        case StageKind.SFT | StageKind.DPO:
            return f"{round_name}-{kind.value}"
        case StageKind.REJECTION_SAMPLING | StageKind.EVALUATE:
            return None
        case _:
            assert_never(kind)
