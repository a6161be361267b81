"""Write a snapshot as a directory that ``datasets.load_dataset`` and TRL read as it is.

    train.jsonl  eval.jsonl  README.md (the dataset card)

A view of a frozen list: the same snapshot in the same installation gives the same bytes at any time.
Which judgments are in it was decided before (snapshots.py), who outvotes whom is decided in consensus.py.
"""

import hashlib
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from django.conf import settings

from annotation.datasets.card import CARD, CARD_MARK, dataset_card, file_name
from annotation.datasets.export_rows import Marks, Row, Rows, rows_of
from annotation.datasets.frozen import CompletionLost, JudgedComparison, canonical_bytes, judged_comparisons
from annotation.models import DatasetSnapshot
from sampling.models import Split

FORMAT = 2  # raise it when the bytes of an export change, so that cached ones are made again


class ExportRefused(Exception):
    """The directory cannot be written, or the snapshot is not what was frozen."""


@dataclass(frozen=True)
class Export:
    """What was written: rows by split, and the files in the order in which a person reads them."""

    counts: dict[str, int]
    files: list[Path]


def write_export(
    *,
    snapshot: DatasetSnapshot,
    directory: Path | str,
    rows: str = Rows.JUDGMENT,
    on_progress: Callable[[], object] | None = None,
) -> Export:
    """Write ``train.jsonl``, ``eval.jsonl`` (an empty one is left out) and the card into ``directory``.

    All or nothing: the files are written beside it and moved in when complete. An earlier export there is
    replaced; a directory that holds anything else is refused. ``on_progress`` is called once a comparison.
    Raises ExportRefused.
    """
    rows = checked_rows(rows)
    directory = Path(directory).absolute()
    _check_replaceable(directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    # Staged where the files will lie, so that moving them is a rename even when the directory is a mount.
    place = directory if directory.is_dir() else directory.parent
    staged = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=place))
    try:
        counts = _write_splits(snapshot, staged, rows, on_progress)
        _write_file(staged / CARD, dataset_card(snapshot, rows, counts).encode())
        staged.chmod(0o755)  # mkdtemp's folders are closed to everybody else
        _move_into_place(staged, directory)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    names = [*(file_name(split) for split in Split.values if counts[split]), CARD]
    return Export(counts=counts, files=[directory / name for name in names])


def cached_export(snapshot: DatasetSnapshot, rows: str) -> Path:
    """The directory of this export in the data folder, written when it is first asked for.

    The hash is in its name: a database that was begun anew cannot serve an older one's file.
    """
    rows = checked_rows(rows)
    directory = _cache_folder(snapshot) / rows / snapshot.name
    if not (directory / CARD).exists():
        write_export(snapshot=snapshot, directory=directory, rows=rows)
    return directory


def cached_zip(snapshot: DatasetSnapshot, rows: str) -> Path:
    """The same export as one zip file, whose bytes are as repeatable as the export's."""
    directory = cached_export(snapshot, rows)
    target = directory.with_name(f"{snapshot.name}.zip")
    if not target.exists():
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            staged = Path(folder) / target.name
            _zip(directory, staged)
            os.replace(staged, target)
    return target


def first_rows(snapshot: DatasetSnapshot, rows: str, limit: int) -> list[Row]:
    """The first rows of the export, without writing it."""
    rows, marks = checked_rows(rows), marks_in(snapshot)
    found = (row for judged in judged_comparisons(snapshot) for row in rows_of(judged, rows, marks))
    try:
        return list(islice(found, limit))
    except CompletionLost as lost:
        raise ExportRefused(str(lost)) from lost


