"""Tables of a stage's result, for one template to show, and the words in their cells. Pure; no markup."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from training.watching import figures


@dataclass(frozen=True)
class Cell:
    """Words in a table; ``badge``: the kind of badge that they are shown as, if any."""

    words: str
    is_number: bool = False
    badge: str = ""


@dataclass(frozen=True)
class Table:
    """``columns``: (label, whether numbers stand in it)."""

    title: str
    columns: Sequence[tuple[str, bool]]
    rows: Sequence[Sequence[Cell]]
    note: str = ""


def number_cell(value: Any, form: str) -> Cell:
    """A number as ``form``, such as "{:,}"; what was not measured says so."""
    return Cell(figures.NOT_MEASURED if value is None else form.format(value), is_number=True)


def table(title: str, columns: Sequence[tuple[str, bool]], rows: Sequence[Any], *, note: str = "") -> Table | None:
    """None where there are no rows."""
    return Table(title, columns, rows, note) if rows else None
