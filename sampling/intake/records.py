"""What a row of any format says, in one shape: a prompt, what was answered to it, and who preferred what.

A format fills in what its rows have; a store takes of it what it keeps. Everything here was checked by
`sampling.json_lines.text`, or the like: a record's texts can be stored. `annotator` is as the source has it; a store
keeps a pseudonym of it only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

Message = dict[str, str]  # {"role", "content"}


class JudgedBy(StrEnum):
    """Who or what an imported judgment is by, as far as the format or its source says."""

    PERSON = "person"
    MODEL = "model"
    VOTES = "votes"  # upvotes of a community, scores of a crowd
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class FoundCompletion:
    text: str
    writer: str = ""  # the model's name, or whoever wrote it
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FoundJudgment:
    """A ranking of a record's completions, which it names by their positions 0, 1, 2 ... in the record."""

    groups: tuple[tuple[int, ...], ...]  # best first; those of one group are tied
    strengths: tuple[str, ...] = ()  # annotation.rules.ranking.Strength between neighbouring groups; () where not said
    annotator: str = ""  # empty where the source does not say who
    by: JudgedBy = JudgedBy.UNKNOWN
    at: datetime | None = None  # with its time zone
    rationale: str = ""
    seconds_spent: float | None = None
    all_bad: bool = False
    marks: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)  # by position: {"safety": "safe"|"unsafe"}
    source: Mapping[str, Any] = field(default_factory=dict)  # what else the row says of it: its id, scores ...


@dataclass(frozen=True, slots=True)
class Record:
    """One prompt with its completions and judgments. One row may hold several: a tree of messages does."""

    messages: tuple[Message, ...]  # the last one is the user's
    completions: tuple[FoundCompletion, ...] = ()
    judgments: tuple[FoundJudgment, ...] = ()
    split: str = ""  # "train", "eval", or not said
    metadata: Mapping[str, Any] = field(default_factory=dict)  # of the prompt: category, language, source, its id ...
