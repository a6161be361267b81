"""Training over several processes, on a CPU: what one process would have learned."""

import json
import os
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import pytest
from safetensors.torch import load_file

from sampling.engine.run_dir import read_metrics
from tests.training.pipeline.runs import pair, stage_dir, write_lines

ROOT = Path(__file__).resolve().parents[3]
WORDS = ("yes", "yes no", "maybe so it is", "no no no")

pytestmark = pytest.mark.slow


def launch(*command: str) -> str:
    """Two processes; returns what they print. The port is one that is free."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m"]
    environment = os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        [*launcher, *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    return ended.stdout


def run_dir(path: Path, kind: str, policy: Path, **changes) -> Path:
    """Rankings of two, three and four: twelve of them, which eight pairs a step do not share out evenly."""
    path.mkdir()
    rows = [
        pair(i, chosen=WORDS[a] * (1 + i % 4), rejected=WORDS[b] * (1 + i % 3))
        for i in range(12)
        for a, b in combinations(range(2 + i % 3), 2)
    ]
    pairs = write_lines(path / "pairs.jsonl", rows)
    inputs = {"policy": policy, "pairs_train": pairs} | ({"pairs_eval": pairs} if kind == "reward_model" else {})
    changes |= {"precision": "fp32", "probes": 0, "max_pairs_per_prompt": 6, "batch": 8}
    return stage_dir(path / "run", kind, inputs=inputs, **changes)


@pytest.mark.parametrize(("kind", "method"), [("dpo", "full"), ("dpo", "lora"), ("reward_model", "full")])
def test_two_processes_learn_what_one_does(tmp_path, policy, kind, method):
    alone, together = (run_dir(tmp_path / name, kind, policy, method=method) for name in ("alone", "together"))
    program = f"training.pipeline.{kind}"
    command = [sys.executable, "-m", program, "--run-dir", str(alone)]
    subprocess.run(command, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, check=True)
    launch(program, "--run-dir", str(together))
    one, two = (read_metrics(each) for each in (alone, together))
    for name in ("loss", "pairs", "chosen_tokens"):
        assert [row[name] for row in two] == pytest.approx([row[name] for row in one], rel=1e-6), name
    weights, others = (load_file(each / "checkpoint" / "model.safetensors") for each in (alone, together))
    for name, weight in weights.items():
        # Sums of the same numbers in another order: a few units in the last of 24 bits, over five steps of AdamW.
        assert (others[name] - weight).norm() <= 1e-5 * weight.norm(), name


def test_weights_that_are_spread_have_the_same_gradients_and_come_together_again(policy):
    said = launch("tests.training.pipeline.over_shards", str(policy)).splitlines()
    assert len(said) == 3  # full, with a head of its own, lora
    for found in map(json.loads, said):
        assert found["layout"] == "shared"
        assert found["losses"][1] == pytest.approx(found["losses"][0], rel=1e-6)
        assert found["same_names"]
        assert found["gradients"] < 1e-5
        assert found["together"]
