"""Before the first row is read: which source, is it the one that was looked through, and of what format is it?"""

import hashlib
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, assert_never

from sampling.curation.steps import Pipeline, pipeline
from sampling.importing.options import Options, options_of
from sampling.importing.reading import MAPPED, ReadRow, read
from sampling.importing.stores import CannotImport, Store, store_class
from sampling.importing.watching import Watch, in_units
from sampling.intake import formats, mapping
from sampling.intake.sources import SourceRow, open_source
from sampling.json_lines import shorten
from sampling.models import DataImport, Doing, SourceKind

FIRST_ROWS = 50  # by which a format is recognised
HASH_BYTES = 1 << 22
HUB_SECONDS = 10.0


class NoFormat(CannotImport):
    """Its rows can be read, or some of them, and mean nothing that is known here."""

    def __init__(self, message: str, first: list[SourceRow]) -> None:
        super().__init__(message)
        self.first = first


@dataclass
class Opened:
    """Everything that reading one import needs."""

    source: Any  # intake.sources.Source
    options: Options
    pipeline: Pipeline
    store: Store

    def rows(self, start: int = 0):
        for row in self.source.rows(start):
            yield self.read(row)

    def read(self, row: SourceRow) -> ReadRow:
        return read(row, self.options.format, self.options.mapping)


def opened(data_import: DataImport) -> Opened:
    """With the format that the options name, or that its first rows have. Raises CannotImport and SourceUnusable."""
    options = options_of(data_import.options)
    source = open_source(
        data_import.source_kind,
        data_import.location,
        split_name=options.split_name,
        subset=options.subset,
        name=data_import.name,
    )
    if not options.format:
        options = recognised(options, list(islice(source.rows(), FIRST_ROWS)))
    if options.format not in formats.FORMATS:
        known = ", ".join(formats.FORMATS)
        raise CannotImport(f'There is no format "{options.format}". There are: {known}.')
    store = store_class(data_import.what)(data_import)
    return Opened(source, options, pipeline(options.steps), store)


def recognised(options: Options, first: list[SourceRow]) -> Options:
    """With a format: the one that is given by the rows' shape, or else columns by their names."""
    rows = [row.row for row in first if row.row is not None]
    if options.mapping:
        return replace(options, format=MAPPED)
    if not rows:
        why = f" {first[0].problem}" if first else " It is empty."
        raise NoFormat(f"No row of the source can be read.{why}", first)
    if key := formats.recognise(rows):
        return replace(options, format=key)
    columns = sorted({column for row in rows for column in row})
    suggested = mapping.suggest(columns)
    if not {"prompt", "messages"} & suggested.keys():
        raise NoFormat(
            f"The rows have no format that is known here. Their columns: {shorten(', '.join(columns), 500)}. Name the "
            "format, or say which column is the prompt.",
            first,
        )
    return replace(options, format=MAPPED, mapping=suggested)


def check_unchanged(data_import: DataImport, watch: Watch) -> str:
    """What tells this source from any other one (a hash, or a hub's revision); raises CannotImport where it is not
    the one that was looked through, or of which rows are here already.

    A file that was uploaded is ours: it is hashed as it comes, and never changes.
    """
    path = Path(data_import.location)
    if data_import.is_uploaded:
        if not path.is_file():
            raise CannotImport("The uploaded file is no longer kept. Upload it again, as a new import.")
        return data_import.source_hash
    match SourceKind(data_import.source_kind):
        case SourceKind.FILE:
            now = hash_of(path, watch)
        case SourceKind.DIRECTORY:
            now = hash_of_directory(path, watch)
        case SourceKind.HUB:
            now = _revision_of(data_import.location)
        case other:
            assert_never(other)
    if data_import.doing == Doing.IMPORT and data_import.source_hash and now and now != data_import.source_hash:
        _refuse_changed(data_import)
    return now


def _refuse_changed(data_import: DataImport) -> None:
    """Nothing is wrong where it was neither looked through nor begun: then the hash is of a try that read nothing."""
    if data_import.next_row:
        raise CannotImport(
            f"{data_import.location} has changed since this import began, so it cannot go on after row "
            f"{data_import.next_row:,}. Put the earlier one back; or undo this import, and import the new one."
        )
    if data_import.seen:
        raise CannotImport(
            f"{data_import.location} has changed since it was looked through, so nothing of it was brought in. Look "
            "again, then import it."
        )


def hash_of(path: Path, watch: Watch) -> str:
    digest = hashlib.sha256()
    _add_file(digest, path, watch)
    return digest.hexdigest()


def hash_of_directory(path: Path, watch: Watch) -> str:
    """Of all its files, their names and what they hold; hidden ones are no rows, and a card says which are."""
    if not path.is_dir():
        raise CannotImport(f"There is no directory {shorten(str(path), 300)}. Correct its path.")
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        inside = file.relative_to(path)
        if file.is_file() and not any(part.startswith(".") for part in inside.parts):
            digest.update(b"\0" + str(inside).encode("utf-8", "surrogateescape") + b"\0")
            _add_file(digest, file, watch)
    return digest.hexdigest()


def _add_file(digest: Any, path: Path, watch: Watch) -> None:
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            while piece := file.read(HASH_BYTES):
                digest.update(piece)
                watch("hashing the file", done=in_units(file.tell()), total=in_units(size))
    except OSError as error:
        raise CannotImport(f"{path} cannot be read: {error.strerror}.") from None


def _revision_of(dataset_id: str) -> str:
    """The commit that the hub's dataset is at; empty where the hub does not say: opening it tells why, in words."""
    from huggingface_hub import HfApi

    try:
        return HfApi().dataset_info(dataset_id, timeout=HUB_SECONDS).sha or ""
    except Exception:
        return ""
