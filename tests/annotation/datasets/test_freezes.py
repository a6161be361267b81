"""Snapshots that are made by a worker."""

import uuid
from dataclasses import replace
from threading import Event, Thread

import pytest
from django.db import connection
from django.urls import reverse

from annotation import tasks
from annotation.actions import freezes
from annotation.datasets import hashing
from annotation.datasets.counts import Tally
from annotation.datasets.freezing import NameTaken, NothingToFreeze
from annotation.datasets.snapshots import choice_of, freeze_snapshot
from annotation.models import DatasetSnapshot, Membership, Role, SnapshotFreeze
from sampling.lifecycle import StaleState
from sampling.long_tasks import TaskState
from sampling.program_runs import worker_stopping
from tests.annotation.judged import judge, make_comparison, make_project, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nothing_is_small(monkeypatch):
    monkeypatch.setattr(freezes, "AT_ONCE", 0)


@pytest.fixture
def project():
    project = make_project()
    for number in range(3):
        judge(make_comparison(project, ["Yes.", "No."], question=f"Question {number}?"), "bob", [[0], [1]])
    Membership.objects.create(project=project, user=make_user("dora"), role=Role.MANAGER)
    return project


@pytest.fixture
def task(project):
    return requested(project)


def requested(project, name="june", **more):
    return freezes.request_freeze(
        choice=choice_of(project, ["person"], name),
        project=project,
        created_by=make_user("dora"),
        enqueue=False,
        **more,
    )


def test_a_worker_freezes_what_was_asked_for(project, task):
    assert (task.state, task.name, task.created_by.username) == ("queued", "june", "dora")
    done = freezes.execute_freeze(task=task)
    assert (done.state, done.done, done.total) == ("finished", 3, 3)
    assert done.snapshot.counts["judgments"] == 3
    assert done.snapshot.request_key == task.request_key
    assert len(list(hashing.verified_comparisons(done.snapshot))) == 3


def test_a_small_one_is_there_at_once(project, monkeypatch):
    monkeypatch.setattr(freezes, "AT_ONCE", 3)
    key = uuid.uuid4()
    assert isinstance(requested(project, request_key=key), DatasetSnapshot)
    assert requested(project, request_key=key) == DatasetSnapshot.objects.get()
    judge(make_comparison(project, ["Yes.", "No."]), "bob", [[0], [1]])
    assert isinstance(requested(project, "july"), SnapshotFreeze)


def test_a_repeated_request_is_one_freeze_and_then_its_snapshot(project):
    key = uuid.uuid4()
    task = requested(project, request_key=key)
    assert requested(project, request_key=key) == task
    freezes.execute_freeze(task=task)
    assert requested(project, request_key=key) == DatasetSnapshot.objects.get()


def test_what_cannot_be_frozen_is_not_queued(project, task):
    freezes.execute_freeze(task=task)
    with pytest.raises(NameTaken):
        requested(project)
    with pytest.raises(NothingToFreeze):
        freezes.request_freeze(choice=choice_of(project, ["model"], "july"), project=project)
    assert SnapshotFreeze.objects.count() == 1


def test_a_name_that_was_taken_meanwhile_fails_with_the_remedy(project, task):
    freeze_snapshot(project=project, name="june", kinds=["person"])
    failed = freezes.execute_freeze(task=task)
    assert failed.state == "failed"
    assert "choose another name" in failed.failure


def test_of_two_freezes_of_one_name_only_one_is_queued(project, task, monkeypatch):
    with pytest.raises(NameTaken, match="in the making"):
        requested(project)
    monkeypatch.setattr(freezes, "AT_ONCE", 3)
    with pytest.raises(NameTaken, match="in the making"):
        requested(project)  # small by now
    monkeypatch.setattr(freezes, "AT_ONCE", 0)
    freezes.cancel_freeze(task=task)
    other = requested(project)
    with pytest.raises(NameTaken, match="in the making"):
        freezes.retry_freeze(task=task, enqueue=False)
    assert SnapshotFreeze.objects.get(pk=task.pk).state == TaskState.CANCELLED
    assert freezes.execute_freeze(task=other).state == "finished"


def test_a_small_one_asked_for_again_is_there_although_the_choice_has_grown(project, monkeypatch):
    monkeypatch.setattr(freezes, "AT_ONCE", 3)
    key = uuid.uuid4()
    made = requested(project, request_key=key)
    judge(make_comparison(project, ["Yes.", "No."]), "bob", [[0], [1]])
    assert requested(project, request_key=key) == made
    assert not SnapshotFreeze.objects.exists()


