"""A snapshot's exports, for those who manage its project: asking for one, watching it, downloading it, pushing it."""

import uuid
from pathlib import Path

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_GET, require_http_methods, require_POST, require_safe

from annotation.access import may_manage
from annotation.actions import exports as actions
from annotation.datasets.downloads import file_response
from annotation.datasets.export_cache import path_of
from annotation.datasets.export_forms import ExportForm, PushForm
from annotation.datasets.export_listing import exports_context, progress_of, shown
from annotation.datasets.exports import ExportRefused, checked_rows
from annotation.datasets.layouts import DEFAULT, FileType
from annotation.datasets.withdrawn import MARK, mark_of, withdrawn_in
from annotation.models import DatasetSnapshot, SnapshotExport
from sampling.lifecycle import StaleState

CONTENT_TYPES = {
    ".jsonl": "application/x-ndjson",
    ".parquet": "application/vnd.apache.parquet",
    ".zip": "application/zip",
    ".md": "text/markdown; charset=utf-8",
}


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def snapshot_exports(request: HttpRequest, pk: int) -> HttpResponse:
    """Asks for an export. To htmx, the table of those there are; to others, the snapshot's page."""
    snapshot = _managed_snapshot(request, pk)
    if request.method != "POST":
        if request.htmx:
            return render(request, "annotation/_exports_table.html", exports_context(snapshot))
        return redirect(f"{snapshot.get_absolute_url()}#export")
    form = ExportForm(request.POST)
    if form.is_valid():
        try:
            return redirect(actions.request_export(snapshot=snapshot, created_by=request.user, **form.cleaned_data))
        except ExportRefused as refusal:
            form.add_error(None, str(refusal))
    context = exports_context(snapshot, form=form) | {"project": snapshot.project}
    return render(request, "annotation/snapshot_export_new.html", context, status=422)


@require_GET
@login_required
def snapshot_export(request: HttpRequest, pk: int) -> HttpResponse:
    export = _managed_export(request, pk)
    return _page(request, export)


@require_safe
@login_required
def snapshot_export_file(request: HttpRequest, pk: int, name: str) -> HttpResponseBase:
    """One file of a made export, from its beginning or from where a download broke off."""
    return served_file(request, _managed_export(request, pk), name)


def served_file(request: HttpRequest, export: SnapshotExport, name: str) -> HttpResponseBase:
    """For whoever may have it. Raises Http404 where there is no such file, or not any more."""
    if name == MARK and (mark := mark_of(export.snapshot)) and actions.is_ready(export):
        return _mark_response(export, mark)
    known = next((file for file in export.files if file["name"] == name), None)
    if known is None or not actions.is_ready(export):
        raise Http404(f'This export has no file "{name[:100]}" now. Look at {export.get_absolute_url()}.')
    directory = actions.folder(export)
    path = path_of(directory, name)
    if not path.is_file() or path.stat().st_size != known["bytes"]:
        raise Http404(f"{name} is not there any more. Make the export again at {export.get_absolute_url()}.")
    return file_response(
        request, path, name=_download_name(export, path), content_type=CONTENT_TYPES[path.suffix],
        sha256=known["sha256"],
    )  # fmt: skip


def _mark_response(export: SnapshotExport, mark: bytes) -> HttpResponse:
    """As it is at this moment: no file of it is kept, and so there are no parts of it."""
    response = HttpResponse(mark, content_type=CONTENT_TYPES[".md"])
    name = _download_name(export, Path(MARK))
    response["Content-Disposition"] = content_disposition_header(True, name)
    response["Content-Length"] = str(len(mark))
    response["Cache-Control"] = "private, no-store"
    return response


@require_POST
@login_required
def snapshot_export_cancel(request: HttpRequest, pk: int) -> HttpResponse:
    return redirect(actions.cancel_export(export=_managed_export(request, pk)))


@require_POST
@login_required
def snapshot_export_retry(request: HttpRequest, pk: int) -> HttpResponse:
    export = _managed_export(request, pk)
    try:
        actions.retry_export(export=export)
    except StaleState as stale:
        messages.info(request, f"Nothing to retry: {stale}")
    return redirect(export)


