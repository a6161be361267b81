"""Where a round stands in its schedule: the rounds before and after it, and which stages each of them runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from training.models import StageKind, TrainingRound
from training.recipe import Section

SHOWN = 12  # rounds in the picture: more would not fit, and these are those around the one that is looked at


@dataclass(frozen=True)
class Column:
    """One round of the schedule; ``round`` is None for one that nobody has launched yet."""

    number: int
    round: TrainingRound | None
    is_this: bool


@dataclass(frozen=True)
class StageRow:
    """Which of the columns' rounds run a stage."""

    label: str
    runs: Sequence[tuple[Column, bool]]


@dataclass(frozen=True)
class Schedule:
    """``earlier``: the first round first. ``columns`` and ``rows`` are empty where all rounds are alike and alone."""

    earlier: Sequence[TrainingRound]
    later: Sequence[TrainingRound]
    columns: Sequence[Column]
    rows: Sequence[StageRow]

    @property
    def first(self) -> TrainingRound | None:
        return self.earlier[0] if self.earlier else None

    @property
    def previous(self) -> TrainingRound | None:
        return self.earlier[-1] if self.earlier else None

    @property
    def next(self) -> TrainingRound | None:
        return self.later[0] if self.later else None


def schedule_of(round: TrainingRound) -> Schedule:
    """Two queries, however long the schedule is. Of a round that was continued twice, the newest line is followed."""
    previous_of = dict(TrainingRound.objects.order_by("pk").values_list("pk", "previous_id"))
    next_of = {previous: pk for pk, previous in previous_of.items() if previous}
    before, after = _chain(round.pk, previous_of)[::-1], _chain(round.pk, next_of)
    rounds = TrainingRound.objects.defer("gate_report", "changes").in_bulk([*before, *after])
    earlier, later = [rounds[pk] for pk in before], [rounds[pk] for pk in after]
    columns = _columns(round, {each.number: each for each in (*earlier, round, *later)})
    rows = _rows(round, columns)
    return Schedule(earlier, later, columns if rows else [], rows)


def _chain(pk: int, to: Mapping[int, int | None]) -> list[int]:
    chain: list[int] = []
    at = to.get(pk)
    while at:
        chain.append(at)
        at = to.get(at)
    return chain


def _columns(round: TrainingRound, known: Mapping[int, TrainingRound]) -> list[Column]:
    changes = [end for values in _spans(round).values() for end in _ends(values)]
    if len(known) == 1 and not changes:
        return []
    last = max([*known, *changes]) + 1
    first = max(1, min(round.number - SHOWN // 2, last - SHOWN + 1))
    shown = range(first, min(last, first + SHOWN - 1) + 1)
    return [Column(number, known.get(number), number == round.number) for number in shown]


def _rows(round: TrainingRound, columns: Sequence[Column]) -> list[StageRow]:
    spans = _spans(round)
    # Every round begins with a check; to draw it says nothing.
    kinds = [kind for kind in StageKind if kind != StageKind.CHECK]
    drawn = [StageRow(kind.label, [(column, _runs(kind, column, spans)) for column in columns]) for kind in kinds]
    return [row for row in drawn if any(runs for _, runs in row.runs)]


def _runs(kind: StageKind, column: Column, spans: Mapping[str, str]) -> bool:
    if column.round is not None:
        return bool(column.round.recipe.get(kind.value))
    return kind.value in spans and Section(rounds=spans[kind.value]).is_in_round(column.number)


def _spans(round: TrainingRound) -> dict[str, str]:
    """The rounds that have each stage, as the recipe says it: "1", "1-4", "5-", or "" for all."""
    sections: Mapping[str, Any] = round.schedule or round.recipe
    return {kind.value: sections[kind.value].get("rounds") or "" for kind in StageKind if sections.get(kind.value)}


def _ends(span: str) -> list[int]:
    return [int(part) for part in span.split("-") if part]
