"""The rows that an import left out, as JSON Lines: mended, they can be imported again."""

import json
from collections.abc import Iterator

from sampling.models import DataImport

ROWS_AT_ONCE = 2000


def lines(data_import: DataImport, *, why: str = "") -> Iterator[bytes]:
    """One object a line: {"line", "why": "rejected"|"filtered", "reason", "content"}, in the source's order.

    A million of them are read in a stream. ``why``: only these.
    """
    rows = data_import.left_out.order_by("line")
    if why:
        rows = rows.filter(why=why)
    columns = ("line", "why", "reason", "content")
    for row in rows.values_list(*columns).iterator(chunk_size=ROWS_AT_ONCE):
        yield json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False).encode() + b"\n"
