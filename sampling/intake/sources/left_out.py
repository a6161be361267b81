"""Rows that an import left out, as `sampling.importing.rejects` hands them back: each is read as the row that it was.

Whoever mended them edits "content", which is the row as text; an object in its place is read too. It is done here and
not by a format, so that every format, and a mapping of columns, reads them as it read the source.
"""

from typing import Any

from sampling.intake.sources.rows import CONTENT_CHARACTERS, SourceRow, bad_row, row_of, row_of_json
from sampling.json_lines import kind, shorten

FIELDS = frozenset(("line", "why", "reason", "content"))
MARKED = FIELDS | {"cut"}
WHYS = ("rejected", "filtered")


def is_left_out(row: dict[str, Any]) -> bool:
    return FIELDS <= row.keys() <= MARKED and row["why"] in WHYS


def unwrapped(line: int, left_out: dict[str, Any]) -> SourceRow:
    """What stands in the content, under the number ``line`` that the row has here."""
    content, before = left_out["content"], shorten(str(left_out["line"]), 20)
    if isinstance(content, dict):
        return row_of(line, content)
    if not isinstance(content, str):
        return bad_row(line, f'"content" is {kind(content)}; it must be the row, as it stands in its source.')
    inner = row_of_json(line, content.encode())
    if inner.row is not None:
        return inner
    if left_out.get("cut") or len(content) >= CONTENT_CHARACTERS:
        why = f"Row {before} was cut at {CONTENT_CHARACTERS:,} characters when it was left out. Take the whole one."
    else:
        why = f"The content of row {before} is still no row: {inner.problem} Write it as a JSON object."
    return bad_row(line, why, content)
