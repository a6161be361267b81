"""Going on in the middle of a stage: the same curve and the same weights as without the interruption.

Here a stage is stopped by an error in the same process, which is quick; test_killed_stages.py kills real programs.
"""

import json
import math
import os
import pickle
import re
from types import SimpleNamespace

import pytest
import torch
from tensorboardX.proto.event_pb2 import SessionLog

from sampling.engine.run_dir import RunDirError, read_metrics, read_progress, read_provenance, read_stage, write_stage
from tests.training.pipeline.runs import write_lines
from tests.training.pipeline.stages import PROGRAMS, conversation, curve, events_in, probes, training_dir, weights_hash
from training.pipeline import resuming, trainers
from training.pipeline.reporting import Reporter
from training.pipeline.resuming import cut_back, newest

METHODS = {
    "full": {"method": "full"},
    "lora": {"method": "lora", "lora_rank": 4, "lora_dropout": 0.1},
    "qlora": {"method": "qlora", "lora_rank": 4, "lora_dropout": 0.1},
}
STEPS = 6


class Interrupted(Exception):
    """Stands in for a kill: nothing of the stage's own runs after it."""


@pytest.fixture
def stop_after(monkeypatch):
    """Have a stage end right after it has logged this step; None lets it go on."""
    asked: dict[str, int | None] = {"step": None}
    on_log = Reporter.on_log

    def stopping(self, args, state, control, **kwargs):
        on_log(self, args, state, control, **kwargs)
        if state.global_step == asked["step"]:
            raise Interrupted

    monkeypatch.setattr(Reporter, "on_log", stopping)
    return lambda step: asked.update(step=step)


@pytest.fixture
def interrupted(tmp_path, policy, stop_after):
    """A stage that was stopped after it had logged step 5 and saved step 4."""

    def run(kind="sft", *, step=5, **changes):
        run_dir = training_dir(tmp_path / "stopped", kind, policy, checkpoint_steps=2, **changes)
        stop_after(step)
        with pytest.raises(Interrupted):
            PROGRAMS[kind].run(run_dir)
        stop_after(None)
        return run_dir

    return run


def checkpoints(run_dir):
    return sorted(path.name for path in (run_dir / "trainer").glob("checkpoint-*"))


@pytest.mark.parametrize("kind", PROGRAMS)
@pytest.mark.parametrize("method", METHODS)
def test_a_resumed_stage_has_the_curve_and_the_weights_of_one_that_was_not_stopped(
    tmp_path, policy, interrupted, kind, method
):
    changes = METHODS[method] | {"probes": 2, "probe_prompts": 2, "probe_tokens": 4}
    whole_dir = training_dir(tmp_path / "whole", kind, policy, **changes)
    whole = PROGRAMS[kind].run(whole_dir)
    run_dir = interrupted(kind, **changes)
    assert checkpoints(run_dir) == ["checkpoint-4"]
    resumed = PROGRAMS[kind].run(run_dir)
    assert resumed.resumed_at == 4
    assert curve(run_dir) == curve(whole_dir)
    assert [row["step"] for row in curve(run_dir)] == [1, 2, 3, 4, 5, 6]
    assert weights_hash(run_dir) == weights_hash(whole_dir)
    assert (resumed.first_loss, resumed.final_loss) == (whole.first_loss, whole.final_loss)
    assert (resumed.steps, resumed.weights_changed) == (STEPS, whole.weights_changed)
    assert whole.resumed_at is None
    if (whole_dir / "probes.jsonl").exists():
        assert probes(run_dir) == probes(whole_dir)


def test_a_stage_that_is_stopped_twice_goes_on_twice(tmp_path, policy, interrupted, stop_after):
    whole_dir = training_dir(tmp_path / "whole", "sft", policy)
    PROGRAMS["sft"].run(whole_dir)
    run_dir = interrupted(step=3)
    stop_after(5)
    with pytest.raises(Interrupted):
        PROGRAMS["sft"].run(run_dir)
    stop_after(None)
    assert PROGRAMS["sft"].run(run_dir).resumed_at == 4
    assert curve(run_dir) == curve(whole_dir)
    assert weights_hash(run_dir) == weights_hash(whole_dir)


def test_a_resumed_adapter_does_not_fall_back_to_its_start(interrupted):
    # The trap: DPO from a reset adapter starts at ln 2 again.
    run_dir = interrupted("dpo", method="lora", lora_rank=4, learning_rate=5e-2)
    before = {row["step"]: row["loss"] for row in read_metrics(run_dir)}
    assert before[5] < math.log(2) - 0.05
    PROGRAMS["dpo"].run(run_dir)
    assert {row["step"]: row["loss"] for row in read_metrics(run_dir)}[5] == before[5]


