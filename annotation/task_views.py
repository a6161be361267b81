"""The page that people rank on, and what it sends: submit, skip, draft, renew."""

import uuid
from contextlib import suppress

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import HttpResponseClientRedirect

from annotation import actions
from annotation.access import may_annotate, may_manage, member_required, sign_in_required
from annotation.forms import AnswerForm
from annotation.models import Assignment, AssignmentState, Project
from annotation.progress import own_progress
from annotation.ranking import RankingError
from annotation.rendering import render as render_markdown
from annotation.task_page import answer_form, task_context

SKIP_REASONS = [
    "I cannot judge this",
    "The prompt makes no sense",
    "Every completion is broken",
    "It is harmful or upsetting",
]


@require_GET
@never_cache
@member_required
def annotate(request: HttpRequest, project: Project) -> HttpResponse:
    """The next comparison of this annotator. A reload shows the same one."""
    return _show_next(request, project, done=_uuid_or_none(request.GET.get("done")))


@require_GET
@never_cache
@sign_in_required
def assignment(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """One's own assignment: what is held goes on, what was submitted can be corrected."""
    found = _own_assignment(request, pk)
    match AssignmentState(found.state):
        case AssignmentState.HELD | AssignmentState.SUBMITTED:
            return _show(request, found, answer_form(found))
        case AssignmentState.SKIPPED | AssignmentState.EXPIRED:
            return redirect("annotation:annotate", found.comparison.project.slug)


@require_POST
@sign_in_required
def submit(request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
    found = _own_assignment(request, pk)
    was_submitted = found.state == AssignmentState.SUBMITTED
    form = answer_form(found, request.POST)
    if not form.is_valid():
        return _show(request, found, form, status=422)
    try:
        ranking = form.ranking()
        actions.submit_judgment(
            assignment=found,
            annotator=request.user,
            answer=actions.Answer(
                ranking=ranking.groups,
                strengths=ranking.strengths,
                seconds_spent=form.cleaned_data["seconds_spent"],
                rationale=form.cleaned_data["rationale"],
            ),
            request_key=form.cleaned_data["request_key"],
        )
    except RankingError as error:
        form.add_error(None, str(error))
        return _show(request, found, form, status=422)
    except actions.AnswerRefused as error:
        form.add_error(None, str(error))
        return _show(request, found, form, status=409)
    return _go_on(request, found, stays_on_page=not was_submitted)


@require_POST
@sign_in_required
def skip(request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
    found = _own_assignment(request, pk)
    with suppress(actions.LeaseLost):  # out of the annotator's hands already, which is what they wanted
        actions.skip(assignment=found, annotator=request.user, reason=request.POST.get("reason", ""))
    return _go_on(request, found, stays_on_page=True)


@require_POST
@sign_in_required
def draft(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    found = _own_assignment(request, pk)
    form = answer_form(found, request.POST)
    form.full_clean()  # an unfinished answer is worth keeping: its valid parts are kept
    return _quietly(actions.save_draft, assignment=found, annotator=request.user, draft=form.draft())


@require_POST
@sign_in_required
def renew(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    found = _own_assignment(request, pk)
    return _quietly(actions.renew_lease, assignment=found, annotator=request.user)


def _quietly(action, **arguments) -> HttpResponse:
    """For requests that the page makes by itself: nothing on success, 409 and the reason otherwise."""
    try:
        action(**arguments)
    except actions.LeaseLost as error:
        return HttpResponse(str(error), status=409, content_type="text/plain")
    return HttpResponse(status=204)


def _own_assignment(request: HttpRequest, pk: uuid.UUID) -> Assignment:
    """404 for what belongs to somebody else: its address says nothing to others."""
    found = get_object_or_404(
        Assignment.objects.select_related("comparison__project__guidelines_version", "comparison__prompt"),
        pk=pk,
        annotator=request.user,
    )
    if not may_annotate(request.user, found.comparison.project):
        raise PermissionDenied("You are no longer a member of this project.")
    return found


def _go_on(request: HttpRequest, done: Assignment, *, stays_on_page: bool) -> HttpResponseBase:
    project = done.comparison.project
    done_pk = done.pk if done.state == AssignmentState.SUBMITTED else None
    if request.htmx and stays_on_page:
        return _show_next(request, project, done=done_pk)
    address = reverse("annotation:annotate", args=[project.slug]) + (f"?done={done_pk}" if done_pk else "")
    return HttpResponseClientRedirect(address) if request.htmx else redirect(address)


def _show_next(request: HttpRequest, project: Project, *, done: uuid.UUID | None) -> HttpResponse:
    claimed = actions.claim_next(project=project, annotator=request.user)
    if claimed is None:
        return _render_task(request, project, {"done": done, "assignment": None})
    found = _own_assignment(request, claimed.pk)
    return _show(request, found, answer_form(found), done=done)


def _show(
    request: HttpRequest,
    found: Assignment,
    form: AnswerForm,
    *,
    status: int = 200,
    done: uuid.UUID | None = None,
) -> HttpResponse:
    context = {**task_context(found, form), "done": done, "skip_reasons": SKIP_REASONS}
    return _render_task(request, found.comparison.project, context, status=status)


def _render_task(request: HttpRequest, project: Project, context: dict, *, status: int = 200) -> HttpResponse:
    template = "annotation/_task.html" if request.htmx else "annotation/annotate.html"
    context = {
        **context,
        "project": project,
        "guidelines": render_markdown(project.guidelines) if project.guidelines else None,
        "progress": own_progress(project=project, annotator=request.user),
        "may_manage": may_manage(request.user, project),
    }
    return render(request, template, context, status=status)


def _uuid_or_none(text: str | None) -> uuid.UUID | None:
    try:
        return uuid.UUID(text or "")
    except ValueError:
        return None
