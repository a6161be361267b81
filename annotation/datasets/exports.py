"""Write a snapshot as a directory that ``datasets.load_dataset`` and TRL read as it is.

    train.jsonl  eval.jsonl  README.md (the dataset card)        or train.parquet  eval.parquet

A view of a frozen list: the same snapshot in the same installation gives the same bytes at any time. Which judgments
are in it was decided before (freezing.py), who outvotes whom in consensus.py, what the rows look like in layouts/, and
how they become bytes in export_files.py. A stream from the first row to the last: nothing here grows with the data.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from annotation.datasets import hashing
from annotation.datasets.card import dataset_card
from annotation.datasets.card_front import CARD, CARD_MARK, file_name
from annotation.datasets.choice import rule_in
from annotation.datasets.export_files import RowsFile, Written, rows_file, write_whole
from annotation.datasets.export_rows import Marks, Row, Rows
from annotation.datasets.frozen import JudgedComparison
from annotation.datasets.layouts import DEFAULT, LAYOUTS, FileType, View
from annotation.datasets.read_ahead import read_ahead
from annotation.datasets.reading import CompletionLost
from annotation.datasets.seen_ids import SeenIds
from annotation.datasets.withdrawn import MARK
from annotation.models import DatasetSnapshot
from annotation.rules.aggregation import Aggregation
from sampling.models import Split


class ExportRefused(Exception):
    """The directory cannot be written, or the snapshot is not what was frozen."""


@dataclass(frozen=True)
class Export:
    """What was written: rows by split, the files in the order in which a person reads them, and what each holds."""

    counts: dict[str, int]
    files: list[Path]
    written: list[Written]


def write_export(
    *,
    snapshot: DatasetSnapshot,
    directory: Path | str,
    rows: str = Rows.JUDGMENT,
    layout: str = DEFAULT,
    file_type: str = FileType.JSONL,
    has_rationales: bool = False,
    licence: str = "",
    on_progress: Callable[[], object] | None = None,
    check: Callable[[list[Written]], object] | None = None,
    owner: str = "",
) -> Export:
    """Write a file for each split (an empty one is left out) and the card into ``directory``.

    All or nothing: the files are written beside it and moved in when complete. An earlier export there is
    replaced; a directory that holds anything else is refused. ``on_progress`` is called once a comparison.
    ``check`` sees what was written before anything is replaced, and may raise. ``owner``: who holds the claim to write
    this directory, which is then its own whatever is left in it; what an earlier holder that was killed left goes.
    Raises ExportRefused.
    """
    view = checked_view(snapshot, layout, rows, file_type, has_rationales, licence)
    directory = Path(directory).absolute()
    if not owner:
        _check_replaceable(directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    clear_staged(directory, owner)
    # Staged where the files will lie, so that moving them is a rename even when the directory is a mount.
    place = directory if directory.is_dir() else directory.parent
    staged = Path(tempfile.mkdtemp(prefix=staging_prefix(directory, owner), dir=place))
    try:
        languages: set[str] = set()
        written = _write_splits(snapshot, staged, view, _Passing(languages, on_progress))
        counts = {split: written[split].rows if split in written else 0 for split in Split.values}
        _check_any_row(snapshot, view, counts)
        card = dataset_card(snapshot, view.rows, counts, view=view, languages=languages)
        files = [*written.values(), write_whole(staged / CARD, card.encode())]
        if check is not None:
            check(files)
        staged.chmod(0o755)  # mkdtemp's folders are closed to everybody else
        _move_into_place(staged, directory)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return Export(counts=counts, files=[directory / each.name for each in files], written=files)


def staging_prefix(directory: Path, owner: str) -> str:
    return f".{directory.name}-{owner}-" if owner else f".{directory.name}-"


def clear_staged(directory: Path, owner: str) -> None:
    """Remove what a killed worker left that wrote this as ``owner``. Nobody's is left alone: it may be at work."""
    if not owner:
        return
    prefix = staging_prefix(directory, owner)
    for place in (directory, directory.parent):
        for path in place.iterdir() if place.is_dir() else ():
            if path.name.startswith(prefix) and path.is_dir():
                shutil.rmtree(path, ignore_errors=True)


def first_rows(
    snapshot: DatasetSnapshot, rows: str, limit: int, *, layout: str = DEFAULT, has_rationales: bool = False
) -> list[Row]:
    """The first rows of the export, without writing it."""
    view = checked_view(snapshot, layout, rows, has_rationales=has_rationales)
    try:
        return list(islice((row for _, row in rows_in(hashing.judged_comparisons(snapshot), view)), limit))
    except CompletionLost as lost:
        raise ExportRefused(str(lost)) from lost


def verified_comparisons(snapshot: DatasetSnapshot) -> Iterator[JudgedComparison]:
    """The snapshot's comparisons; its hash, known at the end, tells whether they are what was frozen.

    Raises ExportRefused: whatever was made of them until then must be thrown away.
    """
    try:
        yield from hashing.verified_comparisons(snapshot)
    except (CompletionLost, hashing.SnapshotChanged) as problem:
        raise ExportRefused(str(problem)) from problem