def test_an_adapter_that_was_put_back_to_its_start_is_refused(interrupted, monkeypatch):
    run_dir = interrupted("dpo", method="lora", lora_rank=4)
    monkeypatch.setattr("transformers.Trainer._load_from_checkpoint", lambda *args: None)
    with pytest.raises(RunDirError, match="does not hold its weights"):
        PROGRAMS["dpo"].run(run_dir)
    # And the next attempt begins from the start, instead of failing for ever.
    assert checkpoints(run_dir) == []
    assert PROGRAMS["dpo"].run(run_dir).resumed_at is None


def logged_otherwise(run_dir, step):
    """Have the attempt before have logged another loss at this step, as another processor would."""
    write_lines(
        run_dir / "metrics.jsonl",
        [row | {"loss": row["loss"] + (0.01 if row["step"] == step else 0)} for row in read_metrics(run_dir)],
    )


@pytest.mark.parametrize(("kind", "method"), [("sft", "lora"), ("reward_model", "full"), ("dpo", "lora")])
def test_a_stage_whose_loss_does_not_go_on_where_it_was_begins_anew_and_says_so(
    tmp_path, policy, interrupted, capsys, kind, method
):
    changes = METHODS[method] | {"probes": 2, "probe_prompts": 2, "probe_tokens": 4}
    whole_dir = training_dir(tmp_path / "whole", kind, policy, **changes)
    whole = PROGRAMS[kind].run(whole_dir)
    run_dir = interrupted(kind, **changes)
    logged_otherwise(run_dir, 5)  # beyond the checkpoint of step 4
    result = PROGRAMS[kind].run(run_dir)
    assert re.search(r"step 5 has a loss of .* and had one of .* begins again from its start", capsys.readouterr().out)
    assert (result.resumed_at, result.first_loss, result.final_loss) == (None, whole.first_loss, whole.final_loss)
    assert curve(run_dir) == curve(whole_dir)
    assert weights_hash(run_dir) == weights_hash(whole_dir)
    assert read_progress(run_dir).get("begun_at", 0) == 0
    if (whole_dir / "probes.jsonl").exists():
        assert probes(run_dir) == probes(whole_dir)


def test_only_the_first_step_after_the_checkpoint_is_compared(interrupted):
    run_dir = interrupted(step=3)
    logged_otherwise(run_dir, 2)
    assert PROGRAMS["sft"].run(run_dir).resumed_at == 2
    before = {"loss": 0.5}
    callback = resuming.Continuity(SimpleNamespace(step=4), expected={5: 0.5, 6: 0.5})
    callback.on_log(None, SimpleNamespace(global_step=5), None, logs=before)
    callback.on_log(None, SimpleNamespace(global_step=6), None, logs={"loss": 0.6})
    with pytest.raises(resuming.BeginAnew):
        callback.on_log(None, SimpleNamespace(global_step=5), None, logs={"loss": 0.6})


@pytest.mark.parametrize("tear", ["no mark", "cut", "gone"])
def test_a_torn_checkpoint_is_passed_over_for_the_one_before(tmp_path, policy, interrupted, tear, capsys):
    run_dir = interrupted()
    older = run_dir / "trainer" / "checkpoint-4"
    torn = run_dir / "trainer" / "checkpoint-5"
    torn.mkdir()
    for path in older.iterdir():
        (torn / path.name).write_bytes(path.read_bytes())
    match tear:
        case "no mark":
            (torn / resuming.MARK).unlink()
        case "cut":
            os.truncate(torn / "optimizer.pt", 100)
        case "gone":
            (torn / "scheduler.pt").unlink()
    assert PROGRAMS["sft"].run(run_dir).resumed_at == 4
    assert "checkpoint-5 is not whole" in capsys.readouterr().out
    assert not torn.exists()


def test_without_a_whole_checkpoint_a_stage_starts_anew(tmp_path, policy, interrupted):
    whole_dir = training_dir(tmp_path / "whole", "sft", policy)
    PROGRAMS["sft"].run(whole_dir)
    run_dir = interrupted()
    (run_dir / "trainer" / "checkpoint-4" / resuming.MARK).unlink()
    assert PROGRAMS["sft"].run(run_dir).resumed_at is None
    assert curve(run_dir) == curve(whole_dir)


