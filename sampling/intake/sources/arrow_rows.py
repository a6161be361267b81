"""Rows of Arrow tables as JSON has them. Everything here is called by workers and commands only: it needs pyarrow."""

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from sampling.intake.sources.rows import ROW_CHARACTERS, SourceRow, bad_row, row_of
from sampling.json_lines import Unusable


def rows_of_batch(batch: Any, first_line: int) -> Iterator[SourceRow]:
    """The rows of a RecordBatch or Table, numbered from ``first_line`` on."""
    try:
        rows = batch.to_pylist()
    except Exception:  # pyarrow: text that is no UTF-8, times beyond the calendar ... Now find out which row it is
        rows = None
    is_large = batch.nbytes > ROW_CHARACTERS  # only then can one of its rows be too long
    for place in range(batch.num_rows):
        line = first_line + place
        try:
            row = rows[place] if rows is not None else batch.slice(place, 1).to_pylist()[0]
            row = {str(name): plain(value) for name, value in row.items()}
        except Unusable as unusable:
            yield bad_row(line, str(unusable))
            continue
        except Exception as error:
            yield bad_row(line, f"A value of this row cannot be read ({type(error).__name__}: {error}).")
            continue
        if is_large and _characters(row) > ROW_CHARACTERS:
            yield bad_row(line, f"The row is longer than {ROW_CHARACTERS:,} characters. Shorten it.", str(row)[:20_000])
            continue
        yield row_of(line, row)


def plain(value: Any) -> Any:
    """As JSON has it: times as ISO 8601, in UTC where they name no zone; NaN as null; bytes as the text they hold."""
    match value:
        case None | str() | bool() | int():
            return value
        case float():
            if math.isinf(value):
                raise Unusable("A number of this row is infinite.")
            return None if math.isnan(value) else value
        case dict():
            return {str(name): plain(part) for name, part in value.items()}
        case list() | tuple():
            return [plain(part) for part in value]
        case datetime():
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
        case date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case bytes():
            return _text(value)
        case _:
            return str(value)


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise Unusable("A value of this row is bytes that are no UTF-8 text: an image, or sound?") from None


def _characters(value: Any) -> int:
    match value:
        case str():
            return len(value)
        case list():
            return sum(map(_characters, value))
        case dict():
            return sum(map(_characters, value.values()))
        case _:
            return 1
