"""A bar for work that a Celery worker does: the row is read, nothing is run here."""

import time
from collections.abc import Callable

from django.core.management.base import CommandError
from tqdm import tqdm

from sampling.long_tasks import LongTask, TaskState

POLL_SECONDS = 0.5


def watch(task: LongTask, *, label: Callable[[LongTask], str]) -> None:
    """Show ``task``'s progress, with rate and remaining time, until it is over.

    A task has phases that count different things (a round's stages): each gets a bar of its own, and a phase that
    counts nothing (an engine's start) leaves none behind. Raises CommandError with the task's own words when it
    ends otherwise than finished.
    """
    bar: tqdm | None = None
    shown = ""
    while True:
        task.refresh_from_db()
        if task.is_over:
            break
        if bar is None or label(task) != shown:
            _close(bar)
            shown = label(task)
            bar = tqdm(desc=shown, dynamic_ncols=True)
        _advance(bar, task)
        time.sleep(POLL_SECONDS)
    _close(bar, full=task.state == TaskState.FINISHED)
    if task.state != TaskState.FINISHED:
        reason = task.failure or "It was cancelled."
        raise CommandError(f'{task._meta.verbose_name} "{task}" ended {task.state}. {reason} Then run this again.')


def _advance(bar: tqdm, task: LongTask) -> None:
    if task.total and bar.total != task.total:
        bar.reset(total=task.total)  # the clock starts with the counting,
        bar.initial = task.done  # and with what was there before, so that the rate is honest
    bar.n = task.done
    bar.refresh()


def _close(bar: tqdm | None, *, full: bool = False) -> None:
    if bar is None:
        return
    if full and bar.total:
        bar.n = bar.total
    bar.leave = bar.n > 0
    bar.close()
