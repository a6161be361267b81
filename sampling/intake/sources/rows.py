"""What every source yields, row by row, and the bounds that keep a hostile one from harm."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sampling.json_lines import BYTES_A_CHARACTER, Unusable, check_storable, object_of, shorten

ROW_CHARACTERS = 2_000_000  # a conversation of book length; a longer row is told and not read
ROW_BYTES = ROW_CHARACTERS * BYTES_A_CHARACTER
CONTENT_CHARACTERS = 20_000  # of a row, where it is shown or handed back
EXAMPLE = '{"prompt": "..."}'


class SourceUnusable(Exception):
    """A source that cannot be read at all: why, and the remedy."""


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One row. ``line`` is 1 for the first, and counts on by one: rows(start) begins with ``line`` start + 1.

    Lines of JSON Lines are numbered as an editor does; of CSV the header is not counted, and quoted line ends are
    none. A row that cannot be parsed has ``row`` None and says why in ``problem``; a good one has an empty problem.
    ``content`` is the row as it stands in the source (as JSON, where that is no text), cut at CONTENT_CHARACTERS.
    """

    line: int
    row: dict[str, Any] | None
    problem: str
    content: str


@dataclass
class Source:
    """Where rows come from. Iterating twice reads twice. Raises nothing but SourceUnusable."""

    label: str = ""  # "JSON Lines", "CSV (;)" ...: what it was recognised as
    size: int | None = None  # bytes; None where nobody can tell
    splits: list[str] = field(default_factory=list)  # where there are several to choose from
    subsets: list[str] = field(default_factory=list)
    split_name: str = ""  # which one is read
    subset: str = ""
    columns_hint: list[str] = field(default_factory=list)  # where they are known before any row is read
    passed: int = 0  # rows that the newest iteration has gone through, once it has ended
    broke_off: str = ""  # where the newest iteration ended before the source's end: after which row, why, the remedy
    unwraps: bool = False  # whether rows were what an import left out, and are read as what they were before

    @property
    def position(self) -> int | None:
        """Bytes of ``size`` read so far by the newest iteration; None where nobody can tell."""
        return None

    def rows(self, start: int = 0) -> Iterator[SourceRow]:
        """The rows after the first ``start``, which are passed over without being parsed."""
        raise NotImplementedError


def row_of_json(line: int, raw: bytes, *, is_whole: bool = True) -> SourceRow:
    """One JSON object, as a row; a text alone is read as {"text"}, whatever else it is becomes the row's problem."""
    content = raw[: CONTENT_CHARACTERS * BYTES_A_CHARACTER].decode("utf-8", "replace")[:CONTENT_CHARACTERS]
    if raw[:1] == b'"' and is_whole:
        raw = b'{"text": %b}' % raw
    try:
        row = object_of(
            raw,
            is_whole=is_whole,
            max_characters=ROW_CHARACTERS,
            what="row",
            example=EXAMPLE,
            nan_is_null=True,
        )
        if b"\\u0000" in raw or b"\\ud" in raw or b"\\uD" in raw:  # else no text of it can be one that is not storable
            check_texts(row)
    except Unusable as unusable:
        return SourceRow(line, None, str(unusable), storable(content))
    return SourceRow(line, row, "", storable(content))


def row_of(line: int, row: dict[str, Any]) -> SourceRow:
    """A row that was no text. Whether its texts can be stored is looked at here."""
    content = storable(json.dumps(row, ensure_ascii=False, default=str)[:CONTENT_CHARACTERS])
    try:
        check_texts(row)
    except Unusable as unusable:
        return SourceRow(line, None, str(unusable), content)
    return SourceRow(line, row, "", content)


def breaks_off(last: int, why: str) -> str:
    return f"The source breaks off after row {last:,}: whatever stands behind it is not read. {why}"


def ends_cut(line: int) -> str:
    """Of a file whose last row, ``line``, is no row and has no line end: such is a copy that was cut short."""
    return breaks_off(line - 1, f"Row {line:,} ends in the middle: the file is not whole. Copy or upload it again.")


def bad_row(line: int, problem: str, content: str = "") -> SourceRow:
    return SourceRow(line, None, storable(problem), storable(content[:CONTENT_CHARACTERS]))


def check_texts(row: dict[str, Any]) -> None:
    """Raise Unusable for a text that PostgreSQL cannot hold, wherever in the row it stands."""
    remaining: list[tuple[str, Any]] = [(shorten(key), value) for key, value in row.items()]
    for key in row:
        check_storable(key, "a column's name")
    while remaining:  # no recursion, since a file sets the depth
        name, value = remaining.pop()
        if isinstance(value, str):
            check_storable(value, name)
        elif isinstance(value, list):
            remaining += [(name, item) for item in value]
        elif isinstance(value, dict):
            remaining += [(name, item) for pair in value.items() for item in pair]


def storable(text: str) -> str:
    """For showing: what PostgreSQL cannot hold is replaced."""
    if "\0" in text:
        text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
