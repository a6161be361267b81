"""What the workers do for sampling. Each task takes an id, loads the row and calls one action."""

import logging

from celery import shared_task
from celery.signals import worker_ready, worker_shutting_down
from django.db import connection

from sampling import actions, long_tasks
from sampling.lifecycle import StaleState
from sampling.models import SamplingRun
from sampling.program_runs import worker_stopping

log = logging.getLogger(__name__)


@worker_shutting_down.connect
def hand_back_all(**_) -> None:
    """On SIGTERM, in the signal's handler: whatever this worker does of any app is stopped and its row queued again."""
    worker_stopping.set()


@worker_ready.connect
def announce_waiting(**_) -> None:
    """What waited for a worker need not wait for the reaper too."""
    long_tasks.announce_waiting(SamplingRun, announce=actions.announce)
    connection.close()  # the worker's main thread has no other use for one


@shared_task
def run_sampling(run_id: int) -> None:
    """Execute one sampling run. A message that comes twice finds the row taken and does nothing."""
    run = SamplingRun.objects.get(pk=run_id)
    try:
        actions.execute_sampling_run(run=run)
    except StaleState as stale:
        log.info("Nothing to do: %s", stale)


@shared_task
def reap() -> None:
    """Re-queue sampling runs whose worker is gone, and announce those whose message was lost."""
    long_tasks.reap(SamplingRun, announce=actions.announce)


@shared_task
def deliver_webhooks() -> None:
    """To be written."""
