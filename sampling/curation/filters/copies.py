"""The same text twice: rows that repeat an earlier row, and comparisons of a text with itself."""

import unicodedata
from collections.abc import Mapping
from typing import Any

from sampling.curation.filters.base import Fate, Filter, Surroundings, fingerprint
from sampling.curation.parameters import Choice, Flag
from sampling.intake.records import FoundJudgment, Record

ALIKE = (
    Flag("ignore_case", "Ignore upper and lower case", default=True),
    Flag("ignore_spaces", "Ignore white space", default=True, help="Several spaces or line ends count as one space."),
    Flag(
        "ignore_forms",
        "Ignore forms of characters",
        default=True,
        help="Unicode NFKC: full-width letters, ligatures, and composed or decomposed characters are one.",
    ),
)


def normalised(text: str, told: Mapping[str, Any]) -> str:
    """The text as far as it counts. White space at the ends never does where it is ignored."""
    if told["ignore_forms"]:
        text = unicodedata.normalize("NFKC", text)
    if told["ignore_case"]:
        text = text.casefold()
        if told["ignore_forms"]:
            text = unicodedata.normalize("NFKC", text)  # folding may decompose: İ becomes i and a dot
    if told["ignore_spaces"]:
        text = " ".join(text.split())
    return text


class Copies(Filter):
    """Keeps the first of rows that say the same. About 200 bytes of memory for each row that is kept."""

    key = "duplicates"
    label = "Duplicates"
    what = "Removes a row that says the same as an earlier one; the first stays."
    remembers = True
    parameters = (
        Choice(
            "of",
            "What must be the same",
            default="whole",
            is_always_told=True,
            choices=(
                ("whole", "the whole row, with its judgments"),
                ("exchange", "prompt and completions"),
                ("prompt", "the prompt"),
            ),
            help="Where a file has one row for each annotator, only the whole row keeps all their judgments.",
        ),
        *ALIKE,
    )

    def __init__(self, told: Mapping[str, Any], surroundings: Surroundings) -> None:
        super().__init__(told, surroundings)
        self._first: dict[bytes, int] = {}  # what was said -> the line where it stood first

    def restart(self) -> None:
        self._first.clear()

    def judge(self, line: int, record: Record) -> Fate:
        said = self._said(record)
        if (first := self._first.get(said)) is not None:
            return f"The same as row {first}."
        self._first[said] = line
        return record

    def _said(self, record: Record) -> bytes:
        said: list[Any] = [[message["role"], normalised(message["content"], self.told)] for message in record.messages]
        if self.told["of"] != "prompt":
            said.append([normalised(completion.text, self.told) for completion in record.completions])
        if self.told["of"] == "whole":
            said.append([_answer(judgment) for judgment in record.judgments])
        return fingerprint(said)


def _answer(judgment: FoundJudgment) -> list[Any]:
    """Who said what, and when: two annotators who agree are no copies of each other."""
    return [judgment.annotator, judgment.groups, judgment.strengths, str(judgment.at), judgment.source]


class EqualSides(Filter):
    """A comparison of two texts that are the same says nothing, and trains toward nothing."""

    key = "equal_sides"
    label = "Equal completions"
    what = "Removes a row of which two completions are the same. Rows with fewer than two completions stay."
    parameters = ALIKE

    def judge(self, line: int, record: Record) -> Fate:
        seen: dict[str, int] = {}
        for place, completion in enumerate(record.completions, start=1):
            first = seen.setdefault(normalised(completion.text, self.told), place)
            if first != place:
                return f"Completion {place} is the same as completion {first}."
        return record
