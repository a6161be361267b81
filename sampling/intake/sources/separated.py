"""CSV and its kin: a header, then a row for each record, quoted as in RFC 4180."""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sampling.intake.sources.files import FileSource
from sampling.intake.sources.rows import (
    ROW_BYTES,
    ROW_CHARACTERS,
    SourceRow,
    SourceUnusable,
    bad_row,
    ends_cut,
    row_of,
)
from sampling.json_lines import BOM, shorten

DELIMITERS = {",": "CSV", "\t": "TSV", ";": "CSV (;)", "|": "CSV (|)"}
SNIFFED_ROWS = 50
AGREEING = 0.9  # share of the first rows that must have as many values as the header has
HEADER_CHARACTERS = 200  # of one column's name; prose with commas has longer "names"
MOST_COLUMNS = 2000  # each row costs something for each of them, and a page shows a few dozen
csv.field_size_limit(ROW_CHARACTERS)  # for the whole process; its default is shorter than many a conversation


class RowTooLong(Exception):
    pass


def sniff(head: bytes) -> str | None:
    """The delimiter of what begins with ``head``, whose last line may be cut; None where it looks like no table."""
    text = head.removeprefix(BOM).decode("utf-8", "replace")
    best: tuple[float, int] = (0.0, 1)
    found = None
    for delimiter in DELIMITERS:
        agreeing, columns = _fit(text, delimiter)
        if columns > 1 and agreeing >= AGREEING and (agreeing, columns) > best:
            best, found = (agreeing, columns), delimiter
    return found


def _fit(text: str, delimiter: str) -> tuple[float, int]:
    """The share of the first rows that have as many values as the header, and how many those are."""
    rows = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            if row:
                rows.append(row)
            if len(rows) > SNIFFED_ROWS:
                break
        else:
            rows = rows[:-1] if len(rows) > 2 else rows  # the last one may be cut
    except csv.Error:
        pass  # the head ends inside of quotes, or it is no such table: then little fits
    if not rows or any(len(name) > HEADER_CHARACTERS for name in rows[0]) or not all(map(str.strip, rows[0])):
        return 0.0, 0
    return sum(len(row) == len(rows[0]) for row in rows) / len(rows), len(rows[0])


@dataclass
class Separated(FileSource):
    """Rows are numbered without the header, and without blank lines. A value that is a JSON list or object becomes one;
    all else stays text."""

    delimiter: str = ","

    def __post_init__(self) -> None:
        self.label = DELIMITERS[self.delimiter]

    def _rows(self, stream, file, start):
        lines = Lines(file)
        reader = csv.reader(lines, delimiter=self.delimiter, strict=True)
        number, names = 0, None
        for cells, problem in self._cells(reader, lines):
            if names is None:
                names = self._header(cells, problem)
                continue
            if stream.problem and lines.is_at_end:  # in the middle of a line
                yield from self._ends(stream, number, start, "".join(lines.row))
                return
            number += 1
            if number <= start:
                stream.row_began()
                continue
            row = self._row(number, names, cells, problem, lines)
            if lines.is_at_end and (problem or len(cells) < len(names)):
                self.broke_off = ends_cut(number)
            yield row
        if names is None:
            raise SourceUnusable(stream.problem or "The table has no header. Name the columns in its first line.")
        yield from self._ends(stream, number, start)

    def _cells(self, reader: Any, lines: "Lines") -> Iterator[tuple[list[str], str]]:
        """Each row's values, and what is wrong with it as text."""
        while True:
            lines.row_begins()
            try:
                cells = next(reader)
            except StopIteration:
                return
            except RowTooLong:
                yield [], f"The row is longer than {ROW_CHARACTERS:,} characters. Is a quote not closed?"
            except csv.Error as error:
                yield [], f"Not CSV from line {lines.first} of the file on: {error}. Is a quote wrong, or not closed?"
            else:
                if cells or lines.problem:
                    yield cells, lines.problem

    def _header(self, cells: list[str], problem: str) -> list[str]:
        if problem:
            raise SourceUnusable(f"The header cannot be read. {problem}")
        if len(cells) > MOST_COLUMNS:
            raise SourceUnusable(
                f"The header names {len(cells):,} columns; at most {MOST_COLUMNS:,} are read. Leave some of them out."
            )
        return unique_names(cells)

    def _row(self, number: int, names: list[str], cells: list[str], problem: str, lines: "Lines") -> SourceRow:
        while len(cells) > len(names) and not cells[-1]:
            cells.pop()  # spreadsheets write empty columns behind the last
        if not problem and len(cells) != len(names):
            problem = (
                f"The row at line {lines.first} of the file has {len(cells)} values, but the header names {len(names)} "
                "columns. Is a quote or a delimiter missing?"
            )
        if problem:
            return bad_row(number, problem, "".join(lines.row))
        return row_of(number, dict(zip(names, map(value_of, cells), strict=True)))


class Lines:
    """Physical lines as text for csv.reader, bounded; remembers those of the row that is being read."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file
        self._number = 0
        self.is_at_end = False
        self.row_begins()

    def row_begins(self) -> None:
        self.row: list[str] = []
        self.problem = ""
        self.first = self._number + 1
        self._characters = 0

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> str:
        raw = self._file.readline(ROW_BYTES)
        if not raw:
            self.is_at_end = True
            raise StopIteration
        self._number += 1
        if self._number == 1:
            raw = raw.removeprefix(BOM)
        self.is_at_end = not raw.endswith(b"\n")
        if self.is_at_end and len(raw) >= ROW_BYTES - len(BOM):
            while (piece := self._file.readline(ROW_BYTES)) and not piece.endswith(b"\n"):
                pass
        line = self._decoded(raw)
        self._characters += len(line)
        if not self.row:
            self.row.append(line[:ROW_CHARACTERS])
        elif self._characters < ROW_CHARACTERS:
            self.row.append(line)
        if self._characters > ROW_CHARACTERS:
            raise RowTooLong
        return line

    def _decoded(self, raw: bytes) -> str:
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            self.problem = (
                f"Invalid UTF-8 at byte {error.start + 1} of line {self._number} of the file "
                f"(0x{raw[error.start]:02x}). Save the file as UTF-8."
            )
            return raw.decode("utf-8", "replace")


def unique_names(cells: list[str]) -> list[str]:
    """Names for all columns: an empty one gets a number, and so does a second one of the same name."""
    names: dict[str, None] = {}  # in their order
    copies: Counter[str] = Counter()
    for number, cell in enumerate(cells, start=1):
        name = wanted = shorten(cell.strip() or f"column {number}", HEADER_CHARACTERS)
        while name in names:
            copies[wanted] += 1  # counted on, so that a thousand of one name are no million comparisons
            name = f"{wanted} {copies[wanted] + 1}"
        names[name] = None
    return list(names)


def value_of(cell: str) -> Any:
    """A cell that is a JSON list or object, as that; all others as they are."""
    if cell[:1] + cell[-1:] not in ("[]", "{}"):
        return cell
    try:
        return json.loads(cell, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return cell


def _no_constant(name: str) -> Any:
    raise ValueError(name)
