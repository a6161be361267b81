"""Executing a round with fake stages: real child programs that keep the run directory's contract."""

import json
import threading
import time
from contextlib import contextmanager

import pytest
from django.db import OperationalError, connection

from sampling.long_tasks import TaskState
from sampling.models import ModelRole, ModelVersion
from tests.training.rounds import ALL_STAGES, RECIPE, make_demonstrations, make_snapshot, order, told
from training import actions
from training.models import StageState, TrainingRound
from training.running import execution

pytestmark = pytest.mark.django_db


def stage_of(round, kind):
    return round.stages.get(kind=kind)


def inputs_of(round, kind):
    return json.loads((stage_of(round, kind).run_dir / "stage.json").read_text())["inputs"]


def test_a_round_runs_its_stages_once_and_in_order_and_finishes(round):
    actions.execute_round(round=round)
    assert (round.state, round.failure) == (TaskState.FINISHED, "")
    assert told(round, "started") == told(round, "ended") == ALL_STAGES
    assert {stage.state for stage in round.stages.all()} == {StageState.FINISHED}
    assert stage_of(round, "dpo").result["final_loss"] == 0.41
    assert all(stage.seconds is not None for stage in round.stages.all())


def test_each_stage_reads_what_an_earlier_one_wrote(round, policy, settings):
    actions.execute_round(round=round)

    def inputs(kind):
        return inputs_of(round, kind)

    def left_by(kind, name="checkpoint"):
        return str(stage_of(round, kind).run_dir / name)

    data, caches = round.run_dir / "data", str(settings.VAR_DIR / "caches")
    train, held_out = str(data / "all" / "train.jsonl"), str(data / "all" / "eval.jsonl")
    assert inputs("check") == {
        "policy": policy.location,
        "demonstrations": "",
        "held_out_demonstrations": "",
        "pairs": {"all": str(data / "all")},
        "prompts_train": str(data / "prompts_train.jsonl"),
        "held_out_prompts": str(data / "held_out_prompts.jsonl"),
        "prompts_eval": str(data / "prompts_eval.jsonl"),
    }
    assert inputs("reward_model") == {
        "policy": policy.location, "pairs_train": train, "pairs_eval": held_out, "rivals": [], "caches": caches,
    }  # fmt: skip
    assert inputs("judge_model") == {
        "policy": policy.location, "pairs_train": held_out, "pairs_eval": train, "rivals": [],
    }  # fmt: skip
    assert inputs("rejection_sampling")["reward"] == left_by("reward_model")
    assert inputs("rejection_sampling")["prompts"] == str(data / "prompts_train.jsonl")
    assert inputs("sft") == {"policy": policy.location, "rows": left_by("rejection_sampling", "kept.jsonl")}
    assert inputs("dpo") == {"policy": left_by("sft"), "pairs_train": train, "caches": caches}
    assert inputs("evaluate") == {
        "policy_new": left_by("dpo"),
        "policy_old": policy.location,
        "policy_base": policy.location,
        "policy_published": policy.location,
        "reward": left_by("judge_model"),
        "reward_selector": left_by("reward_model"),
        "prompts": str(data / "prompts_eval.jsonl"),
        "names": {"new": "r1-dpo", "old": "base", "base": "base", "published": "base"},
        "earlier": [],
        "caches": caches,
    }
    assert inputs("harness") == {"policy_new": left_by("dpo"), "policy_old": policy.location, "caches": caches}


def test_a_round_of_a_schedule_reads_what_the_rounds_before_it_left(round, policy):
    first = actions.execute_round(round=round)
    second = actions.launch_round(
        name="r2", base_policy=first.policy, snapshot=make_snapshot("july"), recipe=RECIPE, previous=first,
        changes={"rejection_sampling": {"pool": "all_rounds"}, "sft": {"start_from": "base"}}, enqueue=False,
    )  # fmt: skip
    actions.execute_round(round=second)
    assert second.failure == ""
    assert inputs_of(second, "reward_model")["rivals"] == [str(stage_of(first, "reward_model").run_dir / "checkpoint")]
    assert inputs_of(second, "rejection_sampling")["pool"] == [str(second.run_dir / "data" / "pool" / "0001.jsonl")]
    assert inputs_of(second, "rejection_sampling")["policy"] == first.policy.location
    assert inputs_of(second, "sft")["policy"] == policy.location
    assert inputs_of(second, "evaluate")["policy_base"] == policy.location
    assert inputs_of(second, "evaluate")["earlier"] == [str(stage_of(first, "evaluate").run_dir / "judged.jsonl")]
    assert stage_of(second, "sft").model_version.parent == policy


