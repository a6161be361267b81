"""The pages on which reviewers look at comparisons, and decide."""

from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from annotation import actions
from annotation.access import may_manage, reviewer_required
from annotation.actions import review
from annotation.addresses import number_in
from annotation.models import Comparison, Project
from annotation.rendering import plain
from annotation.review import listing as review_list
from annotation.review.access import managed_comparison, reviewed_comparison
from annotation.review.forms import FilterForm, PriorityForm, ReasonForm
from annotation.review.page import review_of, whole_texts


@require_GET
@reviewer_required
def comparisons(request: HttpRequest, project: Project) -> HttpResponse:
    """The list. Asked for by htmx, only its rows."""
    form = FilterForm(request.GET, project=project)
    context = {"project": project, "form": form, "may_manage": may_manage(request.user, project)}
    context |= _rows(request, project, form.filters())
    template = "annotation/_comparisons.html" if request.htmx else "annotation/comparisons.html"
    return render(request, template, context)


def _rows(request: HttpRequest, project: Project, filters: review_list.Filters) -> dict:
    page = min(max(number_in(request.GET.get("page")) or 1, 1), review_list.LAST_PAGE)
    chosen = review_list.matching(project, filters)
    older = None
    if filters.is_by_disagreement:
        before = number_in(request.GET.get("before"))
        looked_at = review_list.window(chosen, filters.kind, before)
        found = review_list.in_window(chosen, filters, looked_at)
        ids, has_more = found[(page - 1) * review_list.PAGE :][: review_list.PAGE], len(found) > page * review_list.PAGE
        older = looked_at.older
    else:
        ids, has_more = review_list.in_order(chosen, filters.order, page)
    asked = {name: value for name, value in request.GET.items() if value and name != "page"}
    return {
        "filters": filters,
        "is_filtered": bool(filters.text or filters.state or filters.purpose or filters.group),
        "rows": review_list.rows(ids, filters.kind),
        "page": page,
        "previous_page": urlencode({**asked, "page": page - 1}) if page > 1 else "",
        "next_page": urlencode({**asked, "page": page + 1}) if has_more and page < review_list.LAST_PAGE else "",
        "is_last_page": has_more and page == review_list.LAST_PAGE,
        "older": urlencode({**asked, "before": older}) if older else "",
        "window": review_list.WINDOW,
        "judges": review_list.KINDS_OF_JUDGES[filters.kind],
    }


@require_GET
@reviewer_required
def next_disagreement(request: HttpRequest, project: Project) -> HttpResponse:
    """To the undecided comparison that annotators disagree on most; ``?after=`` one to the next."""
    filters = FilterForm(request.GET, project=project).filters()
    after = number_in(request.GET.get("after"))
    found = review_list.next_disagreement(project, filters.kind, after)
    if found:
        asked = {"kind": request.GET["kind"]} if request.GET.get("kind") else {}
        return redirect(reverse("annotation:comparison", args=[found]) + (f"?{urlencode(asked)}" if asked else ""))
    words = "That was the last one: no other" if after else "No"
    judges = review_list.KINDS_OF_JUDGES[filters.kind]
    messages.success(request, f"{words} undecided comparison has {judges} who disagree.")
    return redirect("annotation:comparisons", project.slug)


@require_GET
@login_required
def comparison(request: HttpRequest, pk: int) -> HttpResponse:
    found = reviewed_comparison(request, pk)
    manages = may_manage(request.user, found.project)
    with_policies = request.GET.get("policies") == "1"
    if with_policies and not manages:
        raise PermissionDenied("Only a manager may see which policy wrote which completion: decisions stay blind.")
    flags = found.flags.select_related("raised_by", "resolved_by")
    context = {
        "project": found.project,
        "comparison": found,
        "may_manage": manages,
        "with_policies": with_policies,
        "review": review_of(found, with_policies=with_policies),
        "flags": sorted(flags, key=lambda flag: (flag.resolved_at is not None, -flag.pk)),
        "priority_form": PriorityForm(initial={"priority": found.priority}),
        # Who was at work when the overlap was lowered may have given more than are wanted.
        "one_more": max(found.wanted, found.slots.filter(is_filled=True).count()) + 1,
        "max_judgments": review.MAX_JUDGMENTS,
    }
    return render(request, "annotation/comparison.html", context)


@require_GET
@login_required
def comparison_text(request: HttpRequest, pk: int, part: str) -> HttpResponse:
    """The whole of what the page shows only the beginning of, as nothing but text."""
    return plain.one_of(whole_texts(reviewed_comparison(request, pk)), part)


@require_POST
@login_required
def decide(request: HttpRequest, pk: int) -> HttpResponse:
    found = reviewed_comparison(request, pk)
    try:
        return redirect(review.open_review(comparison=found, reviewer=request.user))
    except review.ReviewRefused as refusal:
        return _refused(request, found, refusal)


@require_POST
@login_required
def ask_another(request: HttpRequest, pk: int) -> HttpResponse:
    """``wanted`` is the number that the page named, so that a double click asks for one more and not for two."""
    found = reviewed_comparison(request, pk)
    wanted = number_in(request.POST.get("wanted")) or 0
    try:
        review.ask_for_judgments(comparison=found, wanted=wanted, by=request.user)
    except review.ReviewRefused as refusal:
        return _refused(request, found, refusal)
    count = max(wanted, found.wanted)
    beside = " beside the imported ones" if found.data_import_id else " in all"
    messages.success(request, f"This comparison waits for {count} judgment{'' if count == 1 else 's'}{beside}.")
    return redirect("annotation:comparison", pk)


@require_POST
@login_required
def priority(request: HttpRequest, pk: int) -> HttpResponse:
    found = managed_comparison(request, pk)
    form = PriorityForm(request.POST)
    if form.is_valid():
        chosen = Comparison.objects.filter(pk=pk)
        actions.set_priority(comparisons=chosen, priority=form.cleaned_data["priority"], by=request.user)
        messages.success(request, f"Its priority is {form.cleaned_data['priority']}.")
    else:
        messages.error(request, "A priority is a whole number from -1000 to 1000.")
    return redirect("annotation:comparison", found.pk)


@require_http_methods(["GET", "POST"])
@login_required
def withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    """Asks for the reason, which is the confirmation; the same page restores what is withdrawn."""
    found = managed_comparison(request, pk)
    form = ReasonForm(request.POST or None)
    restores = request.POST.get("do", "restore" if found.withdrawn_at else "withdraw") == "restore"
    if form.is_valid():
        action = review.restore if restores else review.withdraw
        action(comparison=found, reason=form.cleaned_data["reason"], by=request.user)
        messages.success(request, "Restored." if restores else "Withdrawn: in no queue and in no new snapshot.")
        return redirect("annotation:comparison", found.pk)
    context = {
        "project": found.project,
        "comparison": found,
        "form": form,
        "restores": restores,
        "judgments": found.judgments.current().count(),
    }
    return render(request, "annotation/comparison_withdraw.html", context, status=422 if form.is_bound else 200)


def _refused(request: HttpRequest, found: Comparison, refusal: Exception) -> HttpResponse:
    messages.error(request, str(refusal))
    return redirect("annotation:comparison", found.pk)
