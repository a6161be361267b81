"""A project's snapshots, for its managers: the list, freezing one, looking at it. Exports are in export_views.py."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from annotation.access import manager_required, may_manage
from annotation.actions.freezes import request_freeze
from annotation.datasets import card as dataset_card
from annotation.datasets import exports
from annotation.datasets.choice import SnapshotRefused, choice_in, in_words
from annotation.datasets.chosen import why_nothing
from annotation.datasets.export_listing import exports_context
from annotation.datasets.forms import SnapshotForm
from annotation.datasets.preview import preview_of
from annotation.datasets.withdrawn import withdrawn_in
from annotation.models import DatasetSnapshot, JudgeKind, Project
from annotation.rendering import markdown as rendering
from annotation.rules.aggregation import Aggregation, OneRowPer
from sampling.long_tasks import TaskState

ROWS_SHOWN = 5
FREEZES_SHOWN = 10
COUNTED_AGAIN = 50_000  # judgments: of more, the counts take seconds, and are renewed by a change of the form alone


@require_GET
@manager_required
def snapshots(request: HttpRequest, project: Project) -> HttpResponse:
    found = project.snapshots.with_withdrawn().defer("settings").annotate(round_count=Count("rounds", distinct=True))
    context = {
        "project": project,
        "snapshots": found,
        "freezes": project.freezes.exclude(state__in=[TaskState.FINISHED, TaskState.CANCELLED])[:FREEZES_SHOWN],
        "may_manage": True,
    }
    return render(request, "annotation/snapshots.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@manager_required
def snapshot_new(request: HttpRequest, project: Project) -> HttpResponse:
    """The form. Asked for by htmx, only the counts of what would be frozen now."""
    if request.htmx and request.method == "GET":
        form = SnapshotForm(request.GET, project=project, user=request.user, counts_only=True)
        return render(request, "annotation/_snapshot_preview.html", _preview(project, form))
    form = SnapshotForm(request.POST or None, project=project, user=request.user)
    if request.method == "POST" and form.is_valid():
        try:
            made = request_freeze(
                choice=form.choice(), project=project, created_by=request.user,
                request_key=form.cleaned_data["request_key"],
            )  # fmt: skip
        except SnapshotRefused as refusal:
            form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        else:
            if isinstance(made, DatasetSnapshot):
                messages.success(request, f'Frozen "{made}": {made.counts["judgments"]} judgments.')
            return redirect(made)
    context = {"form": form, **_preview(project, form)}
    return render(request, "annotation/snapshot_new.html", context, status=422 if form.is_bound else 200)


@require_GET
@login_required
def snapshot(request: HttpRequest, pk: int) -> HttpResponse:
    frozen = _managed_snapshot(request, pk)
    rows = _rows_asked_for(request, frozen)
    card = dataset_card.dataset_card(frozen, rows, exports.expected_counts(frozen, rows))
    try:
        first_rows = exports.first_rows(frozen, rows, ROWS_SHOWN)
    except exports.ExportRefused as refusal:
        first_rows = []
        messages.error(request, str(refusal))
    context = {
        "snapshot": frozen,
        "project": frozen.project,
        "rounds": frozen.rounds.select_related("base_policy", "policy"),
        "kinds": [(JudgeKind(kind).label, count) for kind, count in frozen.counts["by_kind"].items()],
        "chosen": in_words(choice) if (choice := choice_in(frozen.settings)) else [],
        "is_weighed": choice is not None and choice.aggregation is Aggregation.DAWID_SKENE,
        "projects": frozen.projects.order_by("name"),
        "withdrawn": withdrawn_in(frozen),
        "rows": rows,
        "row_counts": exports.expected_counts(frozen, rows),
        "first_rows": first_rows,
        "guidelines": dataset_card.guidelines_in_force(frozen.counts.get("guidelines", [])),
        "left_out": dataset_card.reasons_left_out(frozen.counts.get("left_out", {})),
        "agreement": dataset_card.agreement_in_words(frozen.counts.get("agreement", [])),
        "card": rendering.render(card.split("---\n", 2)[2]),
        **exports_context(frozen, rows=rows),
    }
    return render(request, "annotation/snapshot.html", context)


def _managed_snapshot(request: HttpRequest, pk: int) -> DatasetSnapshot:
    frozen = get_object_or_404(DatasetSnapshot.objects.select_related("project", "created_by"), pk=pk)
    if not may_manage(request.user, frozen.project):
        raise PermissionDenied("Only a manager of this project may see its snapshots.")
    return frozen


def _rows_asked_for(request: HttpRequest, frozen: DatasetSnapshot) -> exports.Rows:
    try:
        return exports.checked_rows(request.GET.get("rows") or _rows_chosen(frozen))
    except exports.ExportRefused as refusal:
        raise Http404(str(refusal)) from refusal


def _rows_chosen(frozen: DatasetSnapshot) -> exports.Rows:
    """Those that were asked for when it was frozen."""
    choice = choice_in(frozen.settings)
    is_by_pair = choice is not None and choice.one_row_per is OneRowPer.PAIR
    return exports.Rows.MAJORITY if is_by_pair else exports.Rows.JUDGMENT


def _preview(project: Project, form: SnapshotForm) -> dict[str, Any]:
    """What would be frozen now; nothing chosen, or what makes no sense, is shown as nothing."""
    context: dict[str, Any] = {"project": project}
    choice = form.choice()
    try:
        if choice is None or not choice.checked():
            return context
    except SnapshotRefused as refusal:
        return context | {"refusal": str(refusal)}
    preview = preview_of(choice)
    return context | {
        "preview": preview,
        "is_live": preview.found.judgments <= COUNTED_AGAIN,
        "found": preview.found,
        "left_out": dataset_card.reasons_left_out(preview.left_out),
        "labels": [JudgeKind(kind).label for kind in choice.kinds],
        "by_pair": choice.one_row_per is OneRowPer.PAIR,
        "is_weighed": choice.aggregation is Aggregation.DAWID_SKENE,
        "nothing": "" if preview.found.judgments else why_nothing(choice),
    }
