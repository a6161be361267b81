"""What annotators report about comparisons: the flags that they raise and the reasons why they skip."""

from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Count, F, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from annotation.access import may_manage, may_review, reviewer_required
from annotation.actions import review
from annotation.models import Assignment, AssignmentState, Flag, Project
from annotation.review.forms import ResolutionForm

ON_A_PAGE = 25


@require_GET
@reviewer_required
def flags(request: HttpRequest, project: Project) -> HttpResponse:
    is_resolved = request.GET.get("resolved") == "1"
    of_project = Flag.objects.filter(comparison__project=project)
    found = of_project.filter(resolved_at__isnull=not is_resolved).select_related(
        "raised_by", "resolved_by", "comparison__prompt"
    )
    context = {
        "project": project,
        "may_manage": may_manage(request.user, project),
        "page": Paginator(found, ON_A_PAGE).get_page(request.GET.get("page")),
        "is_resolved": is_resolved,
        "open_count": of_project.filter(resolved_at__isnull=True).count(),
    }
    return render(request, "annotation/flags.html", context)


@require_POST
@login_required
def flag_resolve(request: HttpRequest, pk: int) -> HttpResponse:
    """Resolve a flag. By htmx the answer is the flag as it stands then; whoever comes second sees the first's word."""
    flag = get_object_or_404(Flag.objects.select_related("comparison__project", "comparison__prompt"), pk=pk)
    project = flag.comparison.project
    if not may_review(request.user, project):
        raise PermissionDenied("Only a reviewer or a manager of this project may resolve its flags.")
    form = ResolutionForm(request.POST)
    if form.is_valid():
        review.resolve_flag(flag=flag, resolution=form.cleaned_data["resolution"], by=request.user)
    if request.htmx or not form.is_valid():
        template = "annotation/_flag.html" if request.htmx else "annotation/flag.html"
        back = "comparison" if request.POST.get("back") == "comparison" else ""
        context = {
            "flag": flag,
            "form": form,
            "project": project,
            "may_manage": may_manage(request.user, project),
            "back": back,
            # On the page of flags their number stands above the list: it comes with the answer.
            "is_beside": bool(request.htmx) and form.is_valid() and not back,
            "open_count": Flag.objects.filter(comparison__project=project, resolved_at__isnull=True).count(),
        }
        return render(request, template, context, status=200 if form.is_valid() else 422)
    if request.POST.get("back") == "comparison":
        return redirect("annotation:comparison", flag.comparison_id)
    return redirect("annotation:flags", project.slug)


@require_GET
@reviewer_required
def skips(request: HttpRequest, project: Project) -> HttpResponse:
    """Why comparisons were skipped, how often and by whom; ``?reason=`` or ``?annotator=`` narrows the list below."""
    of_project = Assignment.objects.filter(comparison__project=project, state=AssignmentState.SKIPPED)
    found = of_project.select_related("annotator", "comparison__prompt").order_by("-created_at")
    asked = {name: request.GET[name].replace("\x00", "") for name in ("reason", "annotator") if name in request.GET}
    reason, annotator = asked.get("reason"), asked.get("annotator")
    if reason is not None:
        found = found.filter(skip_reason=reason)
    if annotator:
        found = found.filter(annotator__username=annotator)
    context = {
        "project": project,
        "may_manage": may_manage(request.user, project),
        "by_reason": _counts(of_project, "skip_reason")[:20],
        "by_annotator": _counts(of_project, "annotator__username")[:50],
        "page": Paginator(found, ON_A_PAGE).get_page(request.GET.get("page")),
        "reason": reason,
        "annotator": annotator,
        "query": f"&{urlencode(asked)}" if asked else "",
    }
    return render(request, "annotation/skips.html", context)


def _counts(skipped: QuerySet[Assignment], by: str) -> QuerySet:
    """How many of them have which value, the most frequent first."""
    return skipped.order_by().values(value=F(by)).annotate(skips=Count("pk")).order_by("-skips", "value")
