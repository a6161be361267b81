"""What pages show of a snapshot's exports."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from annotation.actions.exports import is_ready
from annotation.datasets.card_front import LICENCES
from annotation.datasets.export_forms import ExportForm
from annotation.datasets.layouts import LAYOUTS
from annotation.datasets.withdrawn import MARK, withdrawn_in
from annotation.models import DatasetSnapshot, SnapshotExport
from sampling.long_tasks import TaskState

FILE_TYPES = {"jsonl": "JSON lines", "parquet": "Parquet"}
SETTLED_AFTER = 1.0  # seconds: a rate over less says little


@dataclass(frozen=True)
class Shown:
    """One export as a page shows it."""

    export: SnapshotExport
    label: str  # its layout's
    file_type: str
    rows_words: str
    licence: str
    is_ready: bool
    is_gone: bool  # made, but the files are not there any more
    rows: int
    bytes: int  # of the files with rows and the card
    kept_bytes: int  # on the disk now, the zip too

    @property
    def sha256(self) -> str:
        """Of the one file with rows, where there is one only."""
        found = [file["sha256"] for file in self.export.files if file["rows"] is not None]
        return found[0] if len(found) == 1 else ""


def shown(export: SnapshotExport) -> Shown:
    ready = is_ready(export)
    layout = LAYOUTS.get(export.layout)
    return Shown(
        export=export,
        label=layout.label if layout else export.layout,
        file_type=FILE_TYPES.get(export.file_type, export.file_type),
        rows_words="over all annotators" if export.rows == "majority" else "each judgment's own",
        licence=LICENCES.get(export.licence, export.licence) if export.licence else "",
        is_ready=ready,
        is_gone=export.state == TaskState.FINISHED and not export.hub_id and not ready,
        rows=sum(file["rows"] or 0 for file in export.files),
        bytes=sum(file["bytes"] for file in export.files if not file["name"].endswith(".zip")),
        kept_bytes=sum(file["bytes"] for file in export.files) if ready else 0,
    )


def progress_of(export: SnapshotExport, now: datetime | None = None) -> dict[str, Any]:
    """``per_second`` comparisons and the time that is ``left`` at that rate, once there is a rate."""
    if export.state != TaskState.RUNNING or not export.started_at or not export.done:
        return {}
    seconds = ((now or timezone.now()) - export.started_at).total_seconds()
    if seconds < SETTLED_AFTER:
        return {}
    per_second = export.done / seconds
    return {"per_second": per_second, "left": timedelta(seconds=max(0, export.total - export.done) / per_second)}


def exports_context(snapshot: DatasetSnapshot, *, form: ExportForm | None = None, rows: str = "") -> dict[str, Any]:
    """What `annotation/_exports.html` shows: the exports there are, in the layouts' order, and the form for another."""
    order = list(LAYOUTS)
    found = sorted(
        snapshot.exports.select_related("snapshot__project"),
        key=lambda each: (order.index(each.layout) if each.layout in order else len(order), each.pk),
    )
    exports = [shown(each) for each in found]
    return {
        "snapshot": snapshot,
        "exports": exports,
        "kept_bytes": sum(each.kept_bytes for each in exports),
        "mark": MARK if withdrawn_in(snapshot) else "",
        "is_making": any(not each.is_over for each in found),
        "export_form": form or ExportForm(initial={"rows": rows} if rows else None),
    }
