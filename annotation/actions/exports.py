"""Asking for a snapshot's files, making them in a worker, and pushing them to a hub."""

import logging
import time
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction

from annotation.datasets import hub
from annotation.datasets.export_cache import (
    as_recorded,
    check_unchanged,
    folder_of,
    path_of,
    view_of,
    zip_export,
)
from annotation.datasets.export_files import described
from annotation.datasets.exports import ExportRefused, checked_view, write_export
from annotation.datasets.layouts import DEFAULT, FileType
from annotation.datasets.withdrawn import mark_of
from annotation.models import DatasetSnapshot, SnapshotExport
from sampling.engine.run_dir import explain
from sampling.keep_alive import kept_alive
from sampling.lifecycle import StaleState
from sampling.long_tasks import HEARTBEAT_SECONDS, TaskState, announce_on_commit
from sampling.program_runs import DATABASE_LOST, DatabaseFull, is_database_full, worker_stopping

ZIPPED_UP_TO = 64 << 20  # bytes: of more than that a zip is a second copy that takes minutes; the files are few

log = logging.getLogger(__name__)


class ExportCancelled(Exception):
    """Somebody asked for the end, or another worker has the row."""


class ExportHandedBack(Exception):
    """This worker ends; the export waits for the next one."""


def request_export(
    *,
    snapshot: DatasetSnapshot,
    rows: str,
    layout: str = DEFAULT,
    file_type: str = FileType.JSONL,
    has_rationales: bool = False,
    licence: str = "",
    hub_id: str = "",
    is_private: bool = True,
    created_by: AbstractBaseUser | None = None,
    request_key: uuid.UUID | None = None,
    enqueue: bool = True,
) -> SnapshotExport:
    """The export of this view: the one that there is, or a new one, queued.

    One that failed or was cancelled is queued once more; so is one whose files are gone, and each push. The same
    ``request_key`` again changes nothing. Raises ExportRefused for a view or a hub id that there cannot be.
    """
    if hub_id:
        hub.check_id(hub_id)
    view = checked_view(snapshot, layout, rows, file_type, has_rationales, licence)
    asked = {
        "layout": view.layout, "rows": view.rows, "file_type": view.file_type, "has_rationales": has_rationales,
        "licence": licence, "hub_id": hub_id,
    }  # fmt: skip
    request_key = request_key or uuid.uuid4()
    try:
        with transaction.atomic():
            return _requested(snapshot, asked, request_key, is_private, created_by, enqueue)
    except IntegrityError:  # the double click's other half was faster
        return SnapshotExport.objects.get(snapshot=snapshot, **asked)


def _requested(snapshot, asked, request_key, is_private, created_by, enqueue) -> SnapshotExport:
    found = SnapshotExport.objects.select_for_update().filter(snapshot=snapshot, **asked).first()
    if found is None:
        made = SnapshotExport.objects.create(
            snapshot=snapshot, request_key=request_key, created_by=created_by, is_private=is_private,
            total=snapshot.counts.get("comparisons", 0), **asked,
        )  # fmt: skip
        if enqueue:
            announce_on_commit(made, announce=announce_export)
        return made
    if found.request_key != request_key and (found.is_over and not is_ready(found)):
        # The newest key, so that its repetition finds the request done.
        SnapshotExport.objects.filter(pk=found.pk).update(request_key=request_key, is_private=is_private)
        _queue_again(found)
        if enqueue:
            announce_on_commit(found, announce=announce_export)
    return found


def _queue_again(export: SnapshotExport) -> None:
    """As `LongTask.retry`, and what is finished too. Raises StaleState where it is not over, or not any more."""
    export.refresh_from_db(fields=["state"])
    if not export.is_over:
        raise StaleState(export, TaskState.QUEUED)
    where = {"finished_at__isnull": False, "state": export.state}
    export.put_back(where=where, attempt=0, started_at=None, done=0, phase="")


def is_ready(export: SnapshotExport) -> bool:
    """Whether all its files can be downloaded now, each as long as it was made.

    What was pushed is never ready: it is pushed again when asked for.
    """
    if export.state != TaskState.FINISHED or export.hub_id or not export.files:
        return False
    try:
        directory = folder(export)
    except ExportRefused:  # of earlier days: its layout is no more
        return False
    return all(_is_whole(path_of(directory, file["name"]), file["bytes"]) for file in export.files)


