"""Where exports lie in the data folder: each view of a snapshot in a place of its own, made once, read ever after."""

import logging
import os
import re
import shutil
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from django.conf import settings

from annotation.datasets.export_files import Written
from annotation.datasets.exports import ExportRefused, checked_view, clear_staged, staging_prefix
from annotation.datasets.layouts import View
from annotation.models import DatasetSnapshot, SnapshotExport

FORMAT = 4  # raise it when the bytes of an export change, so that cached ones are made again
LEFT_AFTER = 2 * 24 * 3600  # seconds: what no worker can be writing any more, nor anybody be downloading

log = logging.getLogger(__name__)

_FOLDER = re.compile(r"(?P<pk>\d{1,18})-[0-9a-f]{0,16}-v\d+")


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


def path_of(directory: Path, name: str) -> Path:
    """Where a file of the export that lies in ``directory`` is: the zip beside it, the others inside."""
    return zip_path(directory) if name.endswith(".zip") else directory / name


def check_unchanged(recorded: Sequence[Mapping[str, Any]], written: Sequence[Written]) -> None:
    """Raise ExportRefused where the rows, made again, are other bytes than were promised.

    Of JSON lines alone: in Parquet stands which release wrote it.
    """
    before = {file["name"]: file["sha256"] for file in recorded if _is_of_now(file) and file["name"].endswith(".jsonl")}
    now = {file.name: file.sha256 for file in written if file.name.endswith(".jsonl")}
    if not before:
        return
    for name in sorted(before.keys() | now.keys()):
        if before.get(name) != now.get(name):
            raise ExportRefused(
                f"{name} is not what it was when this export was first made: its SHA-256 was "
                f"{before.get(name, 'none: there was no such file')}, and is {now.get(name, 'none: there is none')} "
                "now. The snapshot is unchanged, so the program that writes it is another one. Make it with the "
                "release that made it first, or freeze a new snapshot and export that."
            )


def as_recorded(written: Sequence[Written], recorded: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """As the row keeps them. ``was``: the SHA-256 that a Parquet file had before, where it is another one now."""
    before = {file["name"]: file["sha256"] for file in recorded if _is_of_now(file)}
    found = []
    for file in written:
        row = file.as_json() | {"format": FORMAT}
        earlier = before.get(file.name, file.sha256)
        if file.name.endswith(".parquet") and earlier != file.sha256:
            log.warning("%s has the SHA-256 %s and had %s: another pyarrow wrote it.", file.name, file.sha256, earlier)
            row["was"] = earlier
        found.append(row)
    return found


def _is_of_now(file: Mapping[str, Any]) -> bool:
    return file.get("format") == FORMAT  # none: from before 4, when it was not recorded


def clear_old() -> int:
    """Delete what no export will be read from again: of an older FORMAT, of a row that is deleted, of a dead worker.

    Returns how many folders went. What this module did not name is left alone.
    """
    gone = [path for path in _not_needed(settings.VAR_DIR / "exports") if _is_old(path)]
    for path in gone:
        shutil.rmtree(path, ignore_errors=True)
    return len(gone)


def _not_needed(root: Path) -> Iterator[Path]:
    for of_snapshot in _folders(root):
        named = _FOLDER.fullmatch(of_snapshot.name)
        if named is None:
            continue
        snapshot = DatasetSnapshot.objects.defer("settings").filter(pk=int(named["pk"])).first()
        if snapshot is None or _of_snapshot(snapshot) != of_snapshot.name:
            yield of_snapshot
            continue
        wanted = _wanted(snapshot)
        for of_view in _folders(of_snapshot):
            if of_view not in wanted:
                yield of_view
            else:
                yield from (path for path in _folders(of_view) if path.name != snapshot.name)
                yield from (path for path in _folders(of_view / snapshot.name) if path.name.startswith("."))


def _wanted(snapshot: DatasetSnapshot) -> set[Path]:
    found = set()
    for export in snapshot.exports.all():
        export.snapshot = snapshot
        try:
            found.add(folder_of(snapshot, view_of(export)).parent)
        except ExportRefused:  # its layout is no more, so nothing can be read from it
            continue
    return found


def _folders(path: Path) -> list[Path]:
    return sorted(each for each in path.iterdir() if each.is_dir() and not each.is_symlink()) if path.is_dir() else []


def _is_old(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > LEFT_AFTER
    except OSError:  # gone meanwhile
        return False


def zip_path(directory: Path) -> Path:
    return directory.with_name(f"{directory.name}.zip")


def zip_export(directory: Path, *, owner: str = "") -> Path:
    """The directory as one zip file beside it, whose bytes are as repeatable as the export's."""
    target = zip_path(directory)
    clear_staged(directory, owner)
    with tempfile.TemporaryDirectory(prefix=staging_prefix(directory, owner), dir=target.parent) as folder:
        staged = Path(folder) / target.name
        _zip(directory, staged)
        os.replace(staged, target)
    return target


def _of_snapshot(snapshot: DatasetSnapshot) -> str:
    return f"{snapshot.pk}-{snapshot.content_hash[:16]}-v{FORMAT}"


def _zip(directory: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(each for each in directory.iterdir() if each.is_file()):
            # A fixed date, or the same files would zip to other bytes tomorrow.
            entry = zipfile.ZipInfo(f"{directory.name}/{path.name}", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            with path.open("rb") as source, archive.open(entry, "w", force_zip64=True) as copy:
                shutil.copyfileobj(source, copy)
