"""kill -9 in the middle of real programs: started again, they end as if nothing had happened."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sampling.engine.run_dir import read_error, read_metrics, read_result
from tests.training.pipeline.stages import EVERY_PROGRAM, curve, probes, training_dir, weights_hash

ROOT = Path(__file__).parents[3]
ADAPTERS = {"lora_rank": 4, "lora_dropout": 0.1}
METHODS = {"full": {"method": "full"}, "lora": {"method": "lora"} | ADAPTERS, "qlora": {"method": "qlora"} | ADAPTERS}
# 12 rows, four a step: three steps an epoch.
LONG = {"epochs": 20, "learning_rate": 1e-3, "checkpoint_steps": 2, "probes": 3, "probe_prompts": 2, "probe_tokens": 4}
STEPS = 60
SECONDS = 120


def start(kind: str, run_dir: Path) -> subprocess.Popen:
    """The program as a round starts it, on one thread as the tests here are."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with (run_dir / "output.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", f"training.pipeline.{kind}", "--run-dir", str(run_dir)],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def end_at(step: int, program: subprocess.Popen, run_dir: Path, signal_number: signal.Signals) -> None:
    """End the program as soon as it has logged this step."""
    until = time.monotonic() + SECONDS
    try:
        while len(read_metrics(run_dir)) < step:
            assert program.poll() is None, f"it ended before step {step}: {read_error(run_dir)}"
            assert time.monotonic() < until, f"no step {step} within {SECONDS} s"
            time.sleep(0.01)
    finally:
        program.send_signal(signal_number)
        program.wait(SECONDS)
    assert read_result(run_dir) is None, "it ended by itself before it was killed"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "method"),
    # Every stage, and adapters wherever the way to save and load them is another one.
    [
        *((kind, "full") for kind in EVERY_PROGRAM),
        ("sft", "lora"),
        ("dpo", "lora"),
        ("reward_model", "lora"),
        ("dpo", "qlora"),
    ],
)
def test_a_stage_that_is_killed_in_the_middle_ends_as_if_nothing_had_happened(tmp_path, policy, kind, method):
    whole_dir = training_dir(tmp_path / "whole", kind, policy, **LONG, **METHODS[method])
    whole = EVERY_PROGRAM[kind].run(whole_dir)
    run_dir = training_dir(tmp_path / "killed", kind, policy, **LONG, **METHODS[method])
    end_at(31, start(kind, run_dir), run_dir, signal.SIGKILL)
    program = start(kind, run_dir)
    assert program.wait(SECONDS) == 0, read_error(run_dir)
    result = read_result(run_dir)
    assert 30 <= result["resumed_at"] < STEPS
    assert [row["step"] for row in curve(run_dir)] == list(range(1, STEPS + 1))
    assert curve(run_dir) == curve(whole_dir)
    assert (result["first_loss"], result["final_loss"]) == (whole.first_loss, whole.final_loss)
    assert weights_hash(run_dir) == weights_hash(whole_dir)
    if (whole_dir / "probes.jsonl").exists():
        assert probes(run_dir) == probes(whole_dir)


@pytest.mark.slow
def test_a_cancelled_stage_ends_at_once_and_goes_on_from_its_checkpoint(tmp_path, policy):
    run_dir = training_dir(tmp_path, "sft", policy, **LONG)
    program = start("sft", run_dir)
    end_at(31, program, run_dir, signal.SIGTERM)
    assert program.returncode == 128 + signal.SIGTERM
    assert not (run_dir / "checkpoint").exists()
    assert EVERY_PROGRAM["sft"].run(run_dir).resumed_at >= 30