@pytest.mark.parametrize("changed", ["recipe", "seed", "rows", "policy", "code", "sources", "device", "precision"])
def test_a_stage_that_is_told_something_else_starts_anew_and_says_so(interrupted, policy, changed, monkeypatch, capsys):
    run_dir = interrupted()
    told = read_stage(run_dir)
    match changed:
        case "recipe":
            told["recipe"]["learning_rate"] = 2e-2
        case "seed":
            told["seed"] = 18
        case "rows":
            write_lines(run_dir.parent / "rows.jsonl", [conversation(i) for i in range(1, 13)])
        case "policy":
            other = run_dir.parent / "policy"
            other.mkdir()
            for path in policy.iterdir():
                (other / path.name).write_bytes(path.read_bytes())
            told["inputs"]["policy"] = str(other)
        case "code":
            monkeypatch.setattr("training.pipeline.provenance.code", lambda: {"version": "9", "commit": None})
        case "sources":  # in a working tree, without a commit
            (run_dir.parent / "training" / "pipeline").mkdir(parents=True)
            (run_dir.parent / "training" / "pipeline" / "sft.py").write_text("changed = True")
            monkeypatch.setattr(resuming, "PROJECT", run_dir.parent)
        case "device":
            monkeypatch.setattr("training.pipeline.provenance.processor", lambda: "Another CPU @ 3 GHz")
        case "precision":
            can = resuming.can_bf16()
            monkeypatch.setattr(resuming, "can_bf16", lambda: not can)
    write_stage(run_dir, told)
    result = PROGRAMS["sft"].run(run_dir)
    assert result.resumed_at is None
    assert "told something else, or read other inputs" in capsys.readouterr().out
    assert [row["step"] for row in read_metrics(run_dir)] == [1, 2, 3, 4, 5, 6]


def test_another_tracker_is_no_reason_to_start_anew(interrupted):
    run_dir = interrupted()
    write_stage(run_dir, read_stage(run_dir) | {"trackers": []})
    assert PROGRAMS["sft"].run(run_dir).resumed_at == 4


def test_another_number_of_rows_in_memory_starts_anew(interrupted, capsys):
    run_dir = interrupted()
    mark = run_dir / "trainer" / "checkpoint-4" / resuming.MARK
    mark.write_text(json.dumps(json.loads(mark.read_text()) | {"micro_batch": 4}))
    assert PROGRAMS["sft"].run(run_dir).resumed_at is None
    assert "with 4 in memory at once, now there are 2" in capsys.readouterr().out


def test_the_progress_counts_on_from_the_checkpoint(interrupted, monkeypatch):
    run_dir = interrupted()
    seen = []
    update = trainers.Progress.update
    monkeypatch.setattr(
        trainers.Progress, "update", lambda self, *args, **kwargs: seen.append(args) or update(self, *args, **kwargs)
    )
    PROGRAMS["sft"].run(run_dir)
    assert [args[0] for args in seen if args] == [4, 5, 6]
    assert (read_progress(run_dir)["done"], read_progress(run_dir)["total"]) == (6, 6)


def test_only_the_newest_checkpoint_is_kept_and_nothing_in_it_is_a_pickle_that_could_run(interrupted):
    run_dir = interrupted()
    (path,) = (run_dir / "trainer").glob("checkpoint-*")
    assert path.name == "checkpoint-4"
    assert not (path / "training_args.bin").exists()
    for pickled in [*path.glob("*.pt"), *path.glob("*.pth")]:
        with torch.serialization.safe_globals(_numpy_state()):
            torch.load(pickled, weights_only=True)


def test_a_checkpoint_that_holds_a_pickle_is_not_run(interrupted, tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "run by the pickle"),)

    run_dir = interrupted()
    path = run_dir / "trainer" / "checkpoint-4"
    torch.save({"state": Evil()}, path / "optimizer.pt")
    (path / "training_args.bin").write_bytes(pickle.dumps(Evil()))
    mark = json.loads((path / resuming.MARK).read_text())
    mark["sizes"]["optimizer.pt"] = (path / "optimizer.pt").stat().st_size
    (path / resuming.MARK).write_text(json.dumps(mark))
    with pytest.raises(pickle.UnpicklingError):
        PROGRAMS["sft"].run(run_dir)
    assert not (tmp_path / "run by the pickle").exists()


def test_a_finished_stage_leaves_no_checkpoint_behind(tmp_path, policy):
    run_dir = training_dir(tmp_path, "sft", policy, checkpoint_steps=2)
    PROGRAMS["sft"].run(run_dir)
    assert not (run_dir / "trainer").exists()


def test_what_was_stopped_while_it_measured_trains_nothing_again(tmp_path, policy, monkeypatch):
    run_dir = training_dir(tmp_path, "reward_model", policy)
    module = PROGRAMS["reward_model"]
    with monkeypatch.context() as patch:
        patch.setattr(module, "Scorer", lambda *args, **kwargs: (_ for _ in ()).throw(Interrupted))
        with pytest.raises(Interrupted):
            module.run(run_dir)
    before, trained = weights_hash(run_dir), curve(run_dir)
    monkeypatch.setattr(module, "make_trainer", lambda *args: pytest.fail("it trains again"))
    result = module.run(run_dir)
    assert result.steps == STEPS
    assert result.final_loss == pytest.approx(trained[-1]["loss"])
    assert (weights_hash(run_dir), curve(run_dir)) == (before, trained)
    assert read_provenance(run_dir)["micro_batch"] == 2  # what it was trained with is not forgotten


