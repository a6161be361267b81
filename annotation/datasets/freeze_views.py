"""A snapshot in the making: how far it is, ending it, trying again."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST
from django.views.decorators.vary import vary_on_headers
from django_htmx.http import HttpResponseClientRedirect

from annotation.access import may_manage
from annotation.actions import freezes
from annotation.datasets.choice import Choice, SnapshotRefused, in_words
from annotation.models import JudgeKind, Project, SnapshotFreeze
from sampling.lifecycle import StaleState


@require_GET
@login_required
@vary_on_headers("HX-Request")
def snapshot_freeze(request: HttpRequest, pk: int) -> HttpResponse:
    """The page, or for htmx the part of it that is alive. Once it is frozen, both lead to the snapshot."""
    task = _managed_freeze(request, pk)
    if task.snapshot:
        where = task.snapshot.get_absolute_url()
        return HttpResponseClientRedirect(where) if request.htmx else redirect(where)
    choice = Choice.from_json(task.asked)
    context = {
        "task": task,
        "project": task.project,
        "elapsed": (task.finished_at or timezone.now()) - task.started_at if task.started_at else None,
        "projects": Project.objects.filter(pk__in=choice.project_ids).order_by("name"),
        "kinds": [JudgeKind(kind).label for kind in choice.kinds],
        "chosen": in_words(choice),
    }
    return render(request, f"annotation/{'_' if request.htmx else ''}snapshot_freeze.html", context)


@require_POST
@login_required
def snapshot_freeze_cancel(request: HttpRequest, pk: int) -> HttpResponse:
    return redirect(freezes.cancel_freeze(task=_managed_freeze(request, pk)))


@require_POST
@login_required
def snapshot_freeze_retry(request: HttpRequest, pk: int) -> HttpResponse:
    task = _managed_freeze(request, pk)
    try:
        freezes.retry_freeze(task=task, by=request.user)
    except StaleState:
        messages.info(request, "Only what failed or was cancelled can be tried again; this one has moved on.")
    except SnapshotRefused as refusal:
        messages.error(request, str(refusal))
    return redirect(task)


def _managed_freeze(request: HttpRequest, pk: int) -> SnapshotFreeze:
    task = get_object_or_404(SnapshotFreeze.objects.select_related("project", "snapshot", "created_by"), pk=pk)
    if not may_manage(request.user, task.project):
        raise PermissionDenied("Only a manager of this project may see its snapshots.")
    return task
