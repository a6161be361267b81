"""What a program says that it ran with."""

import json
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from sampling.engine.run_dir import read_provenance
from tests.training.pipeline.stages import PROGRAMS, training_dir, weights_hash
from training.pipeline import provenance
from training.pipeline.trainers import Stage

ROOT = Path(__file__).parents[3]
KEYS = {
    "code", "python", "libraries", "hardware", "seed", "threads", "precision", "micro_batch", "accumulation",
    "not_deterministic", "command",
}  # fmt: skip


@pytest.fixture
def run_dir(tmp_path, policy):
    return training_dir(tmp_path, "sft", policy)


def test_it_is_written_when_a_program_starts(run_dir):
    Stage.start(run_dir)
    said = read_provenance(run_dir)
    assert set(said) == KEYS
    assert said["seed"] == 17
    assert said["python"] == platform.python_version()
    assert said["libraries"]["trl"] == metadata.version("trl")
    assert said["libraries"]["torch"] == metadata.version("torch")
    assert set(said["hardware"]) == {"machine", "cpu", "cores", "memory_bytes", "gpus"}
    assert said["hardware"]["memory_bytes"] > 1e8
    assert said["threads"] >= 1
    assert said["command"][0]


def test_what_is_known_only_once_the_trainer_is_built_is_added(run_dir):
    PROGRAMS["sft"].run(run_dir)
    said = read_provenance(run_dir)
    # Batches of four rows, two in memory together.
    assert (said["micro_batch"], said["accumulation"]) == (2, 2)
    assert said["precision"] in ("bf16", "fp32")


def test_the_code_is_named_by_version_and_commit():
    said = provenance.code()
    assert said["version"] == "0.1.0"
    if said["commit"] is not None:  # in a checkout
        assert len(said["commit"]) == 40
        assert isinstance(said["dirty"], bool)


def test_without_a_checkout_there_is_no_commit(monkeypatch, tmp_path):
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2"\n')
    monkeypatch.setattr(provenance, "PROJECT", tmp_path)
    assert provenance.code() == {"version": "1.2", "commit": None, "dirty": None}


def test_git_that_does_not_answer_stops_nothing(monkeypatch, tmp_path):
    def never(*args, **kwargs):
        raise subprocess.TimeoutExpired("git", 5)

    monkeypatch.setattr(provenance.subprocess, "run", never)
    assert provenance._git("rev-parse", "HEAD") is None


def test_what_is_not_deterministic_depends_on_what_the_stage_does(monkeypatch):
    assert provenance.not_deterministic({"max_tokens": 16}) == [provenance.SAMPLED_IN_BATCHES]
    monkeypatch.setattr(provenance, "_gpus", lambda: [])
    assert provenance.not_deterministic({"learning_rate": 1e-5}) == []
    monkeypatch.setattr(provenance, "_gpus", lambda: ["NVIDIA H200"])
    assert provenance.not_deterministic({"learning_rate": 1e-5}) == [provenance.GPU_KERNELS]
    assert provenance.not_deterministic({"tasks": []}) == []


def test_saying_it_loads_no_torch():
    # The check of the data writes it too, and takes a few seconds only.
    told = "import sys, training.pipeline.provenance as p; p.hardware(); p.threads(); print('torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", told], cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"


@pytest.mark.parametrize("kind", PROGRAMS)
@pytest.mark.parametrize("method", ["full", "lora"])
def test_the_same_inputs_recipe_and_seed_give_the_same_weights_to_the_last_bit(tmp_path, policy, kind, method):
    hashes = []
    for name in ("once", "again"):
        run_dir = training_dir(tmp_path / name, kind, policy, method=method, lora_rank=4)
        PROGRAMS[kind].run(run_dir)
        hashes.append(weights_hash(run_dir))
    assert hashes[0] == hashes[1]


def test_another_seed_gives_other_weights(tmp_path, policy):
    hashes = set()
    for seed in (17, 18):
        run_dir = training_dir(tmp_path / str(seed), "sft", policy)
        stage = run_dir / "stage.json"
        stage.write_text(json.dumps(json.loads(stage.read_text()) | {"seed": seed}))
        PROGRAMS["sft"].run(run_dir)
        hashes.add(weights_hash(run_dir))
    assert len(hashes) == 2


def test_the_weights_file_says_nothing_of_the_run(run_dir):
    PROGRAMS["sft"].run(run_dir)
    weights = (run_dir / "checkpoint" / "model.safetensors").read_bytes()
    header = json.loads(weights[8 : 8 + int.from_bytes(weights[:8], "little")])
    assert header["__metadata__"] == {"format": "pt"}
