"""Asking for a snapshot, and making it in a worker where it takes longer than anybody waits for a page."""

import logging
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, connection, transaction

from annotation.access import may_manage
from annotation.datasets.chosen import to_freeze, why_nothing
from annotation.datasets.freezing import Choice, NothingToFreeze, SnapshotRefused, check_free, check_name, freeze
from annotation.models import DatasetSnapshot, Project, SnapshotFreeze
from annotation.rules.aggregation import Aggregation
from sampling.engine.run_dir import explain
from sampling.keep_alive import kept_alive
from sampling.lifecycle import StaleState
from sampling.long_tasks import TaskState, announce_on_commit
from sampling.program_runs import DATABASE_LOST, DatabaseFull, is_database_full, worker_stopping

AT_ONCE = 2000  # judgments: what is frozen while the page is waited for, a second at most

log = logging.getLogger(__name__)


class FreezeStopped(Exception):
    """Somebody asked for the end, or another worker has the row."""


class FreezeHandedBack(Exception):
    """This worker ends; the freeze waits for the next one."""


def request_freeze(
    *,
    choice: Choice,
    project: Project,
    created_by: AbstractBaseUser | None = None,
    request_key: uuid.UUID | None = None,
    enqueue: bool = True,
) -> DatasetSnapshot | SnapshotFreeze:
    """The snapshot, if it is small enough to be made here and now; else the queued work of making it.

    The same ``request_key`` again gives what is there. Raises SnapshotRefused for what cannot be frozen.
    """
    request_key = request_key or uuid.uuid4()
    # First of all: what was small when it was asked for may have grown since, and its name is taken: by itself.
    if frozen := DatasetSnapshot.objects.filter(request_key=request_key).first():
        return frozen
    if earlier := SnapshotFreeze.objects.filter(request_key=request_key).first():
        return earlier.snapshot or earlier
    choice = choice.checked()
    check_name(choice.name)
    if is_small(choice):
        check_free(project, choice.name)
        return freeze(choice=choice, project=project, created_by=created_by, request_key=request_key)
    if not to_freeze(choice).exists():
        raise NothingToFreeze(why_nothing(choice))
    try:
        with _alone_in(project):
            check_free(project, choice.name, but_for=request_key)
            made = SnapshotFreeze.objects.create(
                project=project, name=choice.name, asked=choice.as_json(), created_by=created_by,
                request_key=request_key,
            )  # fmt: skip
            if enqueue:
                announce_on_commit(made, announce=announce_freeze)
    except IntegrityError:  # the double click's other half was faster
        return SnapshotFreeze.objects.get(request_key=request_key)
    return made


@contextmanager
def _alone_in(project: Project) -> Iterator[None]:
    """A transaction in which nobody else queues a freeze in this project: of two of one name one is refused."""
    with transaction.atomic():
        Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        yield


def is_small(choice: Choice) -> bool:
    """Whether a page may wait for it. What estimates annotators needs numpy, which web processes do without."""
    if choice.aggregation is Aggregation.DAWID_SKENE:
        return False
    return to_freeze(choice).order_by()[: AT_ONCE + 1].count() <= AT_ONCE


def execute_freeze(*, task: SnapshotFreeze) -> SnapshotFreeze:
    """Take a queued freeze and carry it to its end: the snapshot, failed with the reason, or cancelled.

    One that somebody else has taken is left alone. A worker that ends hands it back, queued as it was.
    """
    if worker_stopping.is_set():
        return task
    try:
        task.take()
    except StaleState:
        log.info("Freeze %s is not queued any more; left alone.", task.pk)
        return task
    try:
        _carry_out(task)
    except StaleState:
        log.warning("Freeze %s was taken over by another worker; this one stops.", task.pk)
    except DATABASE_LOST as error:
        if not is_database_full(error):
            raise  # nothing can be written now: the reaper finds the row, and the next worker begins anew
        task.end(TaskState.FAILED, failure=str(DatabaseFull()))
    task.refresh_from_db()
    return task


def _carry_out(task: SnapshotFreeze) -> None:
    try:
        _freeze(task)
    except FreezeStopped:
        task.end(TaskState.CANCELLED)
    except FreezeHandedBack:
        task.hand_back()
    except SnapshotRefused as refusal:
        task.end(TaskState.FAILED, failure=str(refusal))
    except (StaleState, *DATABASE_LOST):
        raise
    except Exception as error:
        log.exception("Freeze %s failed.", task.pk)
        task.end(TaskState.FAILED, failure=explain(error))


def _freeze(task: SnapshotFreeze) -> None:
    choice = Choice.from_json(task.asked)
    total = to_freeze(choice).order_by().values("comparison").distinct().count()
    type(task).objects.filter(pk=task.pk, claim=task.claim).update(total=total, phase="choosing the judgments")
    # The row is ended in the snapshot's own transaction: a worker that lost its claim leaves no snapshot behind.
    with _watched(task, total) as on_progress, transaction.atomic():
        snapshot = freeze(
            choice=choice,
            project=task.project,
            created_by=task.created_by,
            request_key=task.request_key,
            on_progress=on_progress,
        )
        task.end(TaskState.FINISHED, snapshot=snapshot, done=total, phase="")


@contextmanager
def _watched(task: SnapshotFreeze, total: int) -> Iterator[Callable[[], None]]:
    """What is to be called once a comparison: it counts, and raises once the work is not wanted any more.

    The signs of life come from another connection: what this one writes, nobody sees before the snapshot is there.
    """
    done, unwanted = 0, threading.Event()

    def on_progress() -> None:
        nonlocal done
        done += 1
        if worker_stopping.is_set():
            raise FreezeHandedBack
        if unwanted.is_set():
            raise FreezeStopped

    def progress() -> dict[str, object]:
        return {"done": done, "total": total, "phase": "reading and hashing" if done else "choosing the judgments"}

    if connection.in_atomic_block:  # then nobody sees the row either, nor would a heartbeat
        yield on_progress
        return
    with kept_alive(task, progress=progress) as told:
        unwanted = told
        yield on_progress


def cancel_freeze(*, task: SnapshotFreeze) -> SnapshotFreeze:
    """Ask for the end: at once when it waits, else when its worker sees the wish. Nothing is left of it."""
    task.request_cancel()
    return task


def retry_freeze(*, task: SnapshotFreeze, by: AbstractBaseUser | None = None, enqueue: bool = True) -> SnapshotFreeze:
    """Queue a failed or cancelled freeze again: it freezes what there is then. Raises StaleState for any other.

    ``by``: who asks; they must manage every project whose judgments it freezes, else PermissionDenied. Raises NameTaken
    where another one took the name meanwhile.
    """
    if by is not None:
        _check_manages_all(by, task)
    with _alone_in(task.project):
        task.retry()
        check_free(task.project, task.name, but_for=task.request_key)
        if enqueue:
            announce_on_commit(task, announce=announce_freeze)
    return task


def _check_manages_all(by: AbstractBaseUser, task: SnapshotFreeze) -> None:
    projects = Project.objects.filter(pk__in=Choice.from_json(task.asked).project_ids)
    if not all(may_manage(by, project) for project in projects):
        raise PermissionDenied(
            "It freezes judgments of projects that you do not manage. Ask somebody who manages them all, or freeze a "
            "snapshot of your own projects."
        )


def announce_freeze(task: SnapshotFreeze) -> None:
    """Tell the workers that ``task`` waits for them."""
    from annotation.tasks import run_freeze  # tasks call actions, so not at the top

    run_freeze.delay(task.pk)
