"""Long work as a row: queued, claimed by one worker, kept alive by a heartbeat, cancelled by an intent.

The row is the truth and a queue message only a hint: a worker that gets a message claims the row by
compare-and-swap, and a message that comes twice finds it taken. Times are the database's: workers' clocks differ.
No Celery here.
"""

import logging
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import models, transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from sampling.lifecycle import Lifecycle, StaleState

HEARTBEAT_SECONDS = 2
LOST_AFTER = timedelta(seconds=30)  # fifteen missed heartbeats: longer than any pause seen, short for who waits
SEND_AGAIN_AFTER = timedelta(minutes=5)  # a queued row whose message was lost is announced again
MAX_ATTEMPTS = 3

log = logging.getLogger(__name__)


class TaskState(models.TextChoices):
    QUEUED = "queued", "queued"
    RUNNING = "running", "running"
    FINISHED = "finished", "finished"
    FAILED = "failed", "failed"
    CANCELLED = "cancelled", "cancelled"


class LongTaskQuerySet(models.QuerySet):
    def unfinished(self):
        return self.filter(state__in=[TaskState.QUEUED, TaskState.RUNNING])

    def abandoned(self):
        """Claimed rows whose worker stopped giving signs of life."""
        return self.filter(state=TaskState.RUNNING, heartbeat_at__lt=Now() - LOST_AFTER)

    def unannounced(self):
        """Queued rows whose message must have been lost."""
        return self.filter(state=TaskState.QUEUED, enqueued_at__lt=Now() - SEND_AGAIN_AFTER)


