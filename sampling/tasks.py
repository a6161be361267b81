"""What the workers do for sampling. Each task takes an id, loads the row and calls one action."""

import logging

from celery import shared_task

from sampling import actions, long_tasks
from sampling.lifecycle import StaleState
from sampling.models import SamplingRun

log = logging.getLogger(__name__)


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