def test_a_round_with_demonstrations_learns_from_them_first(policy, snapshot, fake_stages, tmp_path):
    learned = {"method": "full", "learning_rate": 1e-4, "epochs": 1, "batch": 4, "max_length": 64, "least_rows": 1}
    round = actions.launch_round(
        name="r1", base_policy=policy, snapshot=snapshot, recipe=RECIPE, changes={"demonstrations": learned},
        demonstrations=make_demonstrations(tmp_path / "set.jsonl", "How?"), enqueue=False,
    )  # fmt: skip
    actions.execute_round(round=round)
    assert round.failure == ""
    assert told(round, "ended") == ["check", "demonstrations", *ALL_STAGES[1:]]
    made = stage_of(round, "demonstrations").model_version
    assert inputs_of(round, "rejection_sampling")["policy"] == made.location
    assert stage_of(round, "sft").model_version.parent == made


def test_checkpoints_become_model_versions_with_their_parents(round, policy):
    actions.execute_round(round=round)
    reward, sft, dpo = (ModelVersion.objects.get(name=f"r1-{end}") for end in ("reward", "sft", "dpo"))
    assert (reward.role, reward.parent) == (ModelRole.REWARD, policy)
    assert (sft.role, sft.parent) == (ModelRole.POLICY, policy)
    assert (dpo.role, dpo.parent) == (ModelRole.POLICY, sft)
    assert dpo.stage.round == round
    assert round.policy == dpo
    assert len({reward.content_hash, sft.content_hash, dpo.content_hash, policy.content_hash}) == 4


def test_a_policy_that_passes_the_gate_is_published_and_no_other(round):
    actions.execute_round(round=round)
    assert round.gate_report["passed"]
    assert round.policy.published_at is not None
    assert ModelVersion.objects.get(name="r1-sft").published_at is None


def test_a_policy_that_fails_the_gate_stays_unpublished_and_the_round_says_why(round):
    round.recipe["gate"]["min_win_rate_low"] = 0.65  # the fake evaluation ends with a lower bound of 0.6
    round.save(update_fields=["recipe"])
    actions.execute_round(round=round)
    assert round.state == TaskState.FINISHED
    assert round.policy.published_at is None
    assert "0.600, and must be > 0.65" in round.gate_report["reason"]


def test_a_failed_stage_fails_the_round_in_words(round):
    order(round, sft="fail")
    actions.execute_round(round=round)
    assert round.state == TaskState.FAILED
    assert round.failure == "SFT on what was kept failed: It has 3 rows; it needs 16. Add rows."
    assert stage_of(round, "sft").state == StageState.FAILED
    assert stage_of(round, "dpo").state == StageState.PENDING
    assert not ModelVersion.objects.filter(name="r1-sft").exists()


def test_a_retry_goes_on_at_the_stage_that_failed(round):
    order(round, sft="fail")
    actions.execute_round(round=round)
    order(round)
    actions.retry_round(round=round)
    actions.execute_round(round=round)
    assert round.state == TaskState.FINISHED
    assert told(round, "started") == [*ALL_STAGES[:5], "sft", *ALL_STAGES[5:]]
    assert told(round, "ended") == ALL_STAGES
    assert stage_of(round, "sft").attempts == 2
    assert stage_of(round, "sft").failure == ""


def test_a_program_that_dies_without_a_word_is_reported_all_the_same(round):
    order(round, reward_model="crash")
    actions.execute_round(round=round)
    assert round.state == TaskState.FAILED
    assert "reward model failed: " in round.failure
    assert "stage reward_model begins" in round.failure  # the log's last lines


