"""Sampling runs from the request to the last completion, with a fake engine as a real process at the edge."""

import json
import shutil
import threading
import time
import uuid
from contextlib import contextmanager

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, OperationalError, connection, transaction

from sampling import actions, execution, tasks
from sampling.actions import NothingToSample
from sampling.lifecycle import StaleState
from sampling.long_tasks import TaskState
from sampling.models import Completion, PromptSet, SamplingRun
from tests.sampling.conftest import make_checkpoint, make_prompts


@pytest.fixture
def announced(monkeypatch):
    """The ids of the runs whose message was sent."""
    sent = []
    monkeypatch.setattr(tasks.run_sampling, "delay", sent.append)
    return sent


def new_run(prompt_set, *policies, **changes) -> SamplingRun:
    changes = {"n": 2, "max_tokens": 16, "enqueue": False} | changes
    return actions.create_sampling_run(prompt_set=prompt_set, policies=policies, **changes)


def keys(run: SamplingRun) -> list[tuple[int, int, int]]:
    return sorted(Completion.objects.filter(run=run).values_list("model_version_id", "prompt_id", "index"))


def lines(run: SamplingRun, policy) -> list[str]:
    return (run.run_dir / str(policy.pk) / "completions.jsonl").read_text().splitlines()


# --- creating -----------------------------------------------------------------------------------------------


