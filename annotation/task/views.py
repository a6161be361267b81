"""The page that people rank on, and what it sends: submit, skip, draft, renew, and the next task ahead of time."""

import uuid
from contextlib import suppress

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import HttpResponseClientRedirect

from annotation import actions
from annotation.access import (
    is_background,
    is_script,
    member_required,
    membership_of,
    own_assignment,
    sign_in_required,
)
from annotation.models import Assignment, AssignmentPurpose, AssignmentState, Comparison, Project
from annotation.queue.next_slot import why_nothing
from annotation.rendering.plain import in_words
from annotation.rules.marks import MarksError
from annotation.rules.ranking import RankingError
from annotation.task.answer_form import AnswerForm
from annotation.task.feedback import feedback_context
from annotation.task.page import answer_form, page_context, task_context

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
    return _show_next(request, project, done=uuid_or_none(request.GET.get("done")))


@require_POST
@never_cache
@sign_in_required
@member_required
def ahead(request: HttpRequest, project: Project) -> HttpResponse:
    """The task after the one that is being worked on, leased, so that nobody waits for it later."""
    worked_on = get_object_or_404(
        Assignment, pk=uuid_or_none(request.POST.get("of")), annotator=request.user, comparison__project=project
    )
    claimed = actions.claim_next(project=project, annotator=request.user, besides=worked_on)
    if claimed is None:
        return HttpResponse(status=204)
    found = _with_its_page(claimed, project)
    return render(request, "annotation/_task.html", _context(request, found, answer_form(found)))


