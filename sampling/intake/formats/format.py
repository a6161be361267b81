"""What a format is. In a file of its own, so that every format can name it."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sampling.intake.records import Record

Row = dict[str, Any]

PROMPTS, COMPLETIONS, JUDGMENTS = "prompts", "completions", "judgments"


@dataclass(frozen=True)
class Format:
    """One way in which rows are written.

    ``recognises`` looks at a row's shape alone and is cheap. ``read`` raises `sampling.json_lines.Unusable`, and
    nothing else, for a row that cannot be used.
    """

    key: str
    label: str  # in the middle of a sentence: 'Read as "HH-RLHF"'
    example: str  # one row, as JSON: shown in the page
    gives: frozenset[str]
    recognises: Callable[[Row], bool]
    reads: Callable[[Row], Iterator[Record]]
    named_only: bool = False  # never recognised by its shape: another format reads the same rows, less strictly

    def read(self, row: Row) -> list[Record]:
        return list(self.reads(row))

    @cached_property
    def example_row(self) -> Mapping[str, Any]:
        return json.loads(self.example)


def has(row: Row, *names: str) -> bool:
    """Whether all of these fields are there and hold something."""
    return all(row.get(name) is not None for name in names)


def has_any(row: Row, *names: str) -> bool:
    return any(row.get(name) is not None for name in names)


def is_list_of_objects(value: Any) -> bool:
    """By its first item: a shape, no check of what it holds."""
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)
