"""Long work as a row: queued, claimed by one worker, kept alive by a heartbeat, cancelled by an intent.

The row is the truth and a queue message only a hint: a worker that gets a message claims the row by
compare-and-swap, and a message that comes twice finds it taken. No Celery here.
"""

import logging
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import models
from django.db.models import F, Q
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
        return self.filter(state=TaskState.RUNNING, heartbeat_at__lt=timezone.now() - LOST_AFTER)

    def unannounced(self):
        """Queued rows whose message must have been lost."""
        return self.filter(state=TaskState.QUEUED, enqueued_at__lt=timezone.now() - SEND_AGAIN_AFTER)


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

    def take(self) -> None:
        """Claim a queued row for this process. Raises StaleState when another worker got there first."""
        now = timezone.now()
        self.move_to(
            TaskState.RUNNING,
            claim=uuid.uuid4(),
            attempt=F("attempt") + 1,
            heartbeat_at=now,
            started_at=self.started_at or now,
            finished_at=None,
            failure="",
        )

    def beat(self, **progress) -> bool:
        """Show a sign of life and store progress; False means stop: cancelled, or the claim was lost."""
        mine = type(self).objects.filter(pk=self.pk, claim=self.claim, state=TaskState.RUNNING)
        kept = mine.update(heartbeat_at=timezone.now(), **progress)
        return bool(kept) and not mine.filter(cancel_requested_at__isnull=False).exists()

    def end(self, target: str, *, failure: str = "", **changes) -> None:
        """Finish, fail or cancel a row that this process holds. Raises StaleState when the claim was lost."""
        now = timezone.now()
        self.move_to(target, where={"claim": self.claim}, finished_at=now, failure=failure, **changes)

    def request_cancel(self) -> None:
        """Store the wish to stop. A queued row ends at once; a running one when its worker sees the wish."""
        now = timezone.now()
        waiting = type(self).objects.filter(pk=self.pk, state=TaskState.QUEUED)
        if not waiting.update(state=TaskState.CANCELLED, cancel_requested_at=now, finished_at=now):
            type(self).objects.filter(Q(cancel_requested_at__isnull=True), pk=self.pk, state=TaskState.RUNNING).update(
                cancel_requested_at=now
            )
        self.refresh_from_db()

    def put_back(self, *, reason: str = "", where: dict[str, Any] | None = None, **changes: Any) -> None:
        """Queue the row again: after a lost worker, or for a retry of what failed or was cancelled."""
        self.move_to(
            TaskState.QUEUED,
            where=where,
            claim=None,
            enqueued_at=timezone.now(),
            cancel_requested_at=None,
            finished_at=None,
            failure=reason,
            **changes,
        )


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
        if model.objects.unannounced().filter(pk=task.pk).update(enqueued_at=timezone.now()):
            announce(task)
            dealt_with += 1
    return dealt_with


def _take_from_the_dead(task: LongTask) -> bool:
    """End or re-queue a row whose worker is gone; True when it waits in the queue again."""
    # What was seen must still be so: a worker that was only slow, and beats now, keeps its row.
    unchanged = {name: getattr(task, name) for name in ("claim", "heartbeat_at", "cancel_requested_at")}
    now = timezone.now()
    if task.cancel_requested_at is not None:
        task.move_to(TaskState.CANCELLED, where=unchanged, claim=None, finished_at=now)
        return False
    if task.attempt >= MAX_ATTEMPTS:
        failure = (
            f"The worker was lost {task.attempt} times in the middle of the work, so it is not tried again by "
            "itself. See whether the workers' machine runs out of memory, then retry: what is finished is kept."
        )
        task.move_to(TaskState.FAILED, where=unchanged, claim=None, finished_at=now, failure=failure)
        return False
    log.warning("%s %s lost its worker; queued again.", task._meta.verbose_name, task.pk)
    task.put_back(where=unchanged)
    return True
