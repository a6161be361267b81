"""Ask for a project's figures, and compute them. The row is the truth, a message only a hint.

A request is ``requested_at``; whoever computes holds an advisory lock until it is over, and takes the request away
with the result. A message that comes twice finds the lock taken or the request gone.
"""

import logging
from datetime import timedelta

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from annotation import advisory_locks
from annotation.models import Judgment, Project, ProjectReport

LOST_AFTER = timedelta(minutes=2)  # a request that nobody computes by then is announced again
GIVE_UP_AFTER = timedelta(minutes=30)
FRESH_FOR = timedelta(minutes=1)  # judgments come every second: a page that is looked at must not compute as often

log = logging.getLogger(__name__)


def request_report(*, project: Project) -> ProjectReport:
    """Ask for new figures. Asking twice is asking once."""
    with transaction.atomic():
        report, _ = ProjectReport.objects.defer("content").get_or_create(project=project)
        if ProjectReport.objects.filter(pk=report.pk, requested_at__isnull=True).update(requested_at=Now(), error=""):
            # robust: a broker that is away must not take the page with it. The reaper announces it.
            transaction.on_commit(lambda: announce(report), robust=True)
    return ProjectReport.objects.defer("content").get(pk=report.pk)


def refreshed_report(*, project: Project) -> ProjectReport:
    """The report as it stands; a new one is asked for where judgments came since. After an error only a person asks."""
    # The content of a large crowd's report is megabytes: it is read where it is looked at, not at each poll.
    report = ProjectReport.objects.defer("content").filter(project=project).first()
    if report and (report.requested_at or report.error or _is_fresh(report, project)):
        return report
    if report is None and not Judgment.objects.filter(comparison__project=project).exists():
        return ProjectReport(project=project)
    return request_report(project=project)


def _is_fresh(report: ProjectReport, project: Project) -> bool:
    if report.computed_at is None:
        return False
    if timezone.now() - report.computed_at < FRESH_FOR:
        return True
    # By key: the index gives what is newer at once, however many there are.
    newer = Judgment.objects.filter(pk__gt=report.content.get("newest") or 0, comparison__project=project)
    return not newer.exists()


def announce(report: ProjectReport) -> None:
    """Tell the workers that ``report`` waits for them."""
    from annotation.tasks import compute_report  # tasks call actions, so not at the top

    compute_report.delay(report.pk)


def compute_report(*, report: ProjectReport) -> bool:
    """Compute what was asked for and keep it. False when there is nothing to do: done already, or being done."""
    try:
        # Here: web processes import these actions too, and need no scipy. And inside: where it cannot be imported, the
        # page says so, instead of waiting for a worker that is there.
        from annotation.figures.report import compute

        with transaction.atomic():
            if not _lock(report):
                return False
            report.refresh_from_db(fields=["requested_at"])
            if report.requested_at is None:
                return False
            content = compute(report.project)
            judgments = sum(kind["judgments"] for kind in content["kinds"].values())
            ProjectReport.objects.filter(pk=report.pk).update(
                content=content, judgments=judgments, computed_at=Now(), requested_at=None, error=""
            )
    except Exception as error:
        log.exception("The figures of project %s could not be computed.", report.project_id)
        _fail(report, f"{type(error).__name__}: {error}")
        return False
    return True


def announce_lost() -> int:
    """Announce again what was asked for and is computed by nobody; end what waited for too long."""
    lost = list(ProjectReport.objects.defer("content").filter(requested_at__lt=Now() - LOST_AFTER))
    for report in lost:
        if timezone.now() - report.requested_at < GIVE_UP_AFTER:
            announce(report)
            continue
        with transaction.atomic():
            if _lock(report):  # else a worker is at it still
                minutes = GIVE_UP_AFTER.seconds // 60
                _fail(report, f"No worker finished it within {minutes} minutes. Perhaps its machine ran out of memory")
    return len(lost)


def announce_waiting() -> None:
    """Announce all that was asked for, as a worker that starts does: its messages may have gone with another."""
    for report in ProjectReport.objects.defer("content").filter(requested_at__isnull=False):
        announce(report)


def is_being_computed(report: ProjectReport) -> bool:
    """Whether some worker holds this report at this moment."""
    return advisory_locks.is_held(advisory_locks.Family.REPORT, report.project_id)


def _lock(report: ProjectReport) -> bool:
    """Hold this report until the transaction ends, if nobody else does."""
    return advisory_locks.try_for(advisory_locks.Family.REPORT, report.project_id)


def _fail(report: ProjectReport, reason: str) -> None:
    waiting = Q(pk=report.pk, requested_at__isnull=False)
    ProjectReport.objects.filter(waiting).update(requested_at=None, error=reason[:1000])
