"""What the workers do for sampling. Each task takes an id, loads the row and calls one action."""

import logging

from celery import shared_task
from celery.signals import worker_ready, worker_shutting_down
from django.db import connection

from sampling import actions, long_tasks
from sampling.curation import actions as curation
from sampling.importing import actions as importing
from sampling.importing import forgetting
from sampling.lifecycle import StaleState
from sampling.models import Curation, DataImport, SamplingRun
from sampling.program_runs import worker_stopping
from sampling.rest import idempotency
from sampling.webhooks import delivering

log = logging.getLogger(__name__)


@worker_shutting_down.connect
def hand_back_all(**_) -> None:
    """On SIGTERM, in the signal's handler: whatever this worker does of any app is stopped and its row queued again."""
    worker_stopping.set()


@worker_ready.connect
def announce_waiting(**_) -> None:
    """What waited for a worker need not wait for the reaper too."""
    long_tasks.announce_waiting(SamplingRun, announce=actions.announce)
    long_tasks.announce_waiting(DataImport, announce=importing.announce)
    long_tasks.announce_waiting(Curation, announce=curation.announce)
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
def run_import(import_id: int) -> None:
    """Look through an import, bring it in, or take it out. A message that comes twice finds the row taken."""
    data_import = DataImport.objects.filter(pk=import_id).first()
    if data_import is None:
        return
    try:
        importing.execute(data_import=data_import)
    except StaleState as stale:
        log.info("Nothing to do: %s", stale)


@shared_task
def run_curation(curation_id: int) -> None:
    """Run filters over a prompt set. A message that comes twice finds the row taken and does nothing."""
    found = Curation.objects.filter(pk=curation_id).first()
    if found is None:
        return
    try:
        curation.execute(curation=found)
    except StaleState as stale:
        log.info("Nothing to do: %s", stale)


@shared_task
def reap() -> None:
    """Re-queue what lost its worker, and announce what nobody can have heard of."""
    long_tasks.reap(SamplingRun, announce=actions.announce)
    long_tasks.reap(DataImport, announce=importing.announce)
    long_tasks.reap(Curation, announce=curation.announce)


@shared_task
def deliver_webhooks() -> None:
    """Send what is in the outbox of webhooks. Several at once take different deliveries."""
    delivering.deliver_due()


@shared_task
def forget_old() -> None:
    """Delete what is kept for some days only: answers to repeated requests, ended deliveries, uploaded files."""
    idempotency.forget_old()
    delivering.forget_old()
    forgetting.forget_old()
