"""What an import brings its records into. Each kind of import ("prompts", "judgments") has a store; which ones there
are is wiring, so that this app need not know the others (settings.IMPORT_STORES).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from django import forms
from django.conf import settings
from django.utils.module_loading import import_string

from sampling.intake.records import Record
from sampling.models import DataImport


@dataclass(frozen=True, slots=True)
class Numbered:
    """A record with the row that it stands in: 1 for the first row of the source."""

    line: int
    record: Record


@dataclass
class Stored:
    """What came of a batch. A row of which any part cannot be stored is rejected as a whole: line -> reason."""

    prompts: int = 0
    completions: int = 0
    comparisons: int = 0
    judgments: int = 0
    known: int = 0  # records of which everything was there already
    rejected: dict[int, str] = field(default_factory=dict)
    new_lines: set[int] = field(default_factory=set, compare=False)  # with something new, where a store says so


class CannotImport(Exception):
    """The source as a whole cannot be brought in; the message says why, and the remedy. A store may raise it too."""


class CannotUndo(Exception):
    """Something was made of what an import brought; the message names it and the remedy."""


class Store(Protocol):
    """Keeps one kind of thing. Made anew for each run of an import: it may remember what it has seen in it."""

    label: str  # "prompts", in the middle of a sentence
    form: type[forms.Form]  # what it must be told: the "store" part of DataImport.options
    data_import: DataImport

    def __init__(self, data_import: DataImport) -> None: ...

    def problem_of(self, record: Record) -> str | None:
        """Why this record cannot be kept, without looking at the database; None where nothing is wrong with it."""

    def store(self, batch: Sequence[Numbered]) -> Stored:
        """Keep a batch, inside the caller's transaction. What is there already is known, and not added again."""

    # A store that keeps people by pseudonyms has also ``stand_in(name) -> str``: what stands for a name in rows that
    # are left out, so that the same row imported again is the same person's (bringing_in.keep_left_out).

    def undo(self, go_on: Callable[[str], object]) -> None:
        """Delete all that this import added, inside the caller's transaction. ``go_on`` is told each phase.

        What rows of other imports refer to is handed over to one of these (handing_over.py).

        Raises CannotUndo.
        """


def store_class(what: str) -> type[Store]:
    """Raises KeyError for a kind of import that there is not."""
    return import_string(settings.IMPORT_STORES[what])


def stores() -> Mapping[str, type[Store]]:
    return {what: import_string(path) for what, path in settings.IMPORT_STORES.items()}


def store_options(data_import: DataImport) -> dict[str, Any]:
    return data_import.options.get("store", {})