def _is_whole(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False


def folder(export: SnapshotExport) -> Path:
    return folder_of(export.snapshot, view_of(export))


def execute_export(*, export: SnapshotExport, on_progress: Callable[[int], object] | None = None) -> SnapshotExport:
    """Take a queued export and carry it to its end: finished, failed with the reason, or cancelled.

    One that somebody else has taken is left alone. ``on_progress`` gets the comparisons done, about every two seconds.
    A worker that ends hands the export back, queued as it was: it begins anew, in a place of its own.
    """
    if worker_stopping.is_set():
        return export
    try:
        export.take()
    except StaleState:
        log.info("Export %s is not queued any more; left alone.", export.pk)
        return export
    try:
        _carry_out(export, on_progress or (lambda done: None))
    except StaleState:
        log.warning("Export %s was taken over by another worker; this one stops.", export.pk)
    except DATABASE_LOST as error:
        if not is_database_full(error):
            raise  # nothing can be written now: the reaper finds the row, and the next worker begins anew
        export.end(TaskState.FAILED, failure=str(DatabaseFull()))
    export.refresh_from_db()
    return export


def _carry_out(export: SnapshotExport, on_progress: Callable[[int], object]) -> None:
    try:
        files = _made(export, on_progress)
        if export.hub_id:
            _pushed(export, files)
    except ExportCancelled:
        export.end(TaskState.CANCELLED)
    except ExportHandedBack:
        export.hand_back()
    except KeyboardInterrupt:
        export.end(TaskState.CANCELLED)
        raise
    except (ExportRefused, hub.PushRefused) as refusal:
        export.end(TaskState.FAILED, failure=str(refusal))
    except DATABASE_LOST:
        raise
    except Exception as error:
        log.exception("Export %s failed.", export.pk)
        export.end(TaskState.FAILED, failure=explain(error))
    else:
        export.end(TaskState.FINISHED, files=files, done=export.total, phase="")


def _made(export: SnapshotExport, on_progress: Callable[[int], object]) -> list[dict[str, Any]]:
    """Write the files, with signs of life in the row, and a zip of those that are small; as the row records them.

    A push takes those that lie here already. What was made before is made to the same bytes again, or not at all.
    """
    here = _kept_here(export)
    if export.hub_id and here is not None and is_ready(here):
        return [file for file in here.files if not file["name"].endswith(".zip")]
    view, directory = view_of(export), folder(export)
    recorded = here.files if here is not None and here.files else export.files
    progress = _Progress(export, on_progress)
    # Signs of life from a thread too: no single step may look like a lost worker, however slow the disk.
    with kept_alive(export):
        made = write_export(
            snapshot=export.snapshot, directory=directory, rows=view.rows, layout=view.layout,
            file_type=view.file_type, has_rationales=view.has_rationales, licence=view.licence,
            on_progress=progress.one_more, check=partial(check_unchanged, recorded), owner=f"export-{export.pk}",
        )  # fmt: skip
        written = list(made.written)
        if not export.hub_id and sum(file.bytes for file in written) <= ZIPPED_UP_TO:
            written.append(described(zip_export(directory, owner=f"export-{export.pk}")))
    return as_recorded(written, recorded)


def _kept_here(export: SnapshotExport) -> SnapshotExport | None:
    """The export of the same view whose files are kept here; a push has one where somebody asked for it."""
    if not export.hub_id:
        return export
    same = ("snapshot", "layout", "rows", "file_type", "has_rationales", "licence")
    alike = SnapshotExport.objects.filter(hub_id="", **{name: getattr(export, name) for name in same})
    return alike.select_related("snapshot").first()


class _Progress:
    """Called once a comparison: looks at the clock each hundred, and at the row each two seconds."""

    def __init__(self, export: SnapshotExport, on_progress: Callable[[int], object]) -> None:
        self.export, self.on_progress = export, on_progress
        self.done, self.next_beat = 0, time.monotonic() + 0.5  # a first figure soon

    def one_more(self) -> None:
        self.done += 1
        if self.done % 100 == 0 and time.monotonic() >= self.next_beat:
            self._beat()

    def _beat(self) -> None:
        self.next_beat = time.monotonic() + HEARTBEAT_SECONDS
        if worker_stopping.is_set():
            raise ExportHandedBack
        if not self.export.beat(done=self.done, phase="writing"):
            raise ExportCancelled
        self.on_progress(self.done)


def _pushed(export: SnapshotExport, files: list[dict[str, Any]]) -> None:
    if not export.beat(done=export.total, phase=f"pushing to {export.hub_id}"):
        raise ExportCancelled
    with kept_alive(export) as unwanted:
        hub.push(
            directory=folder(export), names=[file["name"] for file in files], mark=mark_of(export.snapshot),
            hub_id=export.hub_id, is_private=export.is_private, message=str(export),
        )  # fmt: skip
    if unwanted.is_set():
        raise ExportCancelled


def cancel_export(*, export: SnapshotExport) -> SnapshotExport:
    """Ask for the end: at once when it waits, else when its worker sees the wish. What was there before stays."""
    export.request_cancel()
    return export


def retry_export(*, export: SnapshotExport, enqueue: bool = True) -> SnapshotExport:
    """Queue a failed or cancelled export, or one whose files are gone, again. Raises StaleState for any other."""
    with transaction.atomic():
        if is_ready(export):
            raise StaleState(export, TaskState.QUEUED)
        _queue_again(export)
        if enqueue:
            announce_on_commit(export, announce=announce_export)
    return export


def announce_export(export: SnapshotExport) -> None:
    """Tell the workers that ``export`` waits for them."""
    from annotation.tasks import run_export  # tasks call actions, so not at the top

    run_export.delay(export.pk)
