"""What happens to rows whose worker is gone, or whose message never came."""

import threading
import uuid
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from sampling import actions, tasks
from sampling.lifecycle import StaleState
from sampling.long_tasks import LOST_AFTER, MAX_ATTEMPTS, SEND_AGAIN_AFTER, TaskState, announce_waiting, reap
from sampling.models import SamplingRun


@pytest.fixture
def run(prompt_set, policy) -> SamplingRun:
    return actions.create_sampling_run(prompt_set=prompt_set, policies=[policy], enqueue=False)


def lose_worker(run: SamplingRun) -> None:
    SamplingRun.objects.filter(pk=run.pk).update(heartbeat_at=timezone.now() - LOST_AFTER - timedelta(seconds=1))


def reap_now() -> list[int]:
    """Reap once; the ids of the runs that were announced."""
    announced = []
    reap(SamplingRun, announce=lambda task: announced.append(task.pk))
    return announced


def test_a_run_whose_worker_was_lost_is_queued_again(run):
    run.take()
    lose_worker(run)

    assert reap_now() == [run.pk]

    run.refresh_from_db()
    assert (run.state, run.claim, run.attempt) == (TaskState.QUEUED, None, 1)


def test_a_run_that_gives_signs_of_life_is_left_alone(run):
    run.take()
    assert reap_now() == []
    run.refresh_from_db()
    assert run.state == TaskState.RUNNING


def test_after_the_last_attempt_the_run_fails_with_the_reason(run):
    for _ in range(MAX_ATTEMPTS - 1):
        run.take()
        lose_worker(run)
        assert reap_now() == [run.pk]
        run.refresh_from_db()
    run.take()
    lose_worker(run)

    assert reap_now() == []

    run.refresh_from_db()
    assert run.state == TaskState.FAILED
    assert "The worker was lost 3 times" in run.failure
    assert actions.retry(run=run, enqueue=False).attempt == 0


def test_a_run_that_was_being_cancelled_ends_as_cancelled(run):
    run.take()
    run.request_cancel()
    lose_worker(run)

    assert reap_now() == []

    run.refresh_from_db()
    assert run.state == TaskState.CANCELLED
    assert run.finished_at is not None


def test_a_worker_that_beats_while_it_is_being_reaped_keeps_its_run(run, monkeypatch):
    run.take()
    lose_worker(run)
    abandoned = SamplingRun.objects.abandoned()
    list(abandoned)  # as the reaper saw it
    assert run.beat(done=1)
    monkeypatch.setattr(type(SamplingRun.objects.all()), "abandoned", lambda queryset: abandoned)

    assert reap_now() == []

    run.refresh_from_db()
    assert run.state == TaskState.RUNNING


def test_a_queued_run_whose_message_was_lost_is_announced_once(run):
    long_ago = timezone.now() - SEND_AGAIN_AFTER - timedelta(seconds=1)
    SamplingRun.objects.filter(pk=run.pk).update(enqueued_at=long_ago)

    assert reap_now() == [run.pk]
    assert reap_now() == []


def test_a_fresh_queued_run_is_not_announced_again(run):
    assert reap_now() == []


def test_the_periodic_task_announces_through_the_queue(run, monkeypatch):
    sent = []
    monkeypatch.setattr(tasks.run_sampling, "delay", sent.append)
    run.take()
    lose_worker(run)
    tasks.reap()
    assert sent == [run.pk]


def test_of_two_workers_one_gets_the_run(run):
    other = SamplingRun.objects.get(pk=run.pk)
    run.take()
    with pytest.raises(StaleState):
        other.take()
    assert not other.beat()


def test_a_beat_says_no_once_cancel_is_asked_for(run):
    run.take()
    assert run.beat(done=1)
    SamplingRun.objects.get(pk=run.pk).request_cancel()
    assert not run.beat(done=2)


def test_a_worker_whose_clock_is_slow_is_not_taken_for_lost(run, monkeypatch):
    an_hour_ago = timezone.now() - timedelta(hours=1)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(timezone, "now", lambda: an_hour_ago)
        run.take()
        assert run.beat()
    assert reap_now() == []
    assert run.started_at > an_hour_ago


def test_a_starting_worker_announces_what_waits_and_nothing_else(run, prompt_set, policy):
    running = actions.create_sampling_run(prompt_set=prompt_set, policies=[policy], enqueue=False)
    running.take()
    announced = []
    assert announce_waiting(SamplingRun, announce=lambda task: announced.append(task.pk)) == 1
    assert announced == [run.pk]


def test_the_same_number_in_another_database_is_another_folder(run):
    elsewhere = SamplingRun(pk=run.pk, request_key=uuid.uuid4())
    assert elsewhere.run_dir != run.run_dir
    assert SamplingRun.objects.get(pk=run.pk).run_dir == run.run_dir


# --- a worker that ends ---------------------------------------------------------------------------------------


def test_a_run_that_is_handed_back_waits_again_and_counts_no_attempt(run):
    run.take()
    run.hand_back()
    assert (run.state, run.claim, run.attempt, run.failure) == (TaskState.QUEUED, None, 0, "")
    assert reap_now() == [run.pk]  # another machine's worker may have it at once


def test_a_run_that_was_being_cancelled_is_not_handed_back(run):
    run.take()
    SamplingRun.objects.get(pk=run.pk).request_cancel()
    run.hand_back()
    assert run.state == TaskState.CANCELLED


def test_a_run_that_another_worker_has_cannot_be_handed_back(run):
    run.take()
    SamplingRun.objects.get(pk=run.pk).put_back()
    SamplingRun.objects.get(pk=run.pk).take()
    with pytest.raises(StaleState):
        run.hand_back()


# --- people -----------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_cancel_is_not_lost_while_a_reaper_queues_the_run_again(run):
    run.take()
    run_id = run.pk
    asked = threading.Event()

    def cancel() -> None:
        try:
            mine = SamplingRun.objects.get(pk=run_id)
            asked.set()
            mine.request_cancel()
        finally:
            connection.close()

    person = threading.Thread(target=cancel)
    with transaction.atomic():
        run.put_back()  # holds the row's lock: the person's query waits for it
        person.start()
        assert asked.wait(10)
        person.join(0.5)
        assert person.is_alive()
    person.join(10)
    run.refresh_from_db()
    assert run.state == TaskState.CANCELLED


def test_a_retry_takes_no_run_away_from_its_worker(run):
    run.take()
    with pytest.raises(StaleState):
        actions.retry(run=SamplingRun.objects.get(pk=run.pk), enqueue=False)
    assert run.beat()


def test_a_person_goes_on_with_a_run_whose_process_was_killed(run):
    run.take()
    lose_worker(run)
    run.reclaim()
    assert (run.state, run.attempt) == (TaskState.QUEUED, 0)


def test_a_person_goes_on_with_a_run_that_waits_or_was_cancelled(run):
    run.reclaim()
    assert run.state == TaskState.QUEUED
    run.request_cancel()
    run.reclaim()
    assert run.state == TaskState.QUEUED


def test_a_run_with_a_living_worker_is_not_reclaimed(run):
    run.take()
    with pytest.raises(StaleState):
        run.reclaim()
    assert "gives signs of life" in run.why_not_reclaimed()
