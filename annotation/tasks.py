"""Celery's way in: take an id, load, call one action."""

from celery import shared_task
from celery.signals import worker_ready
from django.db import connection

from annotation.actions import exports, freezes, reports
from annotation.datasets import export_cache
from annotation.models import ProjectReport, SnapshotExport, SnapshotFreeze
from sampling import long_tasks


@worker_ready.connect
def announce_waiting(**_) -> None:
    """What waited for a worker need not wait for the reaper too."""
    reports.announce_waiting()
    long_tasks.announce_waiting(SnapshotFreeze, announce=freezes.announce_freeze)
    long_tasks.announce_waiting(SnapshotExport, announce=exports.announce_export)
    connection.close()  # the worker's main thread has no other use for one


@shared_task
def compute_report(report_id: int) -> None:
    """A message that comes twice, or for a report that is gone, does nothing."""
    report = ProjectReport.objects.defer("content").filter(pk=report_id).select_related("project").first()
    if report is not None:
        reports.compute_report(report=report)


@shared_task
def run_freeze(freeze_id: int) -> str:
    """A message that comes twice, or for a freeze that is gone, does nothing."""
    task = SnapshotFreeze.objects.select_related("project", "created_by").filter(pk=freeze_id).first()
    return freezes.execute_freeze(task=task).state if task else "gone"


@shared_task
def run_export(export_id: int) -> str:
    """A message that comes twice, or for an export that is gone, does nothing."""
    export = SnapshotExport.objects.select_related("snapshot__project").filter(pk=export_id).first()
    if export is None:
        return "gone"
    return exports.execute_export(export=export).state


@shared_task
def forget_old() -> int:
    """Delete folders of exports that nothing will be read from again."""
    return export_cache.clear_old()


@shared_task
def reap() -> int:
    """Queue again what lost its worker; announce again what was asked for and that nobody does."""
    dealt_with = reports.announce_lost()
    dealt_with += long_tasks.reap(SnapshotFreeze, announce=freezes.announce_freeze)
    return dealt_with + long_tasks.reap(SnapshotExport, announce=exports.announce_export)
