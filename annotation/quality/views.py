"""Pages of agreement and of annotators' figures. Computed by a worker; the pages show what was computed last."""

import csv
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import retarget

from annotation import actions
from annotation.access import may_manage, reviewer_required
from annotation.actions.reports import is_being_computed
from annotation.models import JudgeKind, Judgment, Project, ProjectReport
from annotation.quality import page as quality_page
from annotation.quality import words as quality_words
from annotation.quality.annotator_warnings import MIN_ROWS
from annotation.quality.win_rates import win_rates_page

SLOW = timedelta(minutes=1)  # a request that no worker has taken by then has perhaps no worker
SHOWN = 200  # annotators in the table; all are in the file
RATIONALES = 10


@require_GET
@reviewer_required
def quality(request: HttpRequest, project: Project) -> HttpResponse:
    report = actions.refreshed_report(project=project)
    return render(request, "annotation/quality.html", _context(request, project, report))


@require_GET
@reviewer_required
def quality_status(request: HttpRequest, project: Project) -> HttpResponse:
    """What the page asks every two seconds while new figures are computed; once they are there, all of them."""
    report = actions.refreshed_report(project=project)
    if not request.htmx:
        return redirect("annotation:quality", project.slug)
    if report.requested_at is None:
        return retarget(render(request, "annotation/_quality.html", _context(request, project, report)), "#quality")
    asked = request.GET.get("kind")  # as it stands in the address: the report is too large to be read at each poll
    context = _status(project, report) | {"kind": asked if asked in JudgeKind.values else JudgeKind.PERSON.value}
    if context["state"] == request.GET.get("seen"):
        return HttpResponse(status=204)  # left as it is: a screen reader would read it out again
    return render(request, "annotation/_quality_status.html", context)


@require_POST
@reviewer_required
def quality_update(request: HttpRequest, project: Project) -> HttpResponse:
    actions.request_report(project=project)
    kind = request.POST.get("kind", "")
    address = reverse("annotation:quality", args=[project.slug])
    return redirect(f"{address}?kind={kind}" if kind in JudgeKind.values else address)


@require_GET
@reviewer_required
def annotator(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    report = ProjectReport.objects.filter(project=project).first() or ProjectReport(project=project)
    kind = _kind(request, report)["kind"]
    found = [(name, each) for name in _kinds_first(kind) for each in _people(report, name) if each["annotator"] == pk]
    user = get_object_or_404(User, pk=pk)
    if not found:
        return _not_yet(request, project, user, kind)
    kind, person = found[0]
    given = Judgment.objects.current().filter(comparison__project=project, annotator=user).exclude(rationale="")
    context = {
        "project": project,
        "may_manage": may_manage(request.user, project),
        "report": report,
        "annotator": user,
        "kind": JudgeKind(kind),
        "row": quality_page.annotator_row(person, user.get_username(), quality_page.WIDE),
        "pace": quality_words.pace_words(person["pace"]),
        "charts": quality_page.charts_of(person),
        "rationales": given.order_by("-pk")[:RATIONALES],
    }
    return render(request, "annotation/quality_annotator.html", context)


def _not_yet(request: HttpRequest, project: Project, user: User, kind: str) -> HttpResponse:
    """Who has judged here since the figures were computed, or before there were any: these are asked for."""
    has_judged = Judgment.objects.filter(comparison__project=project, annotator=user).exists()
    if not has_judged and not project.memberships.filter(user=user).exists():
        raise Http404("Nobody of that number has judged here.")
    context = {
        "project": project,
        "may_manage": may_manage(request.user, project),
        "report": actions.refreshed_report(project=project),
        "annotator": user,
        "kind": JudgeKind(kind),
        "has_judged": has_judged,
    }
    return render(request, "annotation/quality_annotator.html", context)


@require_GET
@reviewer_required
def annotators_csv(request: HttpRequest, project: Project) -> HttpResponse:
    report = get_object_or_404(ProjectReport, project=project)
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{project.slug}-annotators.csv"'
    writer = csv.writer(response)
    writer.writerow(quality_page.CSV_HEAD)
    people = [(kind, person) for kind in JudgeKind.values for person in _people(report, kind)]
    names = _names(person for _, person in people)
    writer.writerows(quality_page.csv_row(person, names[person["annotator"]], kind) for kind, person in people)
    return response


def _context(request: HttpRequest, project: Project, report: ProjectReport) -> dict[str, Any]:
    chosen = _kind(request, report)
    figures = report.content.get("kinds", {}).get(chosen["kind"], {})
    people = _people(report, chosen["kind"])
    rows = quality_page.annotator_rows(people, _names(people))
    manages = may_manage(request.user, project)
    return (
        {
            "project": project,
            "may_manage": manages,
            # Not for reviewers: what they decide should not depend on whose work usually wins.
            "win_rates": win_rates_page(figures.get("win_rates")) if manages else None,
            "kinds": quality_page.kinds_in(report.content),
            "figures": figures,
            "agreement": quality_page.agreement_page(figures.get("agreement", [])),
            "habits": quality_words.HABITS,
            "rows": rows[:SHOWN],
            "left_out": max(0, len(rows) - SHOWN),
            "min_rows": MIN_ROWS,
            "warned": [row for row in rows[:SHOWN] if row.warnings],
        }
        | chosen
        | _status(project, report)
    )


def _status(project: Project, report: ProjectReport) -> dict[str, Any]:
    """``state``: done, or where the request is: waiting for a worker, for too long, or being computed."""
    if report.requested_at is None:
        state = "done"
    elif is_being_computed(report):
        state = "computing"
    else:
        state = "slow" if timezone.now() - report.requested_at > SLOW else "waiting"
    return {"project": project, "report": report, "state": state}


def _kind(request: HttpRequest, report: ProjectReport) -> dict[str, str]:
    """The kind of judge that is asked for; else people, else the first kind that has judged."""
    there = [kind for kind, *_ in quality_page.kinds_in(report.content)]
    asked = request.GET.get("kind")
    return {"kind": asked if asked in there else next(iter(there), JudgeKind.PERSON.value)}


def _kinds_first(kind: str) -> list[str]:
    return [kind, *(other for other in JudgeKind.values if other != kind)]


def _people(report: ProjectReport, kind: str) -> list[dict[str, Any]]:
    return report.content.get("kinds", {}).get(kind, {}).get("by_annotator", [])


def _names(people) -> dict[int, str]:
    return dict(User.objects.filter(pk__in=[person["annotator"] for person in people]).values_list("pk", "username"))