class LongTask(Lifecycle):
    """One piece of work that takes seconds to hours, done by one worker at a time."""

    TRANSITIONS = {
        TaskState.QUEUED: (TaskState.RUNNING, TaskState.CANCELLED, TaskState.FAILED),
        TaskState.RUNNING: (TaskState.FINISHED, TaskState.FAILED, TaskState.CANCELLED, TaskState.QUEUED),
        TaskState.FAILED: (TaskState.QUEUED,),
        TaskState.CANCELLED: (TaskState.QUEUED,),
        TaskState.FINISHED: (),
    }

    state = models.CharField(max_length=12, choices=TaskState, default=TaskState.QUEUED)
    request_key = models.UUIDField(
        default=uuid.uuid4, unique=True, help_text="A repeated request with one key is one row."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    enqueued_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    claim = models.UUIDField(null=True, blank=True, help_text="Who holds the row; renewed with each claim.")
    attempt = models.PositiveIntegerField(default=0)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    failure = models.TextField(blank=True, help_text="What went wrong and what to do, in words.")
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    phase = models.CharField(max_length=200, blank=True)

    objects = LongTaskQuerySet.as_manager()

    class Meta:
        abstract = True

    @property
    def is_over(self) -> bool:
        return self.state in (TaskState.FINISHED, TaskState.FAILED, TaskState.CANCELLED)

    @property
    def folder_name(self) -> str:
        """The name of its folder: another database over the same data folder numbers its rows from 1 too."""
        return f"{self.pk}-{self.request_key.hex[:8]}"

    def take(self) -> None:
        """Claim a queued row for this process. Raises StaleState when another worker got there first."""
        self.move_to(
            TaskState.RUNNING,
            claim=uuid.uuid4(),
            attempt=F("attempt") + 1,
            heartbeat_at=Now(),
            started_at=Coalesce("started_at", Now()),
            finished_at=None,
            failure="",
        )

    def beat(self, **progress) -> bool:
        """Show a sign of life and store progress; False means stop: cancelled, or the claim was lost."""
        mine = type(self).objects.filter(pk=self.pk, claim=self.claim, state=TaskState.RUNNING)
        kept = mine.update(heartbeat_at=Now(), **progress)
        return bool(kept) and not mine.filter(cancel_requested_at__isnull=False).exists()

    def end(self, target: str, *, failure: str = "", **changes) -> None:
        """Finish, fail or cancel a row that this process holds. Raises StaleState when the claim was lost."""
        self.move_to(target, where={"claim": self.claim}, finished_at=Now(), failure=failure, **changes)

    @transaction.atomic
    def request_cancel(self) -> None:
        """Store the wish to stop. A queued row ends at once; a running one when its worker sees the wish."""
        # Locked, or a reaper that queues the row between a look and a write would make the wish miss it.
        row = type(self).objects.select_for_update().get(pk=self.pk)
        if row.state == TaskState.QUEUED:
            row.move_to(TaskState.CANCELLED, cancel_requested_at=Now(), finished_at=Now())
        elif row.state == TaskState.RUNNING and row.cancel_requested_at is None:
            type(self).objects.filter(pk=self.pk).update(cancel_requested_at=Now())
        self.refresh_from_db()

    def put_back(self, *, reason: str = "", where: dict[str, Any] | None = None, **changes: Any) -> None:
        """Queue the row again: after a lost worker, or for a retry of what failed or was cancelled."""
        queued = {"claim": None, "enqueued_at": Now(), "cancel_requested_at": None, "finished_at": None}
        self.move_to(TaskState.QUEUED, where=where, failure=reason, **queued | changes)

    def hand_back(self) -> None:
        """Queue a row that this process holds because the process ends: nobody's failure, so no attempt is counted.

        Raises StaleState when the claim was lost.
        """
        # Not told to anybody yet: the next reaper, wherever it runs, announces it at once.
        unheard = {"enqueued_at": Now() - SEND_AGAIN_AFTER, "attempt": F("attempt") - 1}
        try:
            self.put_back(where={"claim": self.claim, "cancel_requested_at": None}, **unheard)
        except StaleState:
            self.end(TaskState.CANCELLED)  # somebody asked for that at the same moment

    def retry(self) -> None:
        """Queue a failed or cancelled row again because a person asked. Raises StaleState for any other."""
        # Some tasks are queued again when they are finished, for the next thing to be done: that is nobody's retry.
        self.refresh_from_db(fields=["state"])
        if self.state not in (TaskState.FAILED, TaskState.CANCELLED):
            raise StaleState(self, TaskState.QUEUED)
        # Only what has ended has finished_at: a running row is its worker's. Automatic attempts start anew.
        self.put_back(where={"finished_at__isnull": False, "state": self.state}, attempt=0, started_at=None)

    def reclaim(self) -> None:
        """See that the row waits to be executed by this very process: for a person who goes on with it on the shell.

        What waits is left as it is, and what failed, was cancelled or lost its worker is queued again, without a
        reaper. Raises StaleState when it is finished, or when its worker still gives signs of life.
        """
        self.refresh_from_db()
        if self.state == TaskState.QUEUED:
            return
        if type(self).objects.abandoned().filter(pk=self.pk).exists():
            self.put_back(where=_as_seen(self), attempt=0, started_at=None)
        else:
            self.retry()

    def why_not_reclaimed(self) -> str:
        """What to tell the person whom ``reclaim`` refused."""
        if self.state == TaskState.RUNNING:
            return (
                "running: its worker gives signs of life. Cancel it on its page; or, if its worker was killed just "
                f"now, try again in {LOST_AFTER.total_seconds():.0f} seconds"
            )
        return f"{self.get_state_display()}; there is nothing left to do"


def reap(model: type[LongTask], *, announce: Callable[[LongTask], object]) -> int:
    """Queue abandoned rows of ``model`` again, or fail them at the last attempt; announce what nobody heard of.

    ``announce`` sends the queue message of one row. Returns how many rows were dealt with. Safe to run in several
    processes at once: whoever loses the race for a row leaves it alone.
    """
    dealt_with = 0
    for task in model.objects.abandoned():
        try:
            requeued = _take_from_the_dead(task)
        except StaleState:
            continue
        dealt_with += 1
        if requeued:
            announce(task)
    for task in model.objects.unannounced():
        # The filter again in the UPDATE: of two reapers, one announces.
        if model.objects.unannounced().filter(pk=task.pk).update(enqueued_at=Now()):
            announce(task)
            dealt_with += 1
    return dealt_with


def announce_on_commit(task: LongTask, *, announce: Callable[[Any], object]) -> None:
    """Announce ``task`` once the caller's transaction is through."""
    # robust: a broker that is away must not take the page with it. The row is there, and the reaper announces it.
    transaction.on_commit(lambda: announce(task), robust=True)


def announce_waiting(model: type[LongTask], *, announce: Callable[[LongTask], object]) -> int:
    """Announce every queued row, as a worker that starts does; return how many there are.

    The messages may have gone with the worker before: one that came twice finds its row taken.
    """
    waiting = list(model.objects.filter(state=TaskState.QUEUED).order_by("pk"))
    for task in waiting:
        announce(task)
    return len(waiting)


def _take_from_the_dead(task: LongTask) -> bool:
    """End or re-queue a row whose worker is gone; True when it waits in the queue again."""
    unchanged = _as_seen(task)
    if task.cancel_requested_at is not None:
        task.move_to(TaskState.CANCELLED, where=unchanged, claim=None, finished_at=Now())
        return False
    if task.attempt >= MAX_ATTEMPTS:
        failure = (
            f"The worker was lost {task.attempt} times in the middle of the work, so it is not tried again by "
            "itself. See whether the workers' machine runs out of memory, then retry: what is finished is kept."
        )
        task.move_to(TaskState.FAILED, where=unchanged, claim=None, finished_at=Now(), failure=failure)
        return False
    log.warning("%s %s lost its worker; queued again.", task._meta.verbose_name, task.pk)
    task.put_back(where=unchanged)
    return True


def _as_seen(task: LongTask) -> dict[str, Any]:
    """What was seen of a claim and must still be so: a worker that was only slow, and beats now, keeps its row."""
    return {name: getattr(task, name) for name in ("claim", "heartbeat_at", "cancel_requested_at")}
