"""One's own answers in a project: a list, and the way back from a task to the one before it."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from annotation.access import may_manage, member_required
from annotation.models import Assignment, Project
from annotation.task.own_answers import Show, as_lines, before, own_answers
from annotation.task.views import uuid_or_none

PER_PAGE = 25


@require_GET
@never_cache
@member_required
def answers(request: HttpRequest, project: Project) -> HttpResponse:
    show = Show(request.GET.get("show")) if request.GET.get("show") in Show.values else Show.ALL
    words = request.GET.get("q", "").replace("\x00", "").strip()
    page = Paginator(own_answers(project, request.user, show, words), PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "project": project,
        "may_manage": may_manage(request.user, project),
        "shows": Show,
        "show": show,
        "words": words,
        "page": page,
        "lines": as_lines(page.object_list, request.user),
    }
    return render(request, "annotation/answers.html", context)


@require_GET
@never_cache
@member_required
def previous(request: HttpRequest, project: Project) -> HttpResponse:
    """To what one submitted last; with ``before``, to what was submitted before that."""
    here = Assignment.objects.filter(
        pk=uuid_or_none(request.GET.get("before")), annotator=request.user, comparison__project=project
    ).first()
    earlier = before(project, request.user, here)
    if earlier is not None:
        return redirect(earlier)
    messages.info(request, "There is no earlier answer of yours.")
    return redirect(here) if here else redirect("annotation:annotate", project.slug)
