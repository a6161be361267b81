"""Progress and the rows of metrics."""

from types import SimpleNamespace

import pytest

from sampling.engine.run_dir import RunDirError, read_metrics, read_progress
from tests.training.pipeline.stages import PROGRAMS, training_dir
from training.pipeline.reporting import Reporter, final_loss, memory_gb
from training.pipeline.trainers import Stage


@pytest.fixture
def stage(tmp_path, policy):
    return Stage.start(training_dir(tmp_path, "dpo", policy))


def at(step, steps=4):
    return SimpleNamespace(is_world_process_zero=True, global_step=step, max_steps=steps)


def log(reporter, step, **logs):
    reporter.on_log(None, at(step), None, logs=logs)
    return logs


def test_the_metrics_hold_each_step_once_without_the_last_log_that_repeats_it(stage):
    reporter = Reporter(stage)
    log(reporter, 1, loss="0.7", learning_rate=1e-5, epoch=0.5)
    log(reporter, 2, loss=0.6, learning_rate=1e-6, epoch=1.0)
    log(reporter, 2, train_runtime=3.0, train_loss=0.65, epoch=1.0)
    rows = read_metrics(stage.run_dir)
    assert [row.pop("memory_gb") > 0.01 for row in rows] == [True, True]
    assert rows == [
        {"step": 1, "loss": 0.7, "learning_rate": 1e-5},
        {"step": 2, "loss": 0.6, "learning_rate": 1e-6},
    ]
    assert stage.losses == [0.7, 0.6]


def test_what_comes_after_the_reporter_is_shown_its_figures_too(stage):
    reporter = Reporter(stage)
    reporter.found = {"kl": 0.5}
    assert log(reporter, 1, loss=0.7)["kl"] == 0.5
    assert "kl" not in log(reporter, 2, loss=0.7)  # found once, told once


def test_the_rate_is_that_of_the_step_alone(stage, monkeypatch):
    now = [10.0]
    monkeypatch.setattr("training.pipeline.reporting.time.monotonic", lambda: now[0])
    reporter = Reporter(stage)
    told = []
    for step, tokens in ((1, 300), (2, 400)):
        reporter.on_step_begin(None, at(step), None)
        now[0] += 2.0
        reporter.on_step_end(None, at(step), None)
        now[0] += 50.0
        told.append(log(reporter, step, loss=0.7, num_tokens=tokens)["tokens_per_second"])
    # 300 tokens in two seconds, then 100 more; probing and saving come after it.
    assert told == [150, 50]


def test_a_stage_that_goes_on_counts_no_token_of_before_into_its_first_rate(stage, monkeypatch):
    now = [10.0]
    monkeypatch.setattr("training.pipeline.reporting.time.monotonic", lambda: now[0])
    reporter = Reporter(stage, tokens=1000)
    reporter.on_step_begin(None, at(4), None)
    now[0] = 12.0
    reporter.on_step_end(None, at(4), None)
    assert log(reporter, 4, loss=0.7, num_tokens=1300)["tokens_per_second"] == 150


def test_the_progress_counts_steps(stage):
    reporter = Reporter(stage)
    reporter.on_train_begin(None, at(0), None)
    reporter.on_step_begin(None, at(4), None)
    reporter.on_step_end(None, at(4), None)
    seen = read_progress(stage.run_dir)
    assert (seen["done"], seen["total"], seen["unit"], seen["phase"]) == (4, 4, "steps", "training")


def test_the_final_loss_is_the_mean_of_the_last_fifth():
    # Of ten steps the last two: (0.2 + 0.4) / 2.
    assert final_loss([0.7] * 8 + [0.2, 0.4]) == pytest.approx(0.3)
    assert final_loss([0.7]) == 0.7


def test_a_loss_that_is_no_number_ends_the_stage_with_the_remedy_and_is_on_record(stage):
    with pytest.raises(RunDirError, match=r"loss of step 7 is not a number.*Lower learning_rate"):
        log(Reporter(stage), 7, loss=float("nan"))
    (row,) = read_metrics(stage.run_dir)
    assert (row["step"], row["loss"]) == (7, None)


def test_a_stage_that_diverges_says_so(tmp_path, policy, monkeypatch):
    monkeypatch.setattr("trl.SFTTrainer.compute_loss", lambda self, model, inputs, **_: _nought(model) * float("inf"))
    run_dir = training_dir(tmp_path, "sft", policy)
    with pytest.raises(RunDirError, match="loss of step 1 is not a number"):
        PROGRAMS["sft"].run(run_dir)


def _nought(model):
    return sum(weight.sum() for weight in model.parameters()) * 0


def test_memory_is_told_in_gigabytes():
    assert 0.01 < memory_gb() < 1000


@pytest.mark.parametrize("kind", PROGRAMS)
def test_every_step_tells_memory_rate_and_for_pairs_the_lengths_of_both_sides(tmp_path, policy, kind):
    run_dir = training_dir(tmp_path, kind, policy)
    PROGRAMS[kind].run(run_dir)
    rows = read_metrics(run_dir)
    assert len(rows) == 6
    for row in rows:
        assert row["memory_gb"] > 0
        assert row["tokens_per_second"] > 0
        assert ("chosen_tokens" in row) is ("rejected_tokens" in row) is (kind in ("dpo", "reward_model"))
    if kind in ("dpo", "reward_model"):
        # Nothing is counted twice: an epoch of three steps is as many tokens as the next one.
        counted = [row["num_tokens"] for row in rows]
        assert counted[5] == 2 * counted[2]
        assert [row["pairs"] for row in rows] == [4.0] * 6
    if kind == "dpo":
        # "no no no", the end and a line break: one token a letter makes 8 and 2.
        assert {row["rejected_tokens"] for row in rows} == {10}
