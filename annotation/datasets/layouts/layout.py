"""What a layout is: columns with their types, and how a judged comparison becomes rows. No database here.

A layout never decides which judgments count or which pairs there are: it asks the `JudgedComparison`. Types are
written as the dataset card has them: a dtype ("string", "int64", "float64", "bool"), {"list": type} or
{"list": {column: type}} (of structs), or {"struct": {column: type}}.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from annotation.datasets.export_rows import Marks, Row, Rows
from annotation.datasets.frozen import FrozenCompletion, JudgedComparison
from sampling.models import Origin

Features = dict[str, Any]
MESSAGES = {"list": {"role": "string", "content": "string"}}


# What columns mean that several layouts have, as the card says it.
MEANINGS = {
    "`is_decision`": "whether a reviewer decided it",
    "`annotator`": "a pseudonym, the same in every export of that installation",
    "`kind`": "who judged: `person`, `simulated` (a rule), `model`, or `imported` (judged elsewhere)",
    "`all_bad`": "whether the annotator found every completion bad",
    "`rationale`": "what the annotator wrote, as it was written",
    "`prompt_id`": "the prompt, in the installation that this comes from",
    "`comparison_id`": "the comparison there",
    "`judgment_id`": "the judgment there",
    "`split`": "`train` or `eval`",
}


class FileType(StrEnum):
    JSONL = "jsonl"
    PARQUET = "parquet"


@dataclass(frozen=True)
class View:
    """How a snapshot is looked at: which layout, which rows, as which files."""

    layout: str = "trl_preference"
    rows: Rows = Rows.JUDGMENT
    file_type: FileType = FileType.JSONL
    has_rationales: bool = False  # free text may name people: only where somebody asked for it
    licence: str = ""  # a key of the hub's list of licences, on the card; empty: not said
    marks: Marks = field(default_factory=dict)  # what is marked in the snapshot, which decides the columns
    is_weighed: bool = False  # a row per pair is made by Dawid-Skene, not by majority: for the notes alone

    @property
    def agreed(self) -> str:
        """By what a row per pair is agreed on, in words that a note goes on with."""
        if self.is_weighed:
            return "by the annotators' votes, each weighed by how often it is estimated to be right (Dawid-Skene)"
        return "by more than half of the annotators"


@dataclass(frozen=True)
class Layout:
    """One layout. ``rows`` gives the rows of one comparison in a fixed order; ``once_a_prompt``: only of its first
    comparison that gives any."""

    key: str
    label: str
    about: str  # who reads it, and what one row is: a sentence for the form
    features: Callable[[View], Features]
    rows: Callable[[JudgedComparison, View], Iterator[Row]]
    meanings: Mapping[str, str]  # columns, as the card names them -> what they mean
    note: Callable[[View], str]  # the card's paragraph on what a row is and what is left out
    has_rationales: bool = False  # whether its rows have a place for what annotators wrote
    once_a_prompt: bool = False
    task: str = "text-generation"  # the hub's task category
    tags: tuple[str, ...] = ()


def conversation(judged: JudgedComparison) -> list[dict[str, str]]:
    """The prompt's turns, with the two columns that every row has of them."""
    return [{"role": turn["role"], "content": turn["content"]} for turn in judged.prompt.messages]


def reply(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def ties_in_words() -> str:
    """Of the layouts that have rows of ties: which ones. Goes on after a comma."""
    return (
        "ties included; where an agreement was asked for, a tie needs it as well, and where a strength was, no tie "
        "is a row."
    )


def author_of(completion: FrozenCompletion) -> str:
    """The model's name, or "person" for an annotator's better answer: who wrote that stays unnamed."""
    return "person" if completion.origin == Origin.PERSON else completion.model


def metadata_text(judged: JudgedComparison, *names: str) -> str | None:
    """The first of these that the prompt's metadata has as a text."""
    found = (judged.prompt.metadata.get(name) for name in names)
    return next((value for value in found if isinstance(value, str) and value), None)
