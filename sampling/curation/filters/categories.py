"""By a value of the metadata: keep or drop categories, and no more than N of each."""

import heapq
import json
from collections.abc import Mapping, Sequence
from typing import Any

from sampling.curation.filters.base import Fate, Filter, Numbered, Surroundings, draw, metadata_value
from sampling.curation.parameters import Choice, Number, Text, Words
from sampling.intake.records import Record
from sampling.json_lines import shorten

KEY = Text("key", "Metadata key", is_needed=True, suggestions="metadata-keys", help="For example category.")


class Categories(Filter):
    key = "categories"
    label = "Category"
    what = "Keeps or removes rows by a value of their metadata."
    parameters = (
        KEY,
        Words("values", "Values", is_needed=True, help="With commas between, as they stand in the metadata."),
        Choice(
            "do", "Rows with one of them", "keep", choices=(("keep", "keep"), ("remove", "remove")), is_always_told=True
        ),
        Choice(
            "missing",
            "Rows without the key",
            default="remove",
            choices=(("remove", "remove"), ("keep", "keep")),
        ),
    )

    def judge(self, line: int, record: Record) -> Fate:
        values = _values(record, self.told["key"])
        if not values:
            return record if self.told["missing"] == "keep" else f'It has no "{self.told["key"]}".'
        is_listed = any(value in self.told["values"] for value in values)
        if is_listed == (self.told["do"] == "keep"):
            return record
        return f"Its {self.told['key']} is {shorten(', '.join(values), 80)}."


def _values(record: Record, key: str) -> list[str]:
    """Of a list, each of its items."""
    value = record.metadata.get(key)
    if isinstance(value, list):
        return [item if isinstance(item, str) else json.dumps(item, ensure_ascii=False) for item in value]
    text = metadata_value(record, key)
    return [] if text is None else [text]


class PerSubset(Filter):
    """Those whose hash with the seed is smallest: which ones, the order of the rows has no say in.

    While it plans it keeps N numbers a subset, afterwards one: the greatest that is still drawn, and how many rows may
    have just that one (rows of the same content have the same).
    """

    key = "per_subset"
    label = "At most N of each"
    what = "Draws at most so many rows of each value of the metadata, at random but always the same ones."
    needs_plan = True
    parameters = (
        Number("most", "At most", default=100, low=1, high=10_000_000, is_always_told=True),
        Text(
            "key",
            "Metadata key",
            suggestions="metadata-keys",
            help="For example category; rows without it are one subset. Empty: all rows are one.",
        ),
    )

    def __init__(self, told: Mapping[str, Any], surroundings: Surroundings) -> None:
        super().__init__(told, surroundings)
        self._smallest: dict[str | None, list[int]] = {}  # negated, so that the heap's top is the greatest
        self._drawn: dict[str | None, tuple[int, int]] = {}
        self._at_border: dict[str | None, int] = {}

    def plan(self, rows: Sequence[Numbered]) -> None:
        for _, record in rows:
            heap = self._smallest.setdefault(self._subset(record), [])
            number = -self._number(record)
            if len(heap) < self.told["most"]:
                heapq.heappush(heap, number)
            elif number > heap[0]:
                heapq.heapreplace(heap, number)

    def settle(self) -> None:
        for subset, heap in self._smallest.items():
            border = heap[0]
            self._drawn[subset] = -border, sum(number == border for number in heap)
        self._smallest.clear()

    def restart(self) -> None:
        self._at_border.clear()

    def judge(self, line: int, record: Record) -> Fate:
        subset = self._subset(record)
        border, room = self._drawn[subset]
        number = self._number(record)
        if number == border:
            self._at_border[subset] = self._at_border.get(subset, 0) + 1
        if number < border or (number == border and self._at_border[subset] <= room):
            return record
        most = f"{self.told['most']:,}"
        if not self.told["key"]:
            return f"Not among the {most} that were drawn."
        value = "none" if subset is None else shorten(subset)
        return f"Not among the {most} that were drawn of {self.told['key']} {value}."

    def _subset(self, record: Record) -> str | None:
        return metadata_value(record, self.told["key"]) if self.told["key"] else None

    def _number(self, record: Record) -> int:
        return draw(self.seed, record.messages, [completion.text for completion in record.completions])
