"""Where curves go besides our own files."""

import os
import sys
from types import ModuleType

import pytest

from sampling import processes
from sampling.engine.run_dir import RunDirError, read_metrics, read_stage, write_stage
from tests.training.pipeline.stages import PROGRAMS, events_in, training_dir
from training.pipeline import trackers


def told_trackers(run_dir, *names):
    write_stage(run_dir, read_stage(run_dir) | {"trackers": list(names)})
    return run_dir


def events(run_dir):
    """Every (tag, step, value) of the TensorBoard files."""
    return [
        (value.tag, event.step, value.simple_value)
        for path in sorted((run_dir / "tensorboard").glob("events.out.tfevents.*"))
        for event in events_in(path)
        for value in event.summary.value
        if value.HasField("simple_value")
    ]


@pytest.mark.parametrize("kind", PROGRAMS)
def test_every_stage_that_trains_writes_tensorboard_files(tmp_path, policy, kind):
    run_dir = training_dir(tmp_path, kind, policy)
    PROGRAMS[kind].run(run_dir)
    found = events(run_dir)
    losses = {step: value for tag, step, value in found if tag == "train/loss"}
    assert losses == pytest.approx({row["step"]: row["loss"] for row in read_metrics(run_dir)})
    assert {"train/memory_gb", "train/learning_rate", "train/grad_norm"} <= {tag for tag, _, _ in found}


def test_what_the_probes_find_is_in_them_too(tmp_path, policy):
    run_dir = training_dir(tmp_path, "sft", policy, probes=1, probe_prompts=1, probe_tokens=2)
    PROGRAMS["sft"].run(run_dir)
    assert [step for tag, step, _ in events(run_dir) if tag == "train/kl"] == [3, 6]


def test_a_stage_that_starts_anew_leaves_one_curve(tmp_path, policy):
    run_dir = training_dir(tmp_path, "sft", policy)
    for seed in (17, 18):
        write_stage(run_dir, read_stage(run_dir) | {"seed": seed})
        PROGRAMS["sft"].run(run_dir)
    assert [step for tag, step, _ in events(run_dir) if tag == "train/loss"] == [1, 2, 3, 4, 5, 6]


def test_a_tracker_that_is_not_installed_is_an_error_with_the_remedy_before_anything_is_trained(tmp_path, policy):
    run_dir = told_trackers(training_dir(tmp_path, "sft", policy), "wandb")
    with pytest.raises(RunDirError, match=r"\"wandb\", which is not installed. .*pip install wandb"):
        PROGRAMS["sft"].run(run_dir)
    assert not (run_dir / "metrics.jsonl").exists()


def test_a_tracker_that_nobody_knows_is_refused_by_name(tmp_path, policy):
    run_dir = told_trackers(training_dir(tmp_path, "sft", policy), "notebook")
    with pytest.raises(RunDirError, match='"notebook"; it may name trackio and wandb'):
        PROGRAMS["sft"].run(run_dir)


class FakeTrackio(ModuleType):
    """Trackio's own few words, as transformers' integration calls them."""

    def __init__(self):
        super().__init__("trackio")
        self.config, self.logged, self.started, self.finished = {}, [], [], 0
        self.context_vars = self
        self.current_space_id = self
        self.__version__ = "0.43.0"

    def get(self):
        return None

    def init(self, **told):
        self.started.append(told)
        self.config = _Config()

    def log(self, values, *args, **kwargs):
        self.logged.append(values)

    def finish(self):
        self.finished += 1


class _Config(dict):
    def update(self, values, allow_val_change=False):
        super().update(values)


def test_trackio_is_told_every_step_under_the_rounds_and_the_stages_name(tmp_path, policy, monkeypatch):
    fake = FakeTrackio()
    monkeypatch.setitem(sys.modules, "trackio", fake)
    monkeypatch.setattr(trackers, "find_spec", lambda name: object())
    monkeypatch.setattr("transformers.integrations.integration_utils.is_trackio_available", lambda: True)
    run_dir = told_trackers(training_dir(tmp_path / "round-1", "sft", policy), "trackio")
    PROGRAMS["sft"].run(run_dir)
    (started,) = fake.started
    assert (started["project"], started["name"]) == ("whetstone", "round-1/run")
    assert started["space_id"] is None  # it stays on this machine
    losses = [values["train/loss"] for values in fake.logged if "train/loss" in values]
    assert losses == pytest.approx([row["loss"] for row in read_metrics(run_dir)])
    assert fake.finished == 1


def test_a_resumed_stage_is_the_same_run_for_weights_and_biases(tmp_path, monkeypatch):
    for variable in ("WANDB_PROJECT", "WANDB_RUN_ID", "WANDB_RESUME", "WANDB_DIR"):
        monkeypatch.delenv(variable, raising=False)
    trackers._name_run_of_wandb(tmp_path)
    first = os.environ["WANDB_RUN_ID"]
    trackers._name_run_of_wandb(tmp_path)
    assert (os.environ["WANDB_RUN_ID"], os.environ["WANDB_RESUME"]) == (first, "allow")
    for variable in ("WANDB_PROJECT", "WANDB_RUN_ID", "WANDB_RESUME", "WANDB_DIR"):
        monkeypatch.delenv(variable)


def test_a_program_is_given_what_the_trackers_read_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "a key")
    monkeypatch.setenv("TRACKIO_DIR", "/somewhere")
    given = processes.environment(tmp_path, {})
    assert (given["WANDB_API_KEY"], given["TRACKIO_DIR"]) == ("a key", "/somewhere")
