"""Withdrawing one annotator's work, for staff: what it marks, why, and taking it back."""

from django import forms
from django.contrib import messages
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods

from annotation.actions.withdrawals import (
    REASON_CHARACTERS,
    WithdrawalRefused,
    projects_of,
    restore_work,
    withdraw_work,
)
from annotation.datasets.withdrawn import snapshots_with
from annotation.models import WithdrawnWork
from sampling.access import staff_required
from sampling.models import ModelVersion

SHOWN = 50


class ReasonForm(forms.Form):
    reason = forms.CharField(
        label="Why",
        max_length=REASON_CHARACTERS,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="On record in the history of the projects, such as: asked for by the annotator on 3 June.",
    )


@require_http_methods(["GET", "HEAD", "POST"])
@staff_required
def withdraw_work_view(request: HttpRequest, pk: int) -> HttpResponse:
    """What is withdrawn is restored by the same page. ``?next=``: where to go afterwards, in this site."""
    annotator = get_object_or_404(User, pk=pk)
    work = WithdrawnWork.objects.select_related("by").filter(annotator=annotator).first()
    form = ReasonForm(request.POST if request.POST.get("do") == "withdraw" else None)
    if request.POST.get("do") == "restore":
        if restore_work(annotator=annotator, by=request.user):
            messages.success(request, f"The work of {annotator} becomes data again.")
        return redirect(_next(request, annotator))
    if request.method == "POST" and form.is_valid():
        try:
            withdraw_work(annotator=annotator, reason=form.cleaned_data["reason"], by=request.user)
        except WithdrawalRefused as refusal:
            form.add_error("reason", str(refusal))
        else:
            messages.success(request, f"The work of {annotator} is withdrawn: it becomes no data any more.")
            return redirect(_next(request, annotator))
    snapshots, versions = snapshots_with(annotator), _versions_of(annotator)
    context = {
        "annotator": annotator,
        "work": work,
        "form": form,
        "projects": projects_of(annotator),
        "judgments": annotator.judgments.count(),
        "snapshots": snapshots[:SHOWN],
        "snapshots_more": max(0, snapshots.count() - SHOWN),
        "versions": versions[:SHOWN],
        "versions_more": max(0, versions.count() - SHOWN),
        "next": request.GET.get("next") or request.POST.get("next", ""),
        "back": _next(request, annotator),
    }
    return render(request, "annotation/withdraw_work.html", context, status=422 if form.errors else 200)


def _versions_of(annotator: User) -> QuerySet[ModelVersion]:
    """Of all rounds on those snapshots: what came of them in turn is on the page of what learned from the annotator."""
    snapshots = snapshots_with(annotator).values("pk")
    return ModelVersion.objects.filter(stage__round__snapshot__in=snapshots).order_by("-created_at").distinct()


def _next(request: HttpRequest, annotator: User) -> str:
    asked = request.POST.get("next") or request.GET.get("next", "")
    if url_has_allowed_host_and_scheme(asked, allowed_hosts={request.get_host()}, require_https=request.is_secure()):
        return asked
    return reverse("annotation:withdraw_work", args=[annotator.pk])