def checked_view(
    snapshot: DatasetSnapshot,
    layout: str,
    rows: str,
    file_type: str = FileType.JSONL,
    has_rationales: bool = False,
    licence: str = "",
) -> View:
    """Raises ExportRefused for what there is not."""
    if layout not in LAYOUTS:
        raise ExportRefused(f'There is no layout "{layout}". Choose from: {", ".join(LAYOUTS)}.')
    if file_type not in list(FileType):
        raise ExportRefused(f'There is no file type "{file_type}". Choose from: {", ".join(FileType)}.')
    if has_rationales and not LAYOUTS[layout].has_rationales:
        able = ", ".join(key for key, each in LAYOUTS.items() if each.has_rationales)
        raise ExportRefused(
            f'The layout "{layout}" has no place for rationales. Leave them out, or choose from: {able}.'
        )
    is_weighed = rule_in(snapshot.settings).aggregation is Aggregation.DAWID_SKENE
    return View(
        layout, checked_rows(rows), FileType(file_type), has_rationales, licence, marks_in(snapshot), is_weighed
    )


def _check_any_row(snapshot: DatasetSnapshot, view: View, counts: dict[str, int]) -> None:
    """Raise ExportRefused for an export without a row: nothing could load it, and nobody should find that out later."""
    if any(counts.values()):
        return
    prefix = "majority_" if view.rows is Rows.MAJORITY else ""
    words = {
        "ties": "tied", "conflicts": "without a majority", "disputed": "with too little agreement",
        "weak": "not strong enough", "unsafe": "of an unsafe completion above a safe one",
    }  # fmt: skip
    found = {what: snapshot.counts.get(f"{prefix}{reason}", 0) for reason, what in words.items()}
    dropped = ", ".join(f"{count} {what}" for what, count in found.items() if count) or "none"
    raise ExportRefused(
        f'Snapshot "{snapshot.name}" has no row in the layout {LAYOUTS[view.layout].label}, rows by {view.rows}. Of '
        f"its pairs are dropped: {dropped}. Export the K-way rankings by judgment, which hold all of it, or freeze "
        "another snapshot: with more judgments, less agreement asked for, or any strength let in."
    )


def checked_rows(rows: str) -> Rows:
    try:
        return Rows(rows)
    except ValueError as error:
        raise ExportRefused(f'There are no rows "{rows}". Choose from: {", ".join(Rows)}.') from error


def marks_in(snapshot: DatasetSnapshot) -> Marks:
    """What is marked in it beside the rankings, which decides the columns; nothing in those of earlier days."""
    return snapshot.counts.get("marks", {})


def expected_counts(snapshot: DatasetSnapshot, rows: str) -> dict[str, int]:
    """Rows by split of a layout of pairs, as counted when the snapshot was frozen."""
    prefix = {Rows.JUDGMENT: "pairs", Rows.MAJORITY: "majority_pairs"}[checked_rows(rows)]
    return {split: snapshot.counts[f"{prefix}_{split}"] for split in Split.values}


def rows_in(comparisons: Iterable[JudgedComparison], view: View) -> Iterator[tuple[str, Row]]:
    """(split, row) of all rows, in their order."""
    layout = LAYOUTS[view.layout]
    if layout.once_a_prompt:
        yield from _once_a_prompt(comparisons, view)
        return
    for judged in comparisons:
        split = judged.prompt.split
        for row in layout.rows(judged, view):
            yield split, row


def _once_a_prompt(comparisons: Iterable[JudgedComparison], view: View) -> Iterator[tuple[str, Row]]:
    layout, seen = LAYOUTS[view.layout], SeenIds()
    for judged in comparisons:
        if judged.prompt.pk in seen:
            continue
        for row in layout.rows(judged, view):
            seen.add(judged.prompt.pk)
            yield judged.prompt.split, row


def _write_splits(snapshot: DatasetSnapshot, folder: Path, view: View, passing: "_Passing") -> dict[str, Written]:
    """Stream the rows into one file per split; the hash is computed on the way and must be the snapshot's."""
    features = LAYOUTS[view.layout].features(view)
    paths = {split: folder / file_name(split, view.file_type) for split in Split.values}
    with ExitStack() as stack:
        files: dict[str, RowsFile] = {
            split: stack.enter_context(rows_file(path, features, view.file_type)) for split, path in paths.items()
        }
        for split, row in rows_in(passing.of(read_ahead(partial(verified_comparisons, snapshot))), view):
            files[split].add(row)
    for split, path in paths.items():
        if not files[split].rows:
            path.unlink()  # load_dataset refuses an empty file
    return {
        split: Written(paths[split].name, file.file.size, file.file.sha256, file.rows)
        for split, file in files.items()
        if file.rows
    }


class _Passing:
    """Looks at each comparison on its way: its language, for the card, and that there is one more."""

    def __init__(self, languages: set[str], on_progress: Callable[[], object] | None) -> None:
        self.languages, self.on_progress = languages, on_progress

    def of(self, comparisons: Iterator[JudgedComparison]) -> Iterator[JudgedComparison]:
        for judged in comparisons:
            yield judged
            language = judged.prompt.metadata.get("language")
            if isinstance(language, str) and len(language) <= 3:
                self.languages.add(language)
            if self.on_progress is not None:
                self.on_progress()


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
    for name in [*(file_name(split, kind) for kind in FileType for split in Split.values), MARK, CARD]:
        if name in fresh:
            os.replace(staged / name, directory / name)
        else:
            (directory / name).unlink(missing_ok=True)
