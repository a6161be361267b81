"""Looks through a source and writes nothing but what it saw: what an import of it would bring and leave out.

`DataImport.seen`, as JSON. Every key is there from the first time it is stored, after FIRST_ROWS rows, and the counts
grow while the look goes on::

    format              the key of the format that is read, "" where none fits
    formats             those of all formats that the first rows fit
    columns             names of the first rows' columns
    first_rows          up to 20 rows, each as JSON text, cut
    first_records       up to 20 records: {"line", "messages", "completions", "judgments", "split",
                        "metadata" (as JSON text)}, cut
    rows                rows looked through
    records             {"prompts", "completions": different ones, "judgments"} that would be kept
    known               {"rows", "prompts", "completions"}: of the first so many rows, what is there already of these
    by_split            {"train", "eval"}: of the different prompts
    rejected            rows that cannot be used
    rejected_first      the first 20 of them: {"line", "reason", "content"}
    filters             for each step {"label", "gist", "seen", "removed", "changed", "examples": [{"line", ...}]}
    problems            what a person should know, in words
    column_problems     for our name of a mapped column, what is wrong with it
    splits, subsets     names of those that a directory or a hub dataset has
    is_sample           whether there are more rows than LOOK_ROWS, which were not looked through
    took_seconds
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import chain, islice
from typing import Any

from sampling.importing import reading
from sampling.importing.counting import Different
from sampling.importing.kinds import KINDS
from sampling.importing.options import Options, options_of
from sampling.importing.preparing import FIRST_ROWS, NoFormat, Opened, opened
from sampling.importing.prompts import split_of
from sampling.importing.reading import MAPPED, OneLeftOut, ReadRow, Sifted
from sampling.importing.watching import Watch
from sampling.intake import formats
from sampling.intake.mapping import Unmet
from sampling.intake.records import Record
from sampling.json_lines import shorten
from sampling.models import DataImport, LeftOut

LOOK_ROWS = 200_000  # looked through in full: a minute at most. Of a longer source these are a sample
SHOWN = 20
SHOWN_CHARACTERS = 2000  # of one row or record
SAVE_SECONDS = 2

EMPTY: dict[str, Any] = {
    "format": "", "formats": [], "columns": [], "first_rows": [], "first_records": [], "rows": 0,
    "records": {"prompts": 0, "completions": 0, "judgments": 0},
    "known": {"rows": 0, "prompts": 0, "completions": 0}, "by_split": {"train": 0, "eval": 0}, "rejected": 0,
    "rejected_first": [], "filters": [], "problems": [], "column_problems": {}, "splits": [], "subsets": [],
    "is_sample": False, "took_seconds": 0.0,
}  # fmt: skip

Save = Callable[[dict[str, Any]], object]


@dataclass
class Look:
    """What was seen so far."""

    reader: Opened
    started: float = field(default_factory=time.monotonic)
    rows: int = 0
    is_sample: bool = False
    first: list[ReadRow] = field(default_factory=list)
    first_records: list[dict[str, Any]] = field(default_factory=list)
    judgments: int = 0
    by_split: Counter[str] = field(default_factory=Counter)
    rejected: int = 0
    rejected_first: list[dict[str, Any]] = field(default_factory=list)
    said_of_completions: set[str] = field(default_factory=set)  # names of what is not kept of them

    def __post_init__(self) -> None:
        data_import = self.reader.store.data_import
        self.what = data_import.what
        self.format = formats.FORMATS[self.reader.options.format]
        self.different = Different(data_import.prompt_set_id)
        self.unmet = Unmet(self.reader.options.mapping)

    def add(self, sifted: Sifted) -> None:
        self.rows += sifted.rows
        self.first += islice(sifted.batch, max(0, FIRST_ROWS - len(self.first)))
        for row in sifted.batch:
            if row.row is not None:
                self.unmet.see(row.row)
        for kept in sifted.kept:
            self._count(kept.record)
            if len(self.first_records) < SHOWN:
                self.first_records.append(shown(kept.line, kept.record))
        for record, content_hash in self.different.add([kept.record for kept in sifted.kept], sifted.rows):
            self.by_split[split_of(record, content_hash, self.reader.options)] += 1
        for row in sifted.left_out:
            if row.why == LeftOut.REJECTED:
                self._reject(row)

    def _count(self, record: Record) -> None:
        self.judgments += len(record.judgments)
        if len(self.said_of_completions) < SHOWN:
            for completion in record.completions:
                self.said_of_completions.update(completion.metadata)

    def _reject(self, row: OneLeftOut) -> None:
        self.rejected += 1
        is_told = not self.gives and any(told["reason"] == row.reason for told in self.rejected_first)
        if len(self.rejected_first) < SHOWN and not is_told:
            content = shorten(row.content, SHOWN_CHARACTERS)
            self.rejected_first.append({"line": row.line, "reason": row.reason, "content": content})

    @property
    def gives(self) -> bool:
        """Whether rows of this format can hold what is imported."""
        return self.what in self.format.gives

    def as_json(self) -> dict[str, Any]:
        objects = [row.row for row in self.first if row.row is not None]
        source = self.reader.source
        return {
            "format": self.reader.options.format,
            "formats": fitting(objects),
            "columns": columns_of(self.first),
            "first_rows": [row_as_text(row) for row in self.first[:SHOWN]],
            "first_records": self.first_records,
            "rows": self.rows,
            "records": {
                "prompts": self.different.prompts,
                "completions": self.different.completions,
                "judgments": self.judgments,
            },
            "known": asdict(self.different.known),
            "column_problems": self.column_problems(),
            "by_split": {name: self.by_split[name] for name in ("train", "eval")},
            "rejected": self.rejected,
            "rejected_first": self.rejected_first,
            "filters": self.reader.pipeline.removed,
            "problems": self.problems(),
            "splits": list(getattr(source, "splits", ()) or ()),
            "subsets": list(getattr(source, "subsets", ()) or ()),
            "is_sample": self.is_sample,
            "took_seconds": round(time.monotonic() - self.started, 1),
        }

    def column_problems(self) -> dict[str, str]:
        return self.unmet.problems(columns_of(self.first)) if any(row.row is not None for row in self.first) else {}

    def problems(self) -> list[str]:
        return [
            *self._problems_of_the_source(),
            *self._problems_of_the_format(),
            *(f"{name}: {problem}" for name, problem in self.column_problems().items()),
            *self._what_is_not_added(),
        ]

    def _problems_of_the_source(self) -> Iterator[str]:
        source = self.reader.source
        if self.is_sample:
            yield f"The source has more than {LOOK_ROWS:,} rows. These are looked through; an import reads all of them."
        if source.broke_off:
            yield source.broke_off
        if source.unwraps:
            yield 'Rows that an import left out: what stands in "content" is read, as the row that it was.'

    def _problems_of_the_format(self) -> Iterator[str]:
        options = self.reader.options
        if not self.gives:
            held = " and ".join(kind for kind in KINDS if kind in self.format.gives)
            yield (
                f"Read as {self.format.label}, the rows hold {held}, and no {self.what}. Import what they hold; or, if "
                f"{self.what} stand in some of the columns, choose these by hand."
            )
        elif self.rows and self.rejected == self.rows:
            yield f'No row can be used, read as "{self.format.label}". Choose another format or other columns.'
        if options.format == MAPPED and options.mapping:
            told = ", ".join(f"{ours}: {theirs}" for ours, theirs in options.mapping.items())
            yield f"The columns are read as {told}. See below whether that is right."

    def _what_is_not_added(self) -> Iterator[str]:
        lost = sorted(map(shorten, self.said_of_completions - {"finish_reason"}))[:SHOWN]
        if lost and self.what != "prompts":
            yield f"Of a completion its text and writer are kept. What else is said of it is not: {', '.join(lost)}."
        kinds = "prompts" if self.what == "prompts" else "prompts and completions"
        if self.different.are_known(with_completions=self.what != "prompts"):
            yield f"All of these {kinds} are in the prompt set already, and are not added again."


def look(data_import: DataImport, watch: Watch, save: Save) -> Options:
    """Look through the source of an import, which may be unsaved, and ``save`` what is seen, at first soon.

    Returns its options with the format that was recognised. Raises `Stop`, and what reading raises.
    """
    try:
        reader = opened(data_import)
    except NoFormat as unknown:
        save(not_recognised(unknown))
        return options_of(data_import.options)
    _plan(reader, watch)
    seen = Look(reader)
    rows = reader.rows()
    saved_at = 0.0
    first = list(islice(rows, FIRST_ROWS))
    rest = islice(rows, max(0, LOOK_ROWS - len(first)))
    for batch in chain([first] if first else [], reading.in_batches(rest)):
        seen.add(reading.sift(batch, reader.pipeline, reader.store))
        if time.monotonic() - saved_at > SAVE_SECONDS:
            save(seen.as_json())
            saved_at = time.monotonic()
        reading.position(reader.source, seen.rows, 0, watch, "looking through it")
    seen.is_sample = next(rows, None) is not None
    save(seen.as_json())
    return reader.options


def not_recognised(unknown: NoFormat) -> dict[str, Any]:
    """What is seen of rows whose meaning is not known: a person chooses the format, or the columns."""
    first = [ReadRow(row.line, row.row, problem=row.problem, content=row.content) for row in unknown.first]
    return EMPTY | {
        "columns": columns_of(first),
        "first_rows": [row_as_text(row) for row in first[:SHOWN]],
        "problems": [str(unknown)],
    }


def row_as_text(row: ReadRow) -> str:
    """As JSON, whatever the source is; what could not be parsed, as it stands there."""
    return shorten(row.content, SHOWN_CHARACTERS) if row.row is None else reading.as_json(row.row, SHOWN_CHARACTERS)


def columns_of(rows: list[ReadRow]) -> list[str]:
    found = dict.fromkeys(shorten(column, 200) for row in rows if row.row is not None for column in row.row)
    return list(found)[:200]


def _plan(reader: Opened, watch: Watch) -> None:
    for _ in range(reader.pipeline.plan_passes):
        rows = 0
        for batch in reading.in_batches(_bounded(reader)):
            reader.pipeline.plan(reading.numbered(batch))
            rows += len(batch)
            reading.position(reader.source, rows, 0, watch, "filters read all rows first")
        reader.pipeline.end_pass()


def _bounded(reader: Opened) -> Iterator[ReadRow]:
    return islice(reader.rows(), LOOK_ROWS)


def fitting(rows: list[dict[str, Any]]) -> list[str]:
    """Keys of the formats whose shape most of the rows have."""
    return [
        key
        for key, each in formats.FORMATS.items()
        if rows and 2 * sum(each.recognises(row) for row in rows) > len(rows)
    ]


def shown(line: int, record: Record) -> dict[str, Any]:
    """One record as JSON, for a page: long texts are cut."""
    return {
        "line": line,
        "messages": [
            {"role": message["role"], "content": shorten(message["content"], SHOWN_CHARACTERS)}
            for message in record.messages[-SHOWN:]
        ],
        "completions": [
            {"text": shorten(completion.text, SHOWN_CHARACTERS), "writer": shorten(completion.writer, 200)}
            for completion in record.completions[:SHOWN]
        ],
        "judgments": [
            {
                "groups": [list(group) for group in judgment.groups],
                "strengths": list(judgment.strengths),
                "annotator": judgment.annotator,
                "by": judgment.by.value,
                "at": judgment.at.isoformat() if judgment.at else "",
                "rationale": shorten(judgment.rationale, SHOWN_CHARACTERS),
                "all_bad": judgment.all_bad,
            }
            for judgment in record.judgments[:SHOWN]
        ],
        "split": record.split,
        "metadata": reading.as_json(dict(record.metadata), SHOWN_CHARACTERS),
    }
