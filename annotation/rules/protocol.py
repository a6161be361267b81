"""What a project asks of its annotators, in the field's published forms. Pure: no database, no request.

A protocol says which questions stand beside the ranking: strength, safety, aspects, defects, a rationale. What an
answer to them looks like is in marks.py, the forms that were published in presets.py.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from annotation.rules.ranking import Strength

MAX_COMPLETIONS = 9  # one digit key each
MAX_ASPECTS = 8
MAX_DEFECTS = 20
SCALE_ENDS = range(-10, 11)
MAX_STEPS = 11  # a scale with more could not be told apart, nor fit a phone


class StrengthScale(StrEnum):
    """How much better one completion is than the next: which levels are offered, and their words."""

    NONE = "none"
    LLAMA2 = "llama2"  # arXiv 2307.09288, section 3.2.1
    HELPSTEER3 = "helpsteer3"  # arXiv 2505.11475, section 2: -3 to 3, where 0 is a tie

    @property
    def levels(self) -> tuple[Strength, ...]:
        """The levels on offer, strongest first."""
        match self:
            case StrengthScale.NONE:
                return ()
            case StrengthScale.LLAMA2:
                return tuple(Strength)
            case StrengthScale.HELPSTEER3:
                return (Strength.SIGNIFICANTLY_BETTER, Strength.BETTER, Strength.SLIGHTLY_BETTER)

    def words(self, level: Strength) -> str:
        """How a level is called on this scale: "much better" for HelpSteer3's 3."""
        if self == StrengthScale.HELPSTEER3 and level == Strength.SIGNIFICANTLY_BETTER:
            return "much better"
        if level == Strength.NEGLIGIBLY_BETTER:
            return "negligibly better or unsure"
        return level.label


class ProtocolError(ValueError):
    """A question that cannot be asked as written. The message is for the manager."""


@dataclass(frozen=True)
class Aspect:
    """One quality, rated for each completion on whole numbers from ``lowest`` to ``highest``."""

    key: str
    label: str
    lowest: int = 1
    highest: int = 5
    low_label: str = ""
    high_label: str = ""

    def __post_init__(self) -> None:
        if self.lowest not in SCALE_ENDS or self.highest not in SCALE_ENDS or self.lowest >= self.highest:
            raise ProtocolError(
                f'"{self.label}" runs from {self.lowest} to {self.highest}; use whole numbers from -10 to 10, the '
                "lower one first."
            )
        if len(self.steps) > MAX_STEPS:
            raise ProtocolError(f'"{self.label}" has {len(self.steps)} steps; use at most {MAX_STEPS}.')

    @property
    def steps(self) -> range:
        return range(self.lowest, self.highest + 1)


@dataclass(frozen=True)
class Defect:
    """One flaw that a completion has or has not."""

    key: str
    label: str


def aspects_of(stored: Iterable[Mapping[str, Any]]) -> list[Aspect]:
    return [Aspect(**aspect) for aspect in stored]


def defects_of(stored: Iterable[Mapping[str, Any]]) -> list[Defect]:
    return [Defect(**defect) for defect in stored]


def key_of(label: str) -> str:
    """The name of an aspect or a defect in forms, rows and exports: "Follows the prompt" is follows_the_prompt."""
    return re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_")[:60]
