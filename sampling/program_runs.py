"""Runs one child program for a claimed long task: the one place where a row and a run directory meet.

It shows signs of life in the row while the program works, stops the program when the row says so, and outlives a
database restart. It knows no program: what is run, and what its files mean, is the caller's to say.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, assert_never

from django.db import InterfaceError, OperationalError, connection

from sampling import processes
from sampling.engine import run_dir as files
from sampling.engine.run_dir import RunDirError
from sampling.lifecycle import StaleState
from sampling.long_tasks import HEARTBEAT_SECONDS, LOST_AFTER, LongTask, TaskState
from sampling.processes import Failed, Finished

DATABASE_PATIENCE_SECONDS = LOST_AFTER.total_seconds() * 4  # longer than a restart with crash recovery takes
DATABASE_LOST = (OperationalError, InterfaceError)
DISK_FULL_STATE = "53100"  # PostgreSQL's error code; its errors are OperationalErrors like those of a lost connection
STOPPING_GRACE_SECONDS = 1  # for programs while the worker itself ends: ours end at once, and nobody waits for long
NEWS_SECONDS = 1  # a stop that reaches a whole service at once reaches worker and program in any order

# Set once this process was asked to end: whoever runs a program then hands its row back. Never cleared.
worker_stopping = threading.Event()

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cancelled:
    """The program was stopped because somebody asked for it. The row is still ours, and still running."""


@dataclass(frozen=True)
class ClaimLost:
    """The program was stopped because another worker has the row now. Nothing of the row may be written any more."""


@dataclass(frozen=True)
class WorkerStopping:
    """The program was stopped because this process ends. The row is still ours, and to be handed back."""


Outcome = Finished | Failed | Cancelled | ClaimLost | WorkerStopping


def end_by(task: LongTask, outcome: Outcome, *, finish: Callable[[], object], **kept: Any) -> None:
    """End a row that this process holds as its work came out; ``finish`` ends one that came to its end.

    ``kept``: what is stored with one that failed or was cancelled. A row that was taken over is left to who has it.
    """
    try:
        match outcome:
            case Finished():
                finish()
            case Failed(reason):
                task.end(TaskState.FAILED, failure=reason, **kept)
            case Cancelled():
                task.end(TaskState.CANCELLED, **kept)
            case WorkerStopping():
                task.hand_back()
            case ClaimLost():
                task.refresh_from_db()
            case _:
                assert_never(outcome)
    except StaleState:
        log.warning("%s %s was taken over by another worker; that one goes on.", task._meta.verbose_name, task.pk)


class DatabaseFull(RunDirError):
    """The server is there and cannot store anything any more. Waiting, as for a lost one, would not help."""

    def __init__(self) -> None:
        super().__init__("The database's disk is full. Free space, then retry.")


def is_database_full(error: BaseException) -> bool:
    """Whether what looks like a lost database is a full disk under it."""
    return isinstance(error, DatabaseFull) or getattr(error.__cause__, "sqlstate", None) == DISK_FULL_STATE


def run_program(
    *,
    task: LongTask,
    argv: Sequence[str],
    run_dir: Path,
    on_tick: Callable[[dict[str, Any]], dict[str, Any] | None] | None = None,
    tick_seconds: float = 0.5,
    stop_grace_seconds: float = 10,
    env_extra: Mapping[str, str] | None = None,
    start: Callable[..., processes.Process] | None = None,
) -> Outcome:
    """Run ``argv`` in ``run_dir`` to its end, with a heartbeat of ``task``, and say how it ended.

    ``on_tick`` gets the program's progress (``{}`` before there is any) at each heartbeat and once more when the
    program has ended. It may return the fields to store in the row with that heartbeat; without it, or when it
    returns None, these are the program's own ``done``, ``total`` and ``phase``. It is called again after the
    database was away, so it must be safe to repeat.

    ``start`` stands in for `processes.start`, with the same arguments. A program that an earlier worker left behind in
    the directory is stopped first. When the database stays away for longer than DATABASE_PATIENCE_SECONDS, or anything
    is raised, the program is stopped and the error raised; DatabaseFull is, at once, when the server has no room.
    """
    processes.stop_leftover(run_dir)
    if worker_stopping.is_set():
        return _why_stopped(task)
    heart = _Heart(task, run_dir, on_tick)
    process = (start or processes.start)(list(argv), run_dir, env_extra or {})
    ended = processes.follow(
        process,
        on_tick=heart.tick,
        should_stop=lambda: heart.told_to_stop or _stopped_with_worker(process),
        tick_seconds=tick_seconds,
        stop_grace_seconds=stop_grace_seconds,
    )
    heart.last_tick()
    # systemd tells a service's programs together with its worker: such a program did not fail by itself.
    if isinstance(ended, processes.Failed) and worker_stopping.wait(NEWS_SECONDS):
        return _why_stopped(task)
    if isinstance(ended, processes.Stopped):
        return _why_stopped(task)
    return ended


@dataclass
class _Heart:
    """The state of one followed program: when the row was last told, and since when the database has been away."""

    task: LongTask
    run_dir: Path
    on_tick: Callable[[dict[str, Any]], dict[str, Any] | None] | None
    told_to_stop: bool = False
    _next_beat: float = field(default=0.0)
    _database_lost_at: float | None = field(default=None)

    def tick(self) -> None:
        """Beat when it is time to; a database that is away is tried again at the next heartbeat."""
        if time.monotonic() < self._next_beat:
            return
        self._next_beat = time.monotonic() + HEARTBEAT_SECONDS
        try:
            kept = self._beat()
        except DATABASE_LOST as error:
            self._wait_for_database(error)
            return
        self._database_lost_at = None
        self.told_to_stop = self.told_to_stop or not kept

    def last_tick(self) -> None:
        """Beat once more after the end, so that the last progress is stored, waiting for the database if need be."""
        while True:
            try:
                self._beat()
                return
            except DATABASE_LOST as error:
                self._wait_for_database(error)
                time.sleep(HEARTBEAT_SECONDS)

    def _beat(self) -> bool:
        progress = files.read_progress(self.run_dir) or {}
        changes = self.on_tick(progress) if self.on_tick else None
        return self.task.beat(**(_own_progress(progress) if changes is None else changes))

    def _wait_for_database(self, error: Exception) -> None:
        if is_database_full(error):
            raise DatabaseFull from error
        now = time.monotonic()
        if self._database_lost_at is None:
            self._database_lost_at = now
            log.warning("The database went away while %s ran; the program goes on. (%s)", self.run_dir, error)
        connection.close()  # the next query opens a new one
        if now - self._database_lost_at > DATABASE_PATIENCE_SECONDS:
            raise error


def _own_progress(progress: dict[str, Any]) -> dict[str, Any]:
    own = {name: max(0, int(progress[name] or 0)) for name in ("done", "total") if name in progress}
    return own | ({"phase": str(progress["phase"] or "")[:200]} if "phase" in progress else {})


def _stopped_with_worker(process: processes.Process) -> bool:
    if not worker_stopping.is_set():
        return False
    processes.stop(process, grace_seconds=STOPPING_GRACE_SECONDS)
    return True


def _why_stopped(task: LongTask) -> Cancelled | ClaimLost | WorkerStopping:
    row = type(task).objects.filter(pk=task.pk, claim=task.claim, state=TaskState.RUNNING).first()
    if row is None:
        return ClaimLost()
    return WorkerStopping() if row.cancel_requested_at is None else Cancelled()
