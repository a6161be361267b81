"""Before the first row is read: which source, is it the one that was looked through, and of what format is it?"""

import hashlib
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from sampling.curation.steps import Pipeline, pipeline
from sampling.importing.options import Options, options_of
from sampling.importing.reading import MAPPED, ReadRow, read
from sampling.importing.stores import CannotImport, Store, store_class
from sampling.importing.watching import Watch, in_units
from sampling.intake import formats, mapping
from sampling.intake.sources import SourceRow, open_source
from sampling.json_lines import shorten
from sampling.models import DataImport, SourceKind

FIRST_ROWS = 50  # by which a format is recognised
HASH_BYTES = 1 << 22


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
    """The file's SHA-256, or nothing for what is no file; raises CannotImport if another file stands there now.

    A file that was uploaded is ours, and is hashed as it comes.
    """
    if data_import.source_kind != SourceKind.FILE or data_import.is_uploaded:
        return data_import.source_hash
    now = hash_of(Path(data_import.location), watch)
    if data_import.next_row and data_import.source_hash and now != data_import.source_hash:
        raise CannotImport(
            f"{data_import.location} has changed since this import began, so it cannot go on after row "
            f"{data_import.next_row:,}. Put the earlier file back; or undo this import, and import the new file."
        )
    return now


def hash_of(path: Path, watch: Watch) -> str:
    digest = hashlib.sha256()
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            while piece := file.read(HASH_BYTES):
                digest.update(piece)
                watch("hashing the file", done=in_units(file.tell()), total=in_units(size))
    except OSError as error:
        raise CannotImport(f"{path} cannot be read: {error.strerror}.") from None
    return digest.hexdigest()
