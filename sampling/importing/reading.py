"""An import's source, row by row: what stands in it, read by its format, filtered, and fit to be kept or not.

A look and the import itself read the same way, so what a look tells is what an import does.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from sampling.curation.steps import Pipeline
from sampling.importing.stores import Numbered, Store
from sampling.importing.watching import Watch, in_units
from sampling.intake import formats, mapping
from sampling.intake.records import Record
from sampling.intake.sources import CONTENT_CHARACTERS, SourceRow
from sampling.json_lines import Unusable, shorten
from sampling.models import LeftOut

BATCH_ROWS = 1000
BATCH_RECORDS = 4000  # a row may hold several: a tree of messages does
BATCH_CHARACTERS = 8_000_000  # so that a thousand rows of a megabyte each are not held at once
MAPPED = "mapped"


@dataclass(frozen=True, slots=True)
class ReadRow:
    """One row of the source: its records, or the problem with it."""

    line: int
    row: dict[str, Any] | None
    records: Sequence[Record] = ()
    problem: str = ""
    content: str = ""  # as it stands in the source, cut


@dataclass(frozen=True, slots=True)
class OneLeftOut:
    line: int
    why: str
    reason: str
    content: str


@dataclass
class Sifted:
    """What became of a batch of rows."""

    batch: Sequence[ReadRow]
    kept: list[Numbered] = field(default_factory=list)
    left_out: list[OneLeftOut] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return len(self.batch)

    def refused(self, line: int, reason: str) -> OneLeftOut:
        """A row that was to be kept, and could not be."""
        row = next(row for row in self.batch if row.line == line)
        return _left_out(row, LeftOut.REJECTED, reason)


def read(row: SourceRow, format_key: str, columns: dict[str, str]) -> ReadRow:
    """What a row says, in the words of its format. Nothing that it holds raises anything."""
    if row.row is None:
        return ReadRow(row.line, None, problem=row.problem, content=row.content)
    try:
        meant = mapping.apply(row.row, columns) if columns else row.row
        records = formats.read(meant, format_key)
    except Unusable as unusable:
        return ReadRow(row.line, row.row, problem=str(unusable), content=row.content)
    except RecursionError:
        return ReadRow(row.line, row.row, problem="Not usable: nested too deeply.", content=row.content)
    if not records:
        return ReadRow(row.line, row.row, problem="The row holds nothing of this format.", content=row.content)
    return ReadRow(row.line, row.row, records, content=row.content)


def in_batches(rows: Iterable[ReadRow]) -> Iterator[list[ReadRow]]:
    """By rows, and sooner where they are long or hold many records."""
    batch: list[ReadRow] = []
    records = characters = 0
    for row in rows:
        batch.append(row)
        records += len(row.records)
        characters += len(row.content) + sum(map(characters_of, row.records))
        if len(batch) >= BATCH_ROWS or records >= BATCH_RECORDS or characters >= BATCH_CHARACTERS:
            yield batch
            batch, records, characters = [], 0, 0
    if batch:
        yield batch


def characters_of(record: Record) -> int:
    return sum(len(message["content"]) for message in record.messages) + sum(
        len(completion.text) for completion in record.completions
    )


def numbered(batch: Iterable[ReadRow]) -> list[tuple[int, Record]]:
    return [(row.line, record) for row in batch for record in row.records]


def sift(batch: Sequence[ReadRow], pipeline: Pipeline, store: Store) -> Sifted:
    """Filters first, then what the store cannot keep. A row with one unusable record is rejected as a whole."""
    sifted = Sifted(batch)
    outcomes = iter(pipeline.feed(numbered(batch)))
    for row in batch:
        if row.problem:
            sifted.left_out.append(_left_out(row, LeftOut.REJECTED, row.problem))
            continue
        of_row = list(islice(outcomes, len(row.records)))
        kept = [outcome.record for outcome in of_row if outcome.record is not None]
        problem = next(filter(None, (store.problem_of(record) for record in kept)), None)
        if problem:
            sifted.left_out.append(_left_out(row, LeftOut.REJECTED, problem))
            continue
        sifted.kept += (Numbered(row.line, record) for record in kept)
        if removed := [outcome.reason for outcome in of_row if outcome.record is None]:
            sifted.left_out.append(_left_out(row, LeftOut.FILTERED, _in_words(removed, len(of_row))))
    return sifted


def _in_words(reasons: list[str], records: int) -> str:
    if records == 1:
        return reasons[0]
    return f"{len(reasons)} of the row's {records} records: {'; '.join(dict.fromkeys(reasons))}"


def _left_out(row: ReadRow, why: LeftOut, reason: str) -> OneLeftOut:
    return OneLeftOut(row.line, why.value, shorten(reason, 2000), shorten(row.content, CONTENT_CHARACTERS))


def as_json(value: Any, length: int) -> str:
    """For people: cut, and in characters that can be stored."""
    return shorten(json.dumps(value, ensure_ascii=False, default=str), length)


def position(source: Any, rows: int, known_rows: int, watch: Watch, phase: str) -> None:
    """Tell the watch how far the source is read: in bytes where it knows them, else in rows."""
    if source.size:
        watch(phase, done=in_units(source.position), total=in_units(source.size), rows=rows)
    else:
        watch(phase, done=rows, total=known_rows, rows=rows)
