"""Checking what a round would learn from, before it is launched."""

import logging
import shutil
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from sampling.lifecycle import StaleState
from sampling.long_tasks import TaskState, announce_on_commit
from training.launching import checking, launch_checks
from training.launching.asked import Asked
from training.models import LaunchCheck

KEPT_FOR = timedelta(days=30)

log = logging.getLogger(__name__)


def requested_check(*, asked: Asked, again: bool = False, enqueue: bool = True) -> LaunchCheck:
    """The check of these inputs: the one that there is, or a new one, queued.

    One that failed or was cancelled is queued once more, and with ``again`` a finished one is made anew: the machine's
    free memory may be another by now. Raises ValidationError, by field, where there is nothing to check. With
    ``enqueue=False`` no worker is told: the caller executes it.
    """
    examined = launch_checks.examined(asked)
    if examined.problems:
        raise ValidationError(dict(examined.problems))
    key = checking.key_of(asked, examined.resolved)
    with transaction.atomic():
        known = LaunchCheck.objects.select_for_update().filter(key=key).first()
        if known is not None and known.state == TaskState.FINISHED and again:
            _forget(known)
            known = None
        if known is None:
            return _made(asked, examined.resolved, key, enqueue=enqueue)
        if known.state in (TaskState.FAILED, TaskState.CANCELLED):
            known.retry()
            if enqueue:
                announce_on_commit(known, announce=announce_check)
    return known


def _made(asked: Asked, resolved: dict[str, Any], key: str, *, enqueue: bool) -> LaunchCheck:
    try:
        with transaction.atomic():
            check = LaunchCheck.objects.create(
                base_policy=asked.base_policy,
                snapshot=asked.snapshot,
                previous=asked.previous,
                demonstrations=asked.demonstrations,
                recipe=resolved,
                key=key,
            )
            if enqueue:
                announce_on_commit(check, announce=announce_check)
    except IntegrityError:  # two requests at the same instant: one check
        return LaunchCheck.objects.get(key=key)
    return check


def execute_check(*, check: LaunchCheck, on_progress: Callable[[dict[str, Any]], object] | None = None) -> LaunchCheck:
    """Take a queued check and carry it to its end; one that somebody else has taken is left alone."""
    try:
        check.take()
    except StaleState:
        log.info("Check %s is not queued any more; left alone.", check.pk)
        return check
    return checking.carry_out(check, on_progress)


def cancel_check(*, check: LaunchCheck) -> LaunchCheck:
    """Ask for the check to stop: at once when it waits, else when its worker sees the wish."""
    check.request_cancel()
    return check


def forget_old_checks() -> int:
    """Remove what was checked long ago; how many there were."""
    old = LaunchCheck.objects.filter(finished_at__lt=timezone.now() - KEPT_FOR)
    for check in old:
        _forget(check)
    return len(old)


def announce_check(check: LaunchCheck) -> None:
    """Tell the workers that ``check`` waits for them."""
    from training.tasks import run_check  # tasks call actions, so not at the top

    run_check.delay(check.pk)


def _forget(check: LaunchCheck) -> None:
    run_dir = check.run_dir
    check.delete()
    transaction.on_commit(lambda: shutil.rmtree(run_dir, ignore_errors=True), robust=True)