def test_a_new_run_is_queued_and_announced(prompt_set, policy, alice, announced, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        run = new_run(prompt_set, policy, created_by=alice, enqueue=True)

    assert run.state == TaskState.QUEUED
    assert run.total == 4 * 2
    assert run.name == "everyday, smollm2"
    assert announced == [run.pk]


def test_one_request_key_makes_one_run(prompt_set, policy, announced, django_capture_on_commit_callbacks):
    key = uuid.uuid4()
    with django_capture_on_commit_callbacks(execute=True):
        first = new_run(prompt_set, policy, request_key=key, enqueue=True)
        second = new_run(prompt_set, policy, request_key=key, enqueue=True)
    assert first == second
    assert SamplingRun.objects.count() == 1
    assert announced == [first.pk]


def test_a_run_without_policy_is_refused(prompt_set):
    with pytest.raises(NothingToSample, match="No policy was chosen"):
        new_run(prompt_set)


def test_a_run_from_a_reward_model_is_refused(prompt_set, tmp_path):
    reward = actions.register_model(name="rm", location=str(make_checkpoint(tmp_path / "rm")), role="reward")
    with pytest.raises(NothingToSample, match='"rm" is a reward model and cannot write'):
        new_run(prompt_set, reward)


def test_a_run_without_prompts_is_refused(policy):
    empty = PromptSet.objects.create(name="empty")
    make_prompts(empty, "Only train")
    with pytest.raises(NothingToSample, match="no prompt in the eval split"):
        new_run(empty, policy, split="eval")


def test_a_value_out_of_range_is_refused(prompt_set, policy):
    with pytest.raises(ValidationError, match="less than or equal to 64"):
        new_run(prompt_set, policy, n=65)


# --- executing ----------------------------------------------------------------------------------------------


def test_a_run_ends_with_every_completion(prompt_set, policy, fake_engine):
    seen = []
    run = new_run(prompt_set, policy, seed=5)

    actions.execute_sampling_run(run=run, on_progress=lambda *now: seen.append(now))

    assert run.state == TaskState.FINISHED, run.failure
    assert (run.done, run.total, run.tokens_per_second) == (8, 8, 12.0)  # 8 completions of 3 tokens in 2 s
    assert len(keys(run)) == 8
    assert seen[-1][:2] == (8, 8)
    stage = json.loads((run.run_dir / str(policy.pk) / "stage.json").read_text())
    assert stage["model"] == policy.location
    assert (stage["n"], stage["seed"], stage["max_tokens"], stage["urls"]) == (2, 5, 16, [])
    # The longest line is 98 bytes; with 256 for the template and 16 to write that is 370, rounded up to 512.
    assert stage["max_model_len"] == 512


def test_a_nul_that_a_model_wrote_is_replaced(prompt_set, policy, fake_engine):
    run = actions.execute_sampling_run(run=new_run(prompt_set, policy))
    assert all(completion.text.endswith("\N{REPLACEMENT CHARACTER}") for completion in run.completions.all())


def test_several_policies_answer_the_same_prompts(prompt_set, policy, tmp_path, fake_engine):
    other = actions.register_model(name="other", location=str(make_checkpoint(tmp_path / "b", weights=b"b")))
    run = actions.execute_sampling_run(run=new_run(prompt_set, policy, other, split="eval"))

    assert run.state == TaskState.FINISHED, run.failure
    prompt = prompt_set.prompts.get(split="eval")
    assert keys(run) == [(model.pk, prompt.pk, index) for model in (policy, other) for index in (0, 1)]


def test_endpoints_from_the_settings_reach_the_program(prompt_set, policy, fake_engine, settings):
    settings.VLLM_URLS = ["http://127.0.0.1:9000"]
    run = actions.execute_sampling_run(run=new_run(prompt_set, policy))
    stage = json.loads((run.run_dir / str(policy.pk) / "stage.json").read_text())
    assert stage["urls"] == ["http://127.0.0.1:9000"]


def test_a_program_that_dies_midway_fails_the_run_and_a_retry_goes_on(prompt_set, policy, fake_engine):
    fake_engine("--die-after", "5")
    run = actions.execute_sampling_run(run=new_run(prompt_set, policy))
    assert run.state == TaskState.FAILED
    assert "kill" in run.failure.lower()
    assert run.done == 5
    before = list(run.completions.values_list("pk", flat=True))

    fake_engine()
    actions.retry(run=run, enqueue=False)
    actions.execute_sampling_run(run=run)

    assert run.state == TaskState.FINISHED, run.failure
    assert run.failure == ""
    assert len(keys(run)) == len(set(keys(run))) == 8
    assert set(before) <= set(run.completions.values_list("pk", flat=True)), "a completion was lost"
    assert len(lines(run, policy)) == 8, "a completion was sampled twice"


def test_what_the_program_said_is_the_failure(prompt_set, policy, fake_engine):
    fake_engine("--refuse", "Out of memory. Use a smaller model.")
    run = actions.execute_sampling_run(run=new_run(prompt_set, policy))
    assert (run.state, run.failure) == (TaskState.FAILED, "Out of memory. Use a smaller model.")


def test_a_missing_model_fails_the_run_before_any_engine_starts(prompt_set, policy, tmp_path, fake_engine):
    other = actions.register_model(name="gone", location=str(make_checkpoint(tmp_path / "gone")))
    shutil.rmtree(tmp_path / "gone")
    run = actions.execute_sampling_run(run=new_run(prompt_set, policy, other))

    assert run.state == TaskState.FAILED
    assert 'Model "gone" cannot be used: There is no directory' in run.failure
    assert "Put its files back" in run.failure
    assert not (run.run_dir / str(policy.pk) / "output.log").exists()


def test_prompts_that_do_not_fit_are_left_out_and_named(prompt_set, policy, fake_engine):
    fake_engine("--skip-first")
    run = actions.execute_sampling_run(run=new_run(prompt_set, policy))
    assert run.state == TaskState.FINISHED, run.failure
    assert (run.done, run.total) == (6, 6)
    first = prompt_set.prompts.first()
    assert run.skipped == [{"prompt_id": str(first.pk), "reason": "too long", "model": "smollm2"}]


def test_a_program_that_forgets_completions_does_not_count_as_finished(prompt_set, policy, fake_engine):
    fake_engine("--forget-last")
    run = actions.execute_sampling_run(run=new_run(prompt_set, policy))
    assert run.state == TaskState.FAILED
    assert "1 of 8 completions are missing" in run.failure


def test_prompts_imported_later_are_not_this_runs(prompt_set, policy, fake_engine):
    fake_engine("--die-after", "5")
    run = actions.execute_sampling_run(run=new_run(prompt_set, policy))
    make_prompts(prompt_set, "A later one")
    fake_engine()
    actions.retry(run=run, enqueue=False)
    assert actions.execute_sampling_run(run=run).done == 8


def test_a_full_disk_is_said_in_words(prompt_set, policy, fake_engine, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device", "prompts.new")

    monkeypatch.setattr("sampling.execution._write_prompts", full)
    run = actions.execute_sampling_run(run=new_run(prompt_set, policy))
    assert run.state == TaskState.FAILED
    assert "The disk is full" in run.failure


def test_ctrl_c_cancels_and_keeps_what_is_there(prompt_set, policy, fake_engine, quick_heart):
    fake_engine("--hang")
    run = new_run(prompt_set, policy)

    def interrupt(done, total, phase):
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        actions.execute_sampling_run(run=run, on_progress=interrupt)

    run.refresh_from_db()
    assert (run.state, run.done) == (TaskState.CANCELLED, 1)


def test_a_run_that_another_worker_holds_is_left_alone(prompt_set, policy, fake_engine):
    run = new_run(prompt_set, policy)
    SamplingRun.objects.get(pk=run.pk).take()
    with pytest.raises(StaleState):
        actions.execute_sampling_run(run=run)
    tasks.run_sampling(run.pk)  # the message that came twice
    assert not Completion.objects.exists()


def test_a_worker_that_ends_hands_its_run_back_and_the_next_one_goes_on(
    prompt_set, policy, fake_engine, quick_heart, worker_stopping
):
    fake_engine("--hang")
    run = new_run(prompt_set, policy)

    actions.execute_sampling_run(run=run, on_progress=lambda done, total, phase: done and worker_stopping.set())

    assert (run.state, run.attempt, run.failure) == (TaskState.QUEUED, 0, "")
    assert Completion.objects.count() == 1
    actions.execute_sampling_run(run=run)  # another message for the worker that ends
    assert run.attempt == 0

    worker_stopping.clear()
    fake_engine()
    actions.execute_sampling_run(run=run)
    assert (run.state, run.attempt, len(keys(run))) == (TaskState.FINISHED, 1, 8)


class DiskFull(Exception):
    sqlstate = "53100"  # as psycopg.errors.DiskFull has it


def no_room(*args, **kwargs):
    raise OperationalError("could not extend file") from DiskFull()


def test_a_full_disk_under_the_database_is_said_in_words(prompt_set, policy, fake_engine, monkeypatch):
    monkeypatch.setattr("sampling.completion_intake.CompletionIntake.take_new", no_room)
    run = actions.execute_sampling_run(run=new_run(prompt_set, policy))
    assert (run.state, run.failure) == (TaskState.FAILED, "The database's disk is full. Free space, then retry.")


def test_where_not_even_the_failure_can_be_stored_the_log_says_it(prompt_set, policy, fake_engine, monkeypatch, caplog):
    monkeypatch.setattr("sampling.completion_intake.CompletionIntake.take_new", no_room)
    run = new_run(prompt_set, policy)
    monkeypatch.setattr(SamplingRun, "end", no_room)
    with pytest.raises(OperationalError):
        actions.execute_sampling_run(run=run)
    assert "The database's disk is full. Free space, then retry." in caplog.text


def test_inputs_are_written_with_signs_of_life(prompt_set, policy, fake_engine, monkeypatch):
    alive = []

    @contextmanager
    def kept_alive(run):
        alive.append("begin")
        yield
        alive.append("end")

    monkeypatch.setattr("sampling.execution.kept_alive", kept_alive)
    write = execution._write_prompts
    monkeypatch.setattr("sampling.execution._write_prompts", lambda *args: alive.append("write") or write(*args))
    actions.execute_sampling_run(run=new_run(prompt_set, policy))
    assert alive == ["begin", "write", "end", "begin", "end"]  # the inputs, and what the table has of them


# --- cancelling, losing the claim, losing the database -------------------------------------------------------


def until(condition, *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


class InThread(threading.Thread):
    """Executes a run in a worker's place; closes its database connection at the end."""

    def __init__(self, run: SamplingRun) -> None:
        super().__init__()
        self.run_id = run.pk
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            actions.execute_sampling_run(run=SamplingRun.objects.get(pk=self.run_id))
        except BaseException as error:
            self.error = error
        finally:
            connection.close()


@pytest.mark.django_db(transaction=True)
def test_cancel_stops_the_program_and_keeps_what_is_there(prompt_set, policy, fake_engine, quick_heart):
    fake_engine("--hang")
    run = new_run(prompt_set, policy)
    worker = InThread(run)
    until(Completion.objects.exists)

    started = time.monotonic()
    actions.cancel(run=run)
    worker.join(20)

    assert time.monotonic() - started < 15
    assert worker.error is None
    run.refresh_from_db()
    assert (run.state, run.done) == (TaskState.CANCELLED, 1)


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_lost_its_claim_stops_and_writes_nothing(prompt_set, policy, fake_engine, quick_heart):
    fake_engine("--hang")
    run = new_run(prompt_set, policy)
    worker = InThread(run)
    until(Completion.objects.exists)

    run.refresh_from_db()
    run.put_back()
    run.take()  # somebody else's now
    worker.join(20)

    assert worker.error is None
    mine = run.claim
    run.refresh_from_db()
    assert (run.state, run.claim) == (TaskState.RUNNING, mine)


def cut_other_connections() -> bool:
    """Cut every connection but this one, wherever it is in its work; whether there was any."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        return bool(cursor.fetchall())


@pytest.mark.django_db(transaction=True)
def test_a_run_outlives_a_database_restart(prompt_set, policy, fake_engine, quick_heart):
    fake_engine("--slow", "0.3")
    run = new_run(prompt_set, policy)
    worker = InThread(run)
    until(Completion.objects.exists)

    for _ in range(2):  # as at a restart; again as soon as the worker is connected again
        until(cut_other_connections)
    worker.join(30)

    assert worker.error is None
    run.refresh_from_db()
    assert run.state == TaskState.FINISHED, run.failure
    assert len(keys(run)) == 8


# --- cancel and retry as states -------------------------------------------------------------------------------


def test_a_queued_run_is_cancelled_at_once(prompt_set, policy):
    run = actions.cancel(run=new_run(prompt_set, policy))
    assert run.state == TaskState.CANCELLED


def test_a_retry_is_announced(prompt_set, policy, announced, django_capture_on_commit_callbacks):
    run = actions.cancel(run=new_run(prompt_set, policy))
    with django_capture_on_commit_callbacks(execute=True):
        actions.retry(run=run)
    assert run.state == TaskState.QUEUED
    assert announced == [run.pk]


def test_a_queued_run_cannot_be_retried(prompt_set, policy):
    with pytest.raises(StaleState, match='cannot become "queued"'):
        actions.retry(run=new_run(prompt_set, policy))


def test_the_database_refuses_a_completion_twice(prompt_set, policy):
    run = new_run(prompt_set, policy)
    row = {"run": run, "prompt": prompt_set.prompts.first(), "model_version": policy, "index": 0, "tokens": 1}
    Completion.objects.create(**row)
    with pytest.raises(IntegrityError, match="one_completion_per_run_model_prompt_and_index"), transaction.atomic():
        Completion.objects.create(**row)
