"""The rows that an import left out, as JSON Lines. Mended in their "content", the same file can be imported again.

`sampling.intake.sources.left_out` reads each as the row that it was.
"""

import json
from collections.abc import Iterator

from sampling.intake.sources import CONTENT_CHARACTERS
from sampling.models import DataImport

ROWS_AT_ONCE = 2000


def lines(data_import: DataImport, *, why: str = "") -> Iterator[bytes]:
    """One object a line: {"line", "why": "rejected"|"filtered", "reason", "content"}, in the source's order.

    ``"cut": true`` stands with those whose content is not all of the row: they must be taken from the source.
    A million of them are read in a stream. ``why``: only these.
    """
    rows = data_import.left_out.order_by("line")
    if why:
        rows = rows.filter(why=why)
    columns = ("line", "why", "reason", "content")
    for row in rows.values_list(*columns).iterator(chunk_size=ROWS_AT_ONCE):
        told = dict(zip(columns, row, strict=True))
        if len(told["content"]) >= CONTENT_CHARACTERS:
            told["cut"] = True
        yield json.dumps(told, ensure_ascii=False).encode() + b"\n"
