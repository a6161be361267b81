"""Between two pieces of an import's work: is it still wanted, and how far is it? The heartbeat tells the row."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from sampling.keep_alive import kept_alive
from sampling.models import Curation, DataImport
from sampling.program_runs import Cancelled, ClaimLost, Outcome, WorkerStopping, worker_stopping

UNIT = 1024  # bytes: progress is told in KiB, for a row's counters end at 2 GB otherwise


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a piece of work is. ``done`` and ``total`` are KiB, or rows where a source knows no bytes."""

    phase: str
    done: int = 0
    total: int = 0  # 0: unknown
    rows: int = 0


Report = Callable[[Progress], object]


class Stop(Exception):
    """The work is to end here, as ``outcome`` says. What is stored stays."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(type(outcome).__name__)
        self.outcome = outcome


@dataclass
class Watch:
    """Told of each piece of work; raises `Stop` once there should be no other."""

    data_import: DataImport | Curation
    on_progress: Report
    unwanted: threading.Event = field(default_factory=threading.Event)
    progress: Progress = field(default_factory=lambda: Progress(""))

    def __call__(self, phase: str, *, done: int = 0, total: int = 0, rows: int = 0) -> None:
        self.progress = Progress(phase, done, max(total, done) if total else 0, rows)
        self.on_progress(self.progress)
        if worker_stopping.is_set():
            raise Stop(WorkerStopping())
        if self.unwanted.is_set():
            raise Stop(self._why())

    def as_fields(self) -> dict[str, Any]:
        """For the row."""
        return {"phase": self.progress.phase[:200], "done": self.progress.done, "total": self.progress.total}

    def _why(self) -> Outcome:
        mine = type(self.data_import).objects.filter(pk=self.data_import.pk, claim=self.data_import.claim)
        return Cancelled() if mine.filter(cancel_requested_at__isnull=False).exists() else ClaimLost()


@contextmanager
def watched(data_import: DataImport | Curation, on_progress: Report) -> Iterator[Watch]:
    """Keep a claimed import alive until the block is left; what is done in it is told to the watch."""
    watch = Watch(data_import, on_progress)
    if connection.in_atomic_block:  # nobody else sees the row before the caller's transaction ends, nor a heartbeat's
        yield watch
        return
    with kept_alive(data_import, progress=watch.as_fields) as watch.unwanted:
        yield watch


def in_units(number_of_bytes: int | None) -> int:
    return (number_of_bytes or 0) // UNIT