def test_what_is_finished_and_told_something_else_is_trained_again(tmp_path, policy):
    run_dir = training_dir(tmp_path, "sft", policy)
    PROGRAMS["sft"].run(run_dir)
    before = weights_hash(run_dir)
    write_stage(run_dir, read_stage(run_dir) | {"seed": 18})
    PROGRAMS["sft"].run(run_dir)
    assert weights_hash(run_dir) != before
    assert len(read_metrics(run_dir)) == STEPS


def test_the_logs_are_cut_back_to_the_checkpoints_step(tmp_path):
    write_lines(tmp_path / "metrics.jsonl", [{"step": i, "loss": 0.5} for i in (1, 2, 3)])
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "lo')  # torn by the kill
    write_lines(tmp_path / "probes.jsonl", [{"step": i, "index": 0} for i in (0, 2, 3)])
    cut_back(tmp_path, 2)
    assert [row["step"] for row in read_metrics(tmp_path)] == [1, 2]
    assert (tmp_path / "metrics.jsonl").read_text().endswith("}\n")
    assert [row["step"] for row in resuming.read_json_lines(tmp_path / "probes.jsonl")] == [0, 2]


def test_a_clock_asks_for_checkpoints(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(resuming.time, "monotonic", lambda: now[0])
    callback = resuming.Checkpoints(identity={}, together=1, minutes=5, steps=0, say=lambda phase: None)
    callback.on_train_begin(None, None, None)
    asked = []
    for step, minutes in enumerate([1, 4.9, 5.0, 6.0], start=1):
        now[0] = 60 * minutes
        asked.append(callback._is_due(step))
    assert asked == [False, False, True, True]  # until one was saved


def test_neither_a_clock_nor_steps_ask_where_both_are_nought(monkeypatch):
    monkeypatch.setattr(resuming.time, "monotonic", lambda: 1e9)
    callback = resuming.Checkpoints(identity={}, together=1, minutes=0, steps=0, say=lambda phase: None)
    assert not any(callback._is_due(step) for step in range(1, 10))


def test_a_full_disk_costs_the_checkpoint_and_not_the_stage(tmp_path, policy, monkeypatch, capsys):
    monkeypatch.setattr(resuming.shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    run_dir = training_dir(tmp_path, "sft", policy, checkpoint_steps=4)
    assert PROGRAMS["sft"].run(run_dir).steps == STEPS
    assert re.search(r"No checkpoint at step 4: it takes [\d,]+ bytes, and 1,000 are free", capsys.readouterr().out)


def test_a_checkpoint_takes_the_weights_and_two_numbers_for_each_that_trains():
    # Four weights and a bias, 4 bytes each; the bias does not train: 5 * 4 + 2 * 4 * 4 = 52.
    model = torch.nn.Linear(4, 1)
    model.bias.requires_grad_(False)
    assert resuming.bytes_of_checkpoint(model) == 52


def test_tensorboard_is_told_from_which_step_the_curve_comes_again(interrupted):
    run_dir = interrupted()
    PROGRAMS["sft"].run(run_dir)
    first, second = sorted((run_dir / "tensorboard").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    # As TensorBoard reads it: whatever an earlier file says of this step and later ones is hidden.
    assert [event.step for event in events_in(second) if event.session_log.status == SessionLog.START] == [5]
    assert not [event for event in events_in(first) if event.session_log.status == SessionLog.START]


def test_a_reader_that_is_not_to_tidy_removes_nothing(interrupted):
    run_dir = interrupted()
    assert newest(run_dir, {"another": "stage"}, tidy=False) is None
    assert checkpoints(run_dir) == ["checkpoint-4"]


def _numpy_state():
    """What numpy's random state is made of; transformers allows the same."""
    import numpy as np

    return [np._core.multiarray._reconstruct, np.ndarray, np.dtype, type(np.dtype(np.uint32))]


def test_weights_may_be_read_by_whoever_may_read_any_new_file(tmp_path):
    (tmp_path / "config.json").touch()
    (tmp_path / "model.safetensors").touch(mode=0o600)
    resuming.let_others_read(tmp_path)
    assert (tmp_path / "model.safetensors").stat().st_mode == (tmp_path / "config.json").stat().st_mode
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "model.safetensors"}