@require_GET
@never_cache
@sign_in_required
def assignment(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """One's own assignment: what is held goes on, what was submitted can be corrected."""
    found = own_assignment(request, pk)
    match AssignmentState(found.state):
        case AssignmentState.HELD | AssignmentState.SUBMITTED:
            return _show(request, found, answer_form(found))
        case AssignmentState.SKIPPED | AssignmentState.EXPIRED:
            return redirect("annotation:annotate", found.comparison.project.slug)


@require_POST
@never_cache
@sign_in_required
def submit(request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
    found = own_assignment(request, pk)
    is_first = found.state != AssignmentState.SUBMITTED
    form = answer_form(found, request.POST, is_scripted=is_script(request))
    refused = _submit(request, found, form)
    if is_background(request):
        return _refused_in_words(found, form, refused) if refused else HttpResponse(status=204)
    if refused:
        return _show(request, found, form, status=refused)
    return _go_on(request, found, stays_on_page=is_first)


def _refused_in_words(found: Assignment, form: AnswerForm, status: int) -> HttpResponse:
    response = in_words(_reasons(form), status)
    if status == 422 or found.state == AssignmentState.SUBMITTED:  # it can be opened there, and put right
        response["Content-Location"] = found.get_absolute_url()
    return response


def _submit(request: HttpRequest, found: Assignment, form: AnswerForm) -> int | None:
    """None when the answer is kept; else the status of the refusal, whose words are among the form's errors."""
    if not form.is_valid():
        return 422
    try:
        actions.submit_judgment(
            assignment=found,
            annotator=request.user,
            answer=form.answer(),
            request_key=form.cleaned_data["request_key"],
            based_on=form.basis(),
        )
    except (RankingError, MarksError) as error:
        form.add_error(None, str(error))
        return 422
    except actions.AnsweredMeanwhile as error:
        found.refresh_from_db(fields=["state"])  # the other answer may have come since it was read
        form.add_error(None, str(error))
        if not is_background(request):
            form.add_error(None, "Save once more to replace it with what stands here.")
            form.learn_of(error)
        return 409
    except actions.AnswerRefused as error:
        form.add_error(None, str(error))
        return 409
    return None


@require_POST
@never_cache
@sign_in_required
def skip(request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
    """``reason`` may come twice: one of those on offer, and words of one's own."""
    found = own_assignment(request, pk)
    reasons = (reason.replace("\x00", "").strip() for reason in request.POST.getlist("reason"))
    with suppress(actions.LeaseLost):  # out of the annotator's hands already, which is what they wanted
        actions.skip(assignment=found, annotator=request.user, reason=": ".join(filter(None, reasons)))
    if is_background(request):
        return HttpResponse(status=204)
    return _go_on(request, found, stays_on_page=True)


@require_POST
@sign_in_required
def draft(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    found = own_assignment(request, pk)
    form = answer_form(found, request.POST, is_draft=True)
    form.full_clean()  # an unfinished answer is worth keeping: its valid parts are kept
    return _quietly(actions.save_draft, assignment=found, annotator=request.user, draft=form.draft())


@require_POST
@sign_in_required
def renew(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    found = own_assignment(request, pk)
    return _quietly(actions.renew_lease, assignment=found, annotator=request.user)


@require_GET
@never_cache
@sign_in_required
def feedback(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """What one answered to a training item, beside the known answer. There is none for anything else."""
    found = own_assignment(request, pk)
    if found.purpose != AssignmentPurpose.TRAINING or found.state != AssignmentState.SUBMITTED:
        return redirect(found)
    return _show_feedback(request, found)


def _quietly(action, **arguments) -> HttpResponse:
    """For requests that the page makes by itself: nothing on success, 409 and the reason otherwise."""
    try:
        action(**arguments)
    except actions.LeaseLost as error:
        return in_words(str(error), 409)
    return HttpResponse(status=204)


def _reasons(form: AnswerForm) -> str:
    """Everything that is wrong with an answer, once each: a line for each reason."""
    return "\n".join(dict.fromkeys(str(error) for errors in form.errors.values() for error in errors))


def _go_on(request: HttpRequest, done: Assignment, *, stays_on_page: bool) -> HttpResponseBase:
    project = done.comparison.project
    done_pk = done.pk if done.state == AssignmentState.SUBMITTED else None
    match AssignmentPurpose(done.purpose):
        case AssignmentPurpose.TRAINING if done_pk and request.htmx and stays_on_page:
            return _show_feedback(request, done)
        case AssignmentPurpose.TRAINING if done_pk:
            address = reverse("annotation:feedback", args=[done.pk])
        case AssignmentPurpose.REVIEW:
            if done_pk:
                messages.success(request, "Decided. It counts instead of the annotators' judgments.")
            address = reverse("annotation:comparison", args=[done.comparison_id])
        case _ if request.htmx and stays_on_page:
            return _show_next(request, project, done=done_pk)
        case _:
            address = reverse("annotation:annotate", args=[project.slug]) + (f"?done={done_pk}" if done_pk else "")
    return HttpResponseClientRedirect(address) if request.htmx else redirect(address)


def _show_next(request: HttpRequest, project: Project, *, done: uuid.UUID | None) -> HttpResponse:
    claimed = actions.claim_next(project=project, annotator=request.user)
    if claimed is None:
        nothing = {"assignment": None, "nothing": why_nothing(project=project, annotator=request.user)}
        return _render_task(request, {**_around(request, project), **nothing, "done": done})
    found = _with_its_page(claimed, project)
    return _show(request, found, answer_form(found), done=done)


def _with_its_page(claimed: Assignment, project: Project) -> Assignment:
    """What was just claimed, with all that its page shows but the texts. The project is at hand already."""
    claimed.comparison = Comparison.objects.select_related("prompt").get(pk=claimed.comparison_id)
    claimed.comparison.project = project
    return claimed


def _show(
    request: HttpRequest,
    found: Assignment,
    form: AnswerForm,
    *,
    status: int = 200,
    done: uuid.UUID | None = None,
) -> HttpResponse:
    return _render_task(request, _context(request, found, form) | {"done": done}, status=status)


def _around(request: HttpRequest, project: Project) -> dict:
    return page_context(project, request.user, membership_of(request, project))


def _context(request: HttpRequest, found: Assignment, form: AnswerForm) -> dict:
    return {**_around(request, found.comparison.project), **task_context(found, form), "skip_reasons": SKIP_REASONS}


def _render_task(request: HttpRequest, context: dict, *, status: int = 200) -> HttpResponse:
    template = "annotation/_task.html" if request.htmx else "annotation/annotate.html"
    return render(request, template, context, status=status)


def _show_feedback(request: HttpRequest, found: Assignment) -> HttpResponse:
    template = "annotation/_feedback.html" if request.htmx else "annotation/feedback.html"
    context = {**_around(request, found.comparison.project), **feedback_context(found)}
    return render(request, template, context)


def uuid_or_none(text: str | None) -> uuid.UUID | None:
    try:
        return uuid.UUID(text or "")
    except ValueError:
        return None
