"""kill -9 in the middle of the stages that train nothing: started again, they find what the uninterrupted ones find."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sampling.engine.run_dir import read_error, read_progress, read_result, write_result, write_stage
from tests.tiny_models import save_tiny_policy, save_tiny_reward_model
from tests.training.pipeline.runs import pair, prompts_file, read_lines, write_lines
from tests.training.pipeline.stage_that_waits import program
from training.recipe import load

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
SECONDS = 120
# What depends on the machine's state, or tells how much an attempt before had done.
NOT_COMPARED = {"seconds", "memory_free_bytes", "taken_from_cache", "scores_cached"}
# The stage, where it is killed, what is asked to write before and after, and the files that it leaves.
KILLED = [
    ("check", "checking dpo", [], [], ["dropped.jsonl"]),
    ("rejection_sampling", "scoring", ["old"], [], ["kept.jsonl", "candidates.jsonl"]),
    ("evaluate", "the old policy", ["new"], ["old"], ["judged.jsonl"]),
    ("harness", "measuring the new policy: everyday", [], [], []),
]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    save_tiny_reward_model(folder / "reward")
    return {name: str(save_tiny_policy(folder / name, seed=seed)) for seed, name in enumerate(("old", "new"))} | {
        "reward": str(folder / "reward")
    }


def run_dir_of(folder: Path, kind: str, models: dict[str, str]) -> Path:
    """A stage of the smoke recipe, or the check of all of it, with files and caches of its own."""
    data = folder / "data"
    (data / "all").mkdir(parents=True)
    recipe = load("smoke").resolved()
    prompts = {
        split: str(prompts_file(data / f"prompts_{split}.jsonl", 6 if split == "train" else 3))
        for split in ("train", "eval")
    }
    for name in ("train", "eval", "held_out", "undecided"):
        rows = [pair(number, chosen="" if number == 3 else "yes") for number in range(12)] if name == "train" else []
        write_lines(data / "all" / f"{name}.jsonl", [pair(100)] * 4 if name == "eval" else rows)
    inputs = {
        "check": {
            "policy": models["old"],
            "pairs": {"all": str(data / "all")},
            "prompts_train": prompts["train"],
            "prompts_eval": prompts["eval"],
            "held_out_prompts": str(write_lines(data / "held_out_prompts.jsonl", [])),
        },
        "rejection_sampling": {"policy": models["old"], "reward": models["reward"], "prompts": prompts["train"]},
        "evaluate": {
            "policy_new": models["new"],
            "policy_old": models["old"],
            "policy_base": models["old"],
            "reward": models["reward"],
            "prompts": prompts["eval"],
        },
        "harness": {"policy_new": models["new"], "policy_old": models["old"]},
    }[kind] | {"caches": str(folder / "caches")}
    told = recipe if kind == "check" else recipe[kind]
    write_stage(folder / "run", {"recipe": told, "seed": 17, "inputs": inputs, "trackers": []})
    return folder / "run"


def start(kind: str, phase: str, run_dir: Path) -> subprocess.Popen:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with (run_dir / "output.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.training.pipeline.stage_that_waits", kind, phase, "--run-dir", str(run_dir)],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def kill_at(phase: str, started: subprocess.Popen, run_dir: Path) -> None:
    until = time.monotonic() + SECONDS
    try:
        while (read_progress(run_dir) or {}).get("phase") != phase:
            assert started.poll() is None, f"it ended before: {read_error(run_dir)}"
            assert time.monotonic() < until, f"not there within {SECONDS} s: {read_progress(run_dir)}"
            time.sleep(0.02)
    finally:
        started.send_signal(signal.SIGKILL)
        started.wait(SECONDS)
    assert read_result(run_dir) is None


def asked(run_dir: Path) -> list[str]:
    """The policies that have written, in order."""
    path = run_dir.parent / "asked.txt"
    return path.read_text().split() if path.exists() else []


@pytest.mark.parametrize(("kind", "phase", "before", "after", "leaves"), KILLED)
def test_a_stage_that_is_killed_in_the_middle_finds_what_it_would_have_found(
    tmp_path, models, kind, phase, before, after, leaves
):
    whole = run_dir_of(tmp_path / "whole", kind, models)
    write_result(whole, program(kind)(whole))
    run_dir = run_dir_of(tmp_path / "killed", kind, models)
    kill_at(phase, start(kind, phase, run_dir), run_dir)
    assert asked(run_dir) == before
    assert start(kind, "", run_dir).wait(SECONDS) == 0, read_error(run_dir)

    assert asked(run_dir) == before + after  # what was written is not asked for again
    one, other = ({key: found for key, found in read_result(each).items() if key not in NOT_COMPARED}
                  for each in (whole, run_dir))  # fmt: skip
    assert one == other
    for name in leaves:
        assert read_lines(run_dir / name) == read_lines(whole / name), name
    if kind == "harness":
        assert read_result(run_dir)["taken_from_cache"] >= 3  # two tasks and the text, of the old policy
