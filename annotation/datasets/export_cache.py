"""Where exports lie in the data folder: each view of a snapshot in a place of its own, made once, read ever after."""

import os
import shutil
import tempfile
import zipfile
from pathlib import Path

from django.conf import settings

from annotation.datasets.card_front import CARD
from annotation.datasets.exports import checked_view, write_export
from annotation.datasets.layouts import DEFAULT, FileType, View
from annotation.models import DatasetSnapshot, SnapshotExport

FORMAT = 3  # raise it when the bytes of an export change, so that cached ones are made again


def view_of(export: SnapshotExport) -> View:
    """Raises ExportRefused for a row of earlier days whose layout there is no more."""
    return checked_view(
        export.snapshot, export.layout, export.rows, export.file_type, export.has_rationales, export.licence
    )


def folder_of(snapshot: DatasetSnapshot, view: View) -> Path:
    """Where the files of this view lie, or would.

    The hash is in its name: a database that was begun anew cannot serve an older one's file.
    """
    more = ["rationales"] * view.has_rationales + [view.licence] * bool(view.licence)
    name = "-".join([view.layout, view.rows, view.file_type, *more])
    return settings.VAR_DIR / "exports" / _of_snapshot(snapshot) / name / snapshot.name


def cached_export(snapshot: DatasetSnapshot, rows: str, layout: str = DEFAULT, file_type: str = FileType.JSONL) -> Path:
    """The directory of this export, written here and now where it is not there: for commands, never in a request."""
    view = checked_view(snapshot, layout, rows, file_type)
    directory = folder_of(snapshot, view)
    if not (directory / CARD).exists():
        write_export(snapshot=snapshot, directory=directory, rows=rows, layout=layout, file_type=file_type)
    return directory


def zip_path(directory: Path) -> Path:
    return directory.with_name(f"{directory.name}.zip")


def zip_export(directory: Path) -> Path:
    """The directory as one zip file beside it, whose bytes are as repeatable as the export's."""
    target = zip_path(directory)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        staged = Path(folder) / target.name
        _zip(directory, staged)
        os.replace(staged, target)
    return target


def _of_snapshot(snapshot: DatasetSnapshot) -> str:
    return f"{snapshot.pk}-{snapshot.content_hash[:16]}-v{FORMAT}"


def _zip(directory: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(directory.iterdir()):
            # A fixed date, or the same files would zip to other bytes tomorrow.
            entry = zipfile.ZipInfo(f"{directory.name}/{path.name}", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            with path.open("rb") as source, archive.open(entry, "w", force_zip64=True) as copy:
                shutil.copyfileobj(source, copy)
