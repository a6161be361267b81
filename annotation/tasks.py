"""Celery's way in: take an id, load, call one action."""

from celery import shared_task
from celery.signals import worker_ready
from django.db import connection

from annotation.actions import reports
from annotation.models import ProjectReport


@worker_ready.connect
def announce_waiting(**_) -> None:
    """What waited for a worker need not wait for the reaper too."""
    reports.announce_waiting()
    connection.close()  # the worker's main thread has no other use for one


@shared_task
def compute_report(report_id: int) -> None:
    """A message that comes twice, or for a report that is gone, does nothing."""
    report = ProjectReport.objects.defer("content").filter(pk=report_id).select_related("project").first()
    if report is not None:
        reports.compute_report(report=report)


@shared_task
def reap() -> int:
    """Announce again the reports that were asked for and that nobody computes."""
    return reports.announce_lost()