def verified_comparisons(snapshot: DatasetSnapshot) -> Iterator[JudgedComparison]:
    """The snapshot's comparisons; after the last one, its hash tells whether they are what was frozen.

    Raises ExportRefused: whatever was made of them until then must be thrown away.
    """
    digest = hashlib.sha256()
    try:
        for judged in judged_comparisons(snapshot):
            digest.update(canonical_bytes(judged))
            yield judged
    except CompletionLost as lost:
        raise ExportRefused(str(lost)) from lost
    if digest.hexdigest() != snapshot.content_hash:
        raise ExportRefused(
            f'Snapshot "{snapshot}" was frozen with hash {snapshot.content_hash[:12]}… but its rows now have '
            f"{digest.hexdigest()[:12]}…: a prompt, completion or judgment was changed in the database by "
            "hand. Restore it from a backup, or freeze a new snapshot."
        )


def marks_in(snapshot: DatasetSnapshot) -> Marks:
    """What is marked in it beside the rankings, which decides the columns; nothing in those of earlier days."""
    return snapshot.counts.get("marks", {})


def expected_counts(snapshot: DatasetSnapshot, rows: str) -> dict[str, int]:
    """Rows by split as counted when the snapshot was frozen."""
    prefix = {Rows.JUDGMENT: "pairs", Rows.MAJORITY: "majority_pairs"}[checked_rows(rows)]
    return {split: snapshot.counts[f"{prefix}_{split}"] for split in Split.values}


def checked_rows(rows: str) -> Rows:
    try:
        return Rows(rows)
    except ValueError as error:
        raise ExportRefused(f'There are no rows "{rows}". Choose from: {", ".join(Rows)}.') from error


def _write_splits(
    snapshot: DatasetSnapshot, folder: Path, rows: Rows, on_progress: Callable[[], object] | None
) -> dict[str, int]:
    """Stream the rows into one file per split; the hash is computed on the way and must be the snapshot's."""
    counts = dict.fromkeys(Split.values, 0)
    marks = marks_in(snapshot)
    with ExitStack() as stack:
        files = {split: stack.enter_context((folder / file_name(split)).open("wb")) for split in Split.values}
        for judged in verified_comparisons(snapshot):
            split = judged.prompt.split
            counts[split] += _write_rows(files[split], rows_of(judged, rows, marks))
            if on_progress is not None:
                on_progress()
        for file in files.values():
            file.flush()
            os.fsync(file.fileno())
    for split in Split.values:
        if not counts[split]:
            (folder / file_name(split)).unlink()  # load_dataset refuses an empty file
    return counts


def _write_rows(file, rows: Iterable[Row]) -> int:
    count = 0
    for row in rows:
        file.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
        count += 1
    return count


def _write_file(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _cache_folder(snapshot: DatasetSnapshot) -> Path:
    return settings.VAR_DIR / "exports" / f"{snapshot.pk}-{snapshot.content_hash[:16]}-v{FORMAT}"


def _is_export(directory: Path) -> bool:
    card = directory / CARD
    return card.is_file() and CARD_MARK in card.read_text(encoding="utf-8", errors="replace")[:2000]


def _check_replaceable(directory: Path) -> None:
    if directory.exists() and not directory.is_dir():
        raise ExportRefused(f"{directory} is a file. Name a directory that does not exist yet, or an empty one.")
    if directory.is_dir() and any(directory.iterdir()) and not _is_export(directory):
        raise ExportRefused(
            f"{directory} holds files that are no earlier export; they would be mixed with this one. "
            "Name a directory that does not exist yet, or an empty one."
        )


def _move_into_place(staged: Path, directory: Path) -> None:
    if not directory.exists():
        try:
            os.replace(staged, directory)  # all files appear at once
            return
        except OSError:
            if not _is_export(directory):  # else another export of the same got there first
                raise
    # File by file, the card last: by it the export is known to be complete.
    fresh = {path.name for path in staged.iterdir()}
    for name in [*(file_name(split) for split in Split.values), CARD]:
        if name in fresh:
            os.replace(staged / name, directory / name)
        else:
            (directory / name).unlink(missing_ok=True)


def _zip(directory: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(directory.iterdir()):
            # A fixed date, or the same files would zip to other bytes tomorrow.
            entry = zipfile.ZipInfo(f"{directory.name}/{path.name}", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            with path.open("rb") as source, archive.open(entry, "w", force_zip64=True) as copy:
                shutil.copyfileobj(source, copy)
