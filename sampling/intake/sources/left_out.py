"""Rows that an import left out, as `sampling.importing.rejects` hands them back: each is read as the row that it was.

Whoever mended them edits "content", which is the row as text; an object in its place is read too. It is done here and
not by a format, so that every format, and a mapping of columns, reads them as it read the source.
"""

from sampling.intake.sources.rows import CONTENT_CHARACTERS, SourceRow, bad_row, row_of, row_of_json
from sampling.json_lines import kind

FIELDS = frozenset(("line", "why", "reason", "content"))
MARKED = FIELDS | {"cut"}
WHYS = ("rejected", "filtered")


def is_left_out(row: SourceRow) -> bool:
    found = row.row
    return found is not None and FIELDS <= found.keys() <= MARKED and found["why"] in WHYS


def unwrapped(row: SourceRow) -> SourceRow:
    """What stands in the content, under the number that the row has here."""
    assert row.row is not None
    content, line = row.row["content"], row.row["line"]
    if isinstance(content, dict):
        return row_of(row.line, content)
    if not isinstance(content, str):
        return bad_row(row.line, f'"content" is {kind(content)}; it must be the row, as it stands in its source.')
    inner = row_of_json(row.line, content.encode())
    if inner.row is not None:
        return inner
    if row.row.get("cut") or len(content) >= CONTENT_CHARACTERS:
        why = f"Row {line} was cut at {CONTENT_CHARACTERS:,} characters when it was left out. Take it from its source."
    else:
        why = f"The content of row {line} is still no row: {inner.problem} Write it as a JSON object."
    return bad_row(row.line, why, content)
