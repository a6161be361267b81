"""A project's snapshots, for its managers: the list, freezing one, looking at it, downloading it."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from annotation.access import manager_required, may_manage
from annotation.datasets import card as dataset_card
from annotation.datasets import exports
from annotation.datasets.counts import left_out
from annotation.datasets.forms import SnapshotForm
from annotation.datasets.snapshots import SnapshotRefused, available, checked_kinds, freeze_snapshot
from annotation.models import DatasetSnapshot, JudgeKind, Project
from annotation.rendering import markdown as rendering

ROWS_SHOWN = 5


@require_GET
@manager_required
def snapshots(request: HttpRequest, project: Project) -> HttpResponse:
    found = project.snapshots.select_related("created_by").annotate(round_count=Count("rounds"))
    context = {"project": project, "snapshots": found, "may_manage": True}
    return render(request, "annotation/snapshots.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@manager_required
def snapshot_new(request: HttpRequest, project: Project) -> HttpResponse:
    """The form. Asked for by htmx, only the counts of what would be frozen now."""
    if request.htmx and request.method == "GET":
        return render(request, "annotation/_snapshot_preview.html", _preview(project, request.GET.getlist("kinds")))
    form = SnapshotForm(request.POST or None, project=project)
    if request.method == "POST" and form.is_valid():
        try:
            frozen = freeze_snapshot(project=project, created_by=request.user, **form.cleaned_data)
        except SnapshotRefused as refusal:
            form.add_error(refusal.field, str(refusal))
        else:
            messages.success(request, f'Frozen "{frozen}": {frozen.counts["judgments"]} judgments.')
            return redirect(frozen)
    kinds = form.data.getlist("kinds") if form.is_bound else form.default_kinds
    context = {"form": form, **_preview(project, kinds)}
    return render(request, "annotation/snapshot_new.html", context, status=422 if form.is_bound else 200)


@require_GET
@login_required
def snapshot(request: HttpRequest, pk: int) -> HttpResponse:
    frozen = _managed_snapshot(request, pk)
    rows = _rows_asked_for(request)
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
        "rows": rows,
        "row_counts": exports.expected_counts(frozen, rows),
        "first_rows": first_rows,
        "guidelines": dataset_card.guidelines_in_force(frozen.counts.get("guidelines", [])),
        "left_out": dataset_card.reasons_left_out(frozen.counts.get("left_out", {})),
        "agreement": dataset_card.agreement_in_words(frozen.counts.get("agreement", [])),
        "card": rendering.render(card.split("---\n", 2)[2]),
    }
    return render(request, "annotation/snapshot.html", context)


@require_GET
@login_required
def snapshot_download(request: HttpRequest, pk: int) -> HttpResponseBase:
    """``?rows=judgment|majority&file=zip|train|eval``, streamed from the cached export."""
    frozen = _managed_snapshot(request, pk)
    rows = _rows_asked_for(request)
    try:
        return _download(request, frozen, rows)
    except exports.ExportRefused as refusal:
        messages.error(request, str(refusal))
        return redirect(frozen)


def _download(request: HttpRequest, frozen: DatasetSnapshot, rows: exports.Rows) -> FileResponse:
    match request.GET.get("file", "zip"):
        case "zip":
            path = exports.cached_zip(frozen, rows)
            name = f"{frozen.name}-{rows}.zip"
        case "train" | "eval" as split:
            path = exports.cached_export(frozen, rows) / f"{split}.jsonl"
            name = f"{frozen.name}-{rows}-{split}.jsonl"
        case other:
            raise Http404(f'There is no file "{other}". Choose from: zip, train, eval.')
    if not path.exists():
        raise Http404(f'Snapshot "{frozen}" has no pair in this split, so its export has no {path.name}.')
    return FileResponse(path.open("rb"), as_attachment=True, filename=name)


def _managed_snapshot(request: HttpRequest, pk: int) -> DatasetSnapshot:
    frozen = get_object_or_404(DatasetSnapshot.objects.select_related("project", "created_by"), pk=pk)
    if not may_manage(request.user, frozen.project):
        raise PermissionDenied("Only a manager of this project may see its snapshots.")
    return frozen


def _rows_asked_for(request: HttpRequest) -> exports.Rows:
    try:
        return exports.checked_rows(request.GET.get("rows", exports.Rows.JUDGMENT))
    except exports.ExportRefused as refusal:
        raise Http404(str(refusal)) from refusal


def _preview(project: Project, kinds: list[str]) -> dict[str, Any]:
    """What a snapshot of these kinds would hold now; nothing chosen is shown as nothing."""
    try:
        kinds = checked_kinds(kinds)
    except SnapshotRefused:
        kinds = []
    return {
        "project": project,
        "total": available(project, kinds),
        "left_out": dataset_card.reasons_left_out(left_out(project, kinds)),
        "labels": [JudgeKind(kind).label for kind in kinds],
        "by_kind": [(kind.label, kind in kinds, available(project, [kind])) for kind in JudgeKind],
    }