def test_a_round_that_another_worker_has_is_left_alone(round):
    TrainingRound.objects.get(pk=round.pk).take()
    actions.execute_round(round=round)
    assert told(round, "started") == []


def test_a_result_that_no_worker_saw_is_kept_and_its_stage_not_run_again(round):
    actions.execute_round(round=round)
    # As if the worker had been killed after the program's end and before its row was written.
    round.stages.filter(kind="dpo").update(state=StageState.RUNNING, result=None, model_version=None)
    TrainingRound.objects.filter(pk=round.pk).update(state=TaskState.QUEUED, policy=None)
    round.refresh_from_db()
    actions.execute_round(round=round)
    assert round.state == TaskState.FINISHED
    assert told(round, "started") == ALL_STAGES
    assert stage_of(round, "dpo").model_version.name == "r1-dpo"


def test_a_result_for_another_seed_is_not_taken_for_this_ones(round):
    actions.execute_round(round=round)
    round.stages.filter(kind="evaluate").update(state=StageState.RUNNING, result=None)
    TrainingRound.objects.filter(pk=round.pk).update(state=TaskState.QUEUED, seed=18)
    round.refresh_from_db()
    actions.execute_round(round=round)
    assert told(round, "started") == [*ALL_STAGES, "evaluate"]


def test_a_base_policy_that_is_gone_fails_the_round_before_any_program_starts(round, policy):
    ModelVersion.objects.filter(pk=policy.pk).update(location="/nowhere/at/all")
    actions.execute_round(round=TrainingRound.objects.get(pk=round.pk))
    round.refresh_from_db()
    assert round.state == TaskState.FAILED
    assert "/nowhere/at/all" in round.failure
    assert told(round, "started") == []


@pytest.mark.django_db(transaction=True)
def test_a_cancelled_round_stops_its_program_and_keeps_what_is_finished(round):
    order(round, rejection_sampling="hang")
    worker = _in_thread(round)
    _until(lambda: told(round, "started") == ALL_STAGES[:4])
    actions.cancel_round(round=TrainingRound.objects.get(pk=round.pk))
    worker.join(timeout=20)
    round.refresh_from_db()
    assert round.state == TaskState.CANCELLED
    states = [stage.state for stage in round.stages.order_by("position")]
    assert states == ["finished"] * 3 + ["cancelled"] + ["pending"] * 4
    order(round)
    actions.retry_round(round=round)
    actions.execute_round(round=round)
    assert round.state == TaskState.FINISHED
    assert told(round, "ended") == ALL_STAGES


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_lost_its_claim_stops_and_writes_nothing_more(round):
    order(round, reward_model="hang once")
    worker = _in_thread(round)
    _until(lambda: told(round, "started") == ALL_STAGES[:2])
    other = TrainingRound.objects.get(pk=round.pk)
    other.put_back()  # as the reaper does
    worker.join(timeout=20)
    other.refresh_from_db()
    assert other.state == TaskState.QUEUED
    actions.execute_round(round=other)
    assert other.state == TaskState.FINISHED
    assert told(round, "ended") == ALL_STAGES


def test_a_worker_that_ends_hands_its_round_back_and_the_next_one_goes_on(round, worker_stopping):
    order(round, sft="hang once")
    actions.execute_round(
        round=round, on_progress=lambda stage, progress: stage.kind == "sft" and progress and worker_stopping.set()
    )
    assert (round.state, round.attempt, round.failure) == (TaskState.QUEUED, 0, "")
    sft = stage_of(round, "sft")
    assert (sft.state, sft.attempts, sft.started_at) == (StageState.PENDING, 0, None)

    worker_stopping.clear()
    actions.execute_round(round=round)
    assert (round.state, round.attempt) == (TaskState.FINISHED, 1)
    assert told(round, "ended") == ALL_STAGES
    assert stage_of(round, "sft").attempts == 1