@require_POST
@login_required
def snapshot_export_push(request: HttpRequest, pk: int) -> HttpResponse:
    """The same view, pushed to a hub: an export of its own, which says how that went."""
    export = _managed_export(request, pk)
    form = PushForm(request.POST)
    if not form.is_valid():
        return _page(request, export, form=form, status=422)
    pushed = actions.request_export(
        snapshot=export.snapshot, layout=export.layout, rows=export.rows, file_type=export.file_type,
        has_rationales=export.has_rationales, licence=export.licence, created_by=request.user, **form.cleaned_data,
    )  # fmt: skip
    return redirect(pushed)


@require_safe
@login_required
def snapshot_download(request: HttpRequest, pk: int) -> HttpResponseBase:
    """``?rows=judgment|majority&file=zip|train|eval`` of what is made already; else the page that makes it."""
    snapshot = _managed_snapshot(request, pk)
    try:
        rows = checked_rows(request.GET.get("rows", "judgment"))
    except ExportRefused as refusal:
        raise Http404(str(refusal)) from refusal
    wanted = request.GET.get("file", "zip")
    if wanted not in ("zip", "train", "eval"):
        raise Http404(f'There is no file "{wanted[:100]}". Choose from: zip, train, eval.')
    export = snapshot.exports.filter(
        layout=DEFAULT, rows=rows, file_type=FileType.JSONL, has_rationales=False, licence="", hub_id=""
    ).first()
    if export is None or not actions.is_ready(export):
        messages.info(request, "This export is not made yet: ask for it here, and download it when it is.")
        return redirect(f"{reverse('annotation:snapshot', args=[pk])}?rows={rows}#export")
    name = f"{snapshot.name}.zip" if wanted == "zip" else f"{wanted}.jsonl"
    if any(file["name"] == name for file in export.files):
        return redirect("annotation:snapshot_export_file", pk=export.pk, name=name)
    if wanted == "zip":
        return redirect(export)  # too large for one: the files are there
    raise Http404(f'Snapshot "{snapshot}" has no pair in this split, so its export has no {name}.')


def _page(
    request: HttpRequest, export: SnapshotExport, *, form: PushForm | None = None, status: int = 200
) -> HttpResponse:
    context = {
        "export": export,
        "shown": shown(export),
        "snapshot": export.snapshot,
        "project": export.snapshot.project,
        "push_form": form or PushForm(initial={"request_key": uuid.uuid4()}),
        "pushes": _pushes_of(export),
        "mark": MARK if withdrawn_in(export.snapshot) else "",
        **progress_of(export),
    }
    is_part = request.htmx and not request.htmx.boosted and status == 200
    template = "annotation/_snapshot_export.html" if is_part else "annotation/snapshot_export.html"
    return render(request, template, context, status=status)


def _pushes_of(export: SnapshotExport) -> list[SnapshotExport]:
    """Of a view that is kept here, its pushes; a push has none."""
    if export.hub_id:
        return []
    same = ("layout", "rows", "file_type", "has_rationales", "licence")
    alike = {name: getattr(export, name) for name in same}
    return list(export.snapshot.exports.filter(**alike).exclude(hub_id=""))


def _download_name(export: SnapshotExport, path: Path) -> str:
    """As people will find it among their downloads: with the snapshot's name and the layout's."""
    parts = [export.snapshot.name, export.layout, export.rows]
    return "-".join(parts if path.suffix == ".zip" else [*parts, path.stem]) + path.suffix


def _managed_export(request: HttpRequest, pk: int) -> SnapshotExport:
    export = get_object_or_404(SnapshotExport.objects.select_related("snapshot__project", "created_by"), pk=pk)
    _check_manager(request, export.snapshot)
    return export


def _managed_snapshot(request: HttpRequest, pk: int) -> DatasetSnapshot:
    snapshot = get_object_or_404(DatasetSnapshot.objects.select_related("project", "created_by"), pk=pk)
    _check_manager(request, snapshot)
    return snapshot


def _check_manager(request: HttpRequest, snapshot: DatasetSnapshot) -> None:
    if not may_manage(request.user, snapshot.project):
        raise PermissionDenied("Only a manager of this project may see its snapshots.")
