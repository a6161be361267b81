"""Every change of a project: who, when, from what to what."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from annotation.access import manager_required
from annotation.addresses import number_in
from annotation.models import Project
from annotation.projects.changes import kind_label, told

PAGE = 50  # changes


@require_GET
@manager_required
def history(request: HttpRequest, project: Project) -> HttpResponse:
    kind, before = request.GET.get("kind", ""), number_in(request.GET.get("before"))
    changes = project.changes.select_related("who")
    kinds = sorted(changes.order_by().values_list("what", flat=True).distinct())
    if kind in kinds:
        changes = changes.filter(what=kind)
    if before:
        changes = changes.filter(pk__lt=before)
    page = list(changes[: PAGE + 1])
    rows = [
        {"change": change, "kind": kind_label(change.what),
         "told": told(change.what, change.subject, change.before, change.after)}
        for change in page[:PAGE]
    ]  # fmt: skip
    context = {
        "project": project,
        "may_manage": True,
        "rows": rows,
        "kind": kind if kind in kinds else "",
        "kinds": [(each, kind_label(each)) for each in kinds],
        "is_newest": before is None,
        "older": page[PAGE - 1].pk if len(page) > PAGE else None,
    }
    return render(request, "annotation/history.html", context)