def test_a_worker_that_ends_while_it_hashes_runs_no_stage_twice(round, worker_stopping, monkeypatch):
    register = execution.register_model

    def asked_to_end(**asked):
        if asked["name"] == "r1-sft":
            worker_stopping.set()
        return register(**asked)

    with monkeypatch.context() as first:
        first.setattr(execution, "register_model", asked_to_end)
        actions.execute_round(round=round)
    assert (round.state, round.attempt) == (TaskState.QUEUED, 0)

    worker_stopping.clear()
    actions.execute_round(round=round)
    assert round.state == TaskState.FINISHED
    assert told(round, "started") == ALL_STAGES


def test_a_round_that_is_cancelled_while_its_worker_hashes_stops_there_and_keeps_what_was_trained(round, monkeypatch):
    register, seen = execution.register_model, threading.Event()

    @contextmanager
    def heart(_):  # the real one beats from a thread, which does not see this test's transaction
        yield seen

    def cancelled_meanwhile(**asked):
        if asked["name"] == "r1-sft":
            actions.cancel_round(round=TrainingRound.objects.get(pk=round.pk))
            seen.set()
        return register(**asked)

    with monkeypatch.context() as first:
        first.setattr(execution, "kept_alive", heart)
        first.setattr(execution, "register_model", cancelled_meanwhile)
        actions.execute_round(round=round)
    assert (round.state, stage_of(round, "sft").state) == (TaskState.CANCELLED, StageState.CANCELLED)

    actions.execute_round(round=actions.retry_round(round=round, enqueue=False))
    assert told(round, "started") == ALL_STAGES  # nothing was trained twice


def test_a_round_that_is_cancelled_while_its_data_is_written_stops_there_and_leaves_nothing_half(round, monkeypatch):
    seen, written = threading.Event(), execution.write_data

    @contextmanager
    def heart(_):
        yield seen

    def cancelled_meanwhile(**asked):
        actions.cancel_round(round=TrainingRound.objects.get(pk=round.pk))
        seen.set()
        return written(**asked)

    monkeypatch.setattr(execution, "kept_alive", heart)
    monkeypatch.setattr(execution, "write_data", cancelled_meanwhile)
    actions.execute_round(round=round)
    assert round.state == TaskState.CANCELLED
    assert told(round, "started") == []
    assert not list(round.run_dir.glob("*data*"))


def test_a_round_that_is_cancelled_once_its_last_stage_is_done_publishes_nothing(round, monkeypatch):
    finished = execution._stage_finished

    def cancelled_then(of_round, stage, result):
        finished(of_round, stage, result)
        if stage.kind == ALL_STAGES[-1]:
            actions.cancel_round(round=TrainingRound.objects.get(pk=round.pk))

    monkeypatch.setattr(execution, "_stage_finished", cancelled_then)
    actions.execute_round(round=round)
    assert (round.state, round.policy) == (TaskState.CANCELLED, None)
    assert not ModelVersion.objects.filter(name="r1-dpo", published_at__isnull=False).exists()


def test_a_full_disk_under_the_database_fails_the_round_in_words(round, monkeypatch):
    class DiskFull(Exception):
        sqlstate = "53100"  # as psycopg.errors.DiskFull has it

    def no_room(**_):
        raise OperationalError("could not extend file") from DiskFull()

    monkeypatch.setattr(execution, "write_data", no_room)
    actions.execute_round(round=round)
    assert (round.state, round.failure) == (TaskState.FAILED, "The database's disk is full. Free space, then retry.")


def test_a_full_disk_fails_the_round_with_the_remedy(round, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device", "train.jsonl")

    monkeypatch.setattr("annotation.datasets.exports.verified_comparisons", full)
    actions.execute_round(round=round)
    assert round.state == TaskState.FAILED
    assert "The disk is full" in round.failure
    assert not list(round.run_dir.glob(".data-*"))


def _in_thread(round) -> threading.Thread:
    def work():
        try:
            actions.execute_round(round=TrainingRound.objects.get(pk=round.pk))
        finally:
            connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    return worker


def _until(condition, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