def test_who_retries_must_manage_every_project_of_it(client, project):
    other = make_project("Other")
    judge(make_comparison(other, ["Yes.", "No."]), "bob", [[0], [1]])
    choice = replace(choice_of(project, ["person"], "both"), project_ids=(project.pk, other.pk))
    task = freezes.request_freeze(choice=choice, project=project, enqueue=False)
    freezes.cancel_freeze(task=task)
    client.force_login(make_user("dora"))
    address = reverse("annotation:snapshot_freeze_retry", args=[task.pk])
    assert client.post(address).status_code == 403
    assert SnapshotFreeze.objects.get().state == TaskState.CANCELLED
    Membership.objects.create(project=other, user=make_user("dora"), role=Role.MANAGER)
    assert client.post(address).status_code == 302
    assert SnapshotFreeze.objects.get().state == TaskState.QUEUED


def test_cancelled_while_it_runs_nothing_is_left(project, task, monkeypatch):
    def stop(*_):
        raise freezes.FreezeStopped

    monkeypatch.setattr("annotation.datasets.counts.Tally.add", stop)
    assert freezes.execute_freeze(task=task).state == "cancelled"
    assert not DatasetSnapshot.objects.exists()
    monkeypatch.undo()
    freezes.retry_freeze(task=task, enqueue=False)
    assert freezes.execute_freeze(task=task).state == "finished"


def test_a_worker_that_ends_hands_it_back(project, task, monkeypatch):
    monkeypatch.setattr("annotation.datasets.freezing.Tally.add", lambda *_: worker_stopping.set())
    try:
        assert freezes.execute_freeze(task=task).state == "queued"
    finally:
        worker_stopping.clear()
    assert not DatasetSnapshot.objects.exists()


def test_a_task_that_comes_twice_or_is_gone_does_nothing(task):
    assert tasks.run_freeze(task.pk) == "finished"
    assert tasks.run_freeze(task.pk) == "finished"
    assert tasks.run_freeze(0) == "gone"
    with pytest.raises(StaleState):
        freezes.retry_freeze(task=task)


def test_an_error_of_ours_is_told_and_nothing_is_left(task, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr("annotation.datasets.counts.Tally.add", fail)
    failed = freezes.execute_freeze(task=task)
    assert (failed.state, failed.snapshot) == ("failed", None)
    assert "by nothing" in failed.failure


def test_the_page_shows_how_far_it_is_and_leads_to_the_snapshot(client, task):
    client.force_login(make_user("dora"))
    address = task.get_absolute_url()
    page = client.get(address).content.decode()
    assert "waiting for a worker" in page
    part = client.get(address, headers={"HX-Request": "true"}).content.decode().strip()
    assert part.startswith('<section id="freeze"')
    freezes.execute_freeze(task=task)
    snapshot = DatasetSnapshot.objects.get().get_absolute_url()
    assert client.get(address).url == snapshot
    assert client.get(address, headers={"HX-Request": "true"})["HX-Redirect"] == snapshot


def test_cancel_and_retry_from_the_page(client, task):
    client.force_login(make_user("dora"))
    assert client.post(reverse("annotation:snapshot_freeze_cancel", args=[task.pk])).url == task.get_absolute_url()
    assert SnapshotFreeze.objects.get().state == TaskState.CANCELLED
    assert "nothing of it is kept" in client.get(task.get_absolute_url()).content.decode()
    client.post(reverse("annotation:snapshot_freeze_retry", args=[task.pk]))
    assert SnapshotFreeze.objects.get().state == TaskState.QUEUED
    for name in ("snapshot_freeze_cancel", "snapshot_freeze_retry"):
        assert client.get(reverse(f"annotation:{name}", args=[task.pk])).status_code == 405


def test_others_see_and_do_nothing(client, task):
    client.force_login(make_user("bob"))
    assert client.get(task.get_absolute_url()).status_code == 403
    assert client.post(reverse("annotation:snapshot_freeze_cancel", args=[task.pk])).status_code == 403
    assert client.post(reverse("annotation:snapshot_freeze_retry", args=[task.pk])).status_code == 403


@pytest.mark.django_db(transaction=True)
def test_the_row_beats_while_the_snapshot_is_in_a_transaction_of_its_own(project, task, monkeypatch):
    """Cancelled from another connection, as a page does it: the heartbeat tells the worker."""
    told = Event()
    add, beat = Tally.add, SnapshotFreeze.beat

    def cancel():
        SnapshotFreeze.objects.get(pk=task.pk).request_cancel()
        connection.close()

    def add_when_told(tally, judged):
        if not told.is_set():
            other = Thread(target=cancel)
            other.start()
            other.join()
            assert told.wait(timeout=30)
        add(tally, judged)

    def noted(row, **progress):
        is_wanted = beat(row, **progress)
        if not is_wanted:
            told.set()
        return is_wanted

    monkeypatch.setattr(Tally, "add", add_when_told)
    monkeypatch.setattr(SnapshotFreeze, "beat", noted)
    assert freezes.execute_freeze(task=task).state == "cancelled"
    assert not DatasetSnapshot.objects.exists()
