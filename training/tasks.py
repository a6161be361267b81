"""Celery's way in: take an id, load, call one action."""

from celery import shared_task
from celery.signals import worker_ready
from django.db import connection

from sampling import long_tasks
from training import actions
from training.models import LaunchCheck, TrainingRound


@worker_ready.connect
def announce_waiting(**_) -> None:
    """What waited for a worker need not wait for the reaper too."""
    long_tasks.announce_waiting(TrainingRound, announce=actions.announce)
    long_tasks.announce_waiting(LaunchCheck, announce=actions.announce_check)
    connection.close()  # the worker's main thread has no other use for one


@shared_task
def run_round(round_id: int) -> str:
    """Queue accelerator. A message that comes twice, or for a round that is gone, does nothing."""
    round = TrainingRound.objects.filter(pk=round_id).first()
    if round is None:
        return "gone"
    return actions.execute_round(round=round).state


@shared_task
def run_check(check_id: int) -> str:
    """Queue default: seconds of one core. A message that comes twice, or for a check that is gone, does nothing."""
    check = LaunchCheck.objects.filter(pk=check_id).first()
    if check is None:
        return "gone"
    return actions.execute_check(check=check).state


@shared_task
def reap() -> int:
    """Queue again, or end, what lost its worker; tell the workers what they cannot have heard."""
    dealt_with = long_tasks.reap(TrainingRound, announce=actions.announce)
    dealt_with += long_tasks.reap(LaunchCheck, announce=actions.announce_check)
    actions.settle_stages()
    actions.forget_old_checks()
    return dealt_with
