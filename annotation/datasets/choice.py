"""What is chosen when a snapshot is frozen: a value that is kept with it, under its hash."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any, ClassVar, Self

from annotation.models import JudgeKind
from annotation.rules.aggregation import ANY_PAIR, LEVELS, Aggregation, OneRowPer, PairRule
from annotation.rules.ranking import Strength


class SnapshotRefused(Exception):
    """The snapshot cannot be made as asked. ``field`` names the input that can be changed."""

    field: ClassVar[str] = "name"


class UnknownKind(SnapshotRefused):
    field = "kinds"


class BadAgreement(SnapshotRefused):
    field = "agreement_threshold"


class BadSpan(SnapshotRefused):
    field = "until"


class BadSince(SnapshotRefused):
    field = "since"


FIRST_DAY, LAST_DAY = date(1970, 1, 1), date(2999, 12, 31)  # what is beyond no clock here has shown


@dataclass(frozen=True)
class Choice:
    """Which judgments, and which of their pairs.

    ``project_ids``: whose judgments. ``since``, ``until``: the days, in UTC and both included, on which the newest
    revision of a judgment was given. ``reviewed_only``: comparisons that a reviewer of these kinds has decided.
    ``agreement_threshold``: 0.5 to 1, see PairRule. ``one_row_per``: which rows an export has unless it is asked
    for the others; ``aggregation``: what a row per pair is made by.
    """

    name: str
    project_ids: tuple[int, ...]
    kinds: tuple[str, ...]
    since: date | None = None
    until: date | None = None
    reviewed_only: bool = False
    agreement_threshold: float = 0.5
    min_strength: Strength = ANY_PAIR.min_strength
    one_row_per: OneRowPer = OneRowPer.JUDGMENT
    aggregation: Aggregation = Aggregation.MAJORITY

    def checked(self) -> Self:
        """The same in its one form: nothing twice, in a fixed order. Raises SnapshotRefused."""
        if not 0.5 <= self.agreement_threshold <= 1:
            raise BadAgreement(f"An agreement of {self.agreement_threshold:g} cannot be asked for. Choose 0.5 to 1.")
        for day, refusal in ((self.since, BadSince), (self.until, BadSpan)):
            if day and not FIRST_DAY <= day <= LAST_DAY:
                raise refusal(f"No judgment can be from {day}. Choose a day from {FIRST_DAY} to {LAST_DAY}.")
        if self.since and self.until and self.since > self.until:
            raise BadSpan(f"The span ends on {self.until}, before it begins on {self.since}. Exchange the days.")
        return replace(
            self,
            project_ids=tuple(sorted(set(self.project_ids))),
            kinds=tuple(checked_kinds(self.kinds)),
            agreement_threshold=round(self.agreement_threshold, 4),
        )

    @property
    def rule(self) -> PairRule:
        return PairRule(self.agreement_threshold, self.min_strength, self.aggregation)

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {
            "project_ids": list(self.project_ids),
            "kinds": [str(kind) for kind in self.kinds],
            "since": self.since.isoformat() if self.since else None,
            "until": self.until.isoformat() if self.until else None,
            "min_strength": str(self.min_strength),
            "one_row_per": str(self.one_row_per),
            "aggregation": str(self.aggregation),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        return cls(
            name=stored["name"],
            project_ids=tuple(stored["project_ids"]),
            kinds=tuple(stored["kinds"]),
            since=date.fromisoformat(stored["since"]) if stored["since"] else None,
            until=date.fromisoformat(stored["until"]) if stored["until"] else None,
            reviewed_only=stored["reviewed_only"],
            agreement_threshold=stored["agreement_threshold"],
            min_strength=Strength(stored["min_strength"]),
            one_row_per=OneRowPer(stored["one_row_per"]),
            aggregation=Aggregation(stored["aggregation"]),
        )


def choice_in(settings: Mapping[str, Any]) -> Choice | None:
    """What a snapshot was frozen by; None for one of earlier days, when only kinds could be chosen."""
    return Choice.from_json(settings["choice"]) if "choice" in settings else None


def rule_in(settings: Mapping[str, Any]) -> PairRule:
    choice = choice_in(settings)
    if choice is None:
        return ANY_PAIR
    accuracies = {int(pk): accuracy for pk, accuracy in settings.get("accuracies", {}).items()}
    return replace(choice.rule, accuracies=accuracies)


def checked_kinds(kinds: Iterable[str]) -> list[str]:
    """``kinds`` without repetitions, in the order of JudgeKind. Raises UnknownKind."""
    asked, all_kinds = set(kinds), ", ".join(JudgeKind.values)
    if unknown := sorted(asked - set(JudgeKind.values)):
        raise UnknownKind(f'There is no kind of judge "{unknown[0]}". Choose from: {all_kinds}.')
    if not asked:
        raise UnknownKind(f"No kind of judge was chosen. Choose one or more of: {all_kinds}.")
    return [kind for kind in JudgeKind.values if kind in asked]


def in_words(choice: Choice) -> list[str]:
    """What was chosen beside projects and kinds, a sentence each; nothing where nothing was."""
    said = []
    match choice.since, choice.until:
        case None, None:
            pass
        case since, None:
            said.append(f"Judged on {since} or later.")
        case None, until:
            said.append(f"Judged until {until}.")
        case since, until:
            said.append(f"Judged from {since} to {until}.")
    if choice.reviewed_only:
        said.append("Only comparisons that a reviewer decided.")
    if choice.rule.asks_agreement:
        what = "of a pair's judgments agree"
        if choice.aggregation is Aggregation.DAWID_SKENE:
            what += " (of a row per pair: by that probability)"
        said.append(f"Only pairs on which {choice.agreement_threshold:.0%} or more {what}.")
    if choice.min_strength != LEVELS[0]:
        said.append(f"Only pairs that are {choice.min_strength.label} or more.")
    if choice.one_row_per is OneRowPer.PAIR:
        said.append("Meant to be read with one row per pair.")
    match choice.aggregation:
        case Aggregation.DAWID_SKENE:
            said.append("A row per pair weighs annotators by how often they are estimated to be right (Dawid-Skene).")
        case Aggregation.MAJORITY:
            pass
    return said
