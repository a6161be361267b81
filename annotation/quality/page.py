"""A stored report as what its pages show: points with whiskers, words, charts. No database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from annotation.models import JudgeKind
from annotation.quality import words as quality_words
from annotation.quality.words import FIGURES, HABITS, Habit, minus, percent, percent_interval
from sampling.charts import BarChart, Scale, Tick, Whisker, bar_chart, whisker
from sampling.durations import duration

WIDE, NARROW = 300, 72  # of an axis on its own, and of one in a table's cell
FROM_SECONDS = ("0", "5", "10", "20", "40", "80", "160", "320")  # annotator_figures.TIMES
KINDS = {
    JudgeKind.PERSON: "People", JudgeKind.SIMULATED: "Simulated annotators", JudgeKind.MODEL: "Model judges",
    JudgeKind.IMPORTED: "Imported",
}  # fmt: skip


@dataclass(frozen=True)
class AgreementRow:
    name: str
    what: str
    value: str
    interval: str
    reason: str  # why a part is missing
    meaning: str
    drawn: Whisker | None
    marks: Sequence[float]  # where a reading of the value begins
    ticks: Sequence[Tick]


@dataclass(frozen=True)
class AgreementPage:
    rows: Sequence[AgreementRow]
    reason: str  # why there is none at all
    width: int = WIDE


@dataclass(frozen=True)
class Cell:
    """One figure of one annotator."""

    habit: Habit
    value: str
    interval: str
    drawn: Whisker | None
    expected_at: float | None
    expected: str
    rows: int


@dataclass(frozen=True)
class AnnotatorRow:
    pk: int
    name: str
    judgments: int
    time: str  # the median
    time_interval: str
    cells: Sequence[Cell | None]
    warnings: Sequence[str]


def kinds_in(content: Mapping[str, Any]) -> list[tuple[str, str, int]]:
    """The kinds of judge that a report has figures of: (kind, label, judgments)."""
    kinds = content.get("kinds", {})
    return [(kind.value, KINDS[kind], kinds[kind]["judgments"]) for kind in JudgeKind if kind in kinds]


def agreement_page(figures: Sequence[Mapping[str, Any]]) -> AgreementPage:
    measured = [figure for figure in figures if figure["value"] is not None]
    if not measured:
        return AgreementPage([], figures[0]["reason"] if figures else "")
    lowest = min(figure["value"] if figure["low"] is None else figure["low"] for figure in measured)
    return AgreementPage(rows=[_agreement_row(figure, below_zero=lowest < 0) for figure in figures], reason="")


def _axis(*, is_share: bool, below_zero: bool) -> tuple[Scale, list[Tick]]:
    """What is corrected for chance shares an axis, that it can be compared; a share has no values below zero."""
    scale = Scale(-1 if below_zero and not is_share else 0, 1, WIDE)
    if is_share:
        return scale, [Tick(scale.at(step / 100), f"{step} %") for step in (0, 25, 50, 75, 100)]
    steps = [-1, -0.5, 0, 0.5, 1] if below_zero else [0, 0.2, 0.4, 0.6, 0.8, 1]
    return scale, [Tick(scale.at(step), minus(f"{step:g}")) for step in steps]


def _agreement_row(figure: Mapping[str, Any], *, below_zero: bool) -> AgreementRow:
    described, value, low, high = FIGURES[figure["key"]], figure["value"], figure["low"], figure["high"]
    scale, ticks = _axis(is_share=described.is_share, below_zero=below_zero)
    marks = [scale.at(mark) for mark in (quality_words.TENTATIVE, quality_words.RELIABLE)]
    words, between = (percent, percent_interval) if described.is_share else (_two_digits, _two_digits_interval)
    return AgreementRow(
        name=described.name,
        what=described.what,
        value="" if value is None else words(value),
        interval="" if low is None else between(low, high),
        reason=figure["reason"],
        meaning="" if value is None else quality_words.meaning(figure["key"], value, low),
        drawn=None if value is None else _drawn(scale, figure),
        marks=marks if figure["key"] == "alpha" else [],
        ticks=ticks,
    )


def annotator_rows(people: Sequence[Mapping[str, Any]], names: Mapping[int, str]) -> list[AnnotatorRow]:
    """Who deserves a look first, then who judged most."""
    rows = [annotator_row(person, names.get(person["annotator"], "somebody"), NARROW) for person in people]
    return sorted(rows, key=lambda row: (-len(row.warnings), -row.judgments, row.name))


def annotator_row(person: Mapping[str, Any], name: str, width: int) -> AnnotatorRow:
    return AnnotatorRow(
        pk=person["annotator"],
        name=name,
        judgments=person["judgments"],
        time=duration(person["seconds"] and person["seconds"]["value"]),
        time_interval=quality_words.time_interval(person["seconds"]),
        cells=[_cell(habit, person[habit.key], width) for habit in HABITS],
        warnings=[warning["words"] for warning in person["warnings"]],
    )


def _cell(habit: Habit, estimate: Mapping[str, Any] | None, width: int) -> Cell | None:
    if not estimate:
        return None
    scale, expected = Scale(0, 1, width), estimate["expected"]
    return Cell(
        habit=habit,
        value=percent(estimate["value"]),
        interval="" if estimate["low"] is None else percent_interval(estimate["low"], estimate["high"]),
        drawn=_drawn(scale, estimate),
        expected_at=None if expected is None else scale.at(expected),
        expected="" if expected is None else f"{habit.expected}: {percent(expected)}",
        rows=estimate["rows"],
    )


def _drawn(scale: Scale, estimate: Mapping[str, Any]) -> Whisker:
    value = estimate["value"]
    low, high = (value if estimate[end] is None else estimate[end] for end in ("low", "high"))
    return whisker(scale, low, value, high)


def _two_digits(value: float) -> str:
    return minus(f"{value:.2f}")


def _two_digits_interval(low: float, high: float) -> str:
    return minus(f"{low:.2f} to {high:.2f}")


def charts_of(person: Mapping[str, Any]) -> list[BarChart]:
    """Distribution of times, places on top, judgments by day: as far as there is anything to show."""
    charts = []
    if any(person["times"]):
        times = list(zip(FROM_SECONDS, person["times"], strict=True))
        charts.append(
            bar_chart("Time for one comparison", times, unit="judgments", x_title="seconds, from the number up")
        )
    if person["positions"]:
        places = [(str(place), 100 * share) for place, share in enumerate(person["positions"], start=1)]
        chance = 100 / len(places)
        charts.append(
            bar_chart(
                "Ranked on top, by where it was shown", places, unit="% of comparisons", x_title="place on the page",
                mark=(chance, f"chance, {chance:.0f} %"),
            )
        )  # fmt: skip
    if person["by_day"]:
        charts.append(bar_chart("Judgments by day", _every_day(person["by_day"]), x_title="day, UTC"))
    return charts


def _every_day(by_day: Mapping[str, int], most: int = 60) -> list[tuple[str, float]]:
    """From the first day to the last, those without a judgment too; at most the last ``most``."""
    days = [date.fromisoformat(day) for day in by_day]
    first = max(min(days), max(days) - timedelta(days=most - 1))
    every = [first + timedelta(days=number) for number in range((max(days) - first).days + 1)]
    return [(f"{day.day} {day:%b}", by_day.get(day.isoformat(), 0)) for day in every]


CSV_HEAD = (
    "annotator", "kind", "judgments",
    *(f"median_{name}{end}" for name in ("seconds", "words_a_minute") for end in ("", "_low", "_high")),
    *(f"{habit.key}{end}" for habit in HABITS for end in ("", "_low", "_high", "_judgments", "_expected")),
    "warnings",
)  # fmt: skip


def csv_row(person: Mapping[str, Any], name: str, kind: str) -> list[Any]:
    # A spreadsheet takes a cell that begins like a formula for one.
    row = [f"'{name}" if name[:1] in "=+-@" else name, kind, person["judgments"]]
    for key in ("seconds", "pace"):
        row += _numbers(person[key], "value", "low", "high")
    for habit in HABITS:
        row += _numbers(person[habit.key], "value", "low", "high", "rows", "expected")
    return [*row, " ".join(warning["key"] for warning in person["warnings"])]


def _numbers(estimate: Mapping[str, Any] | None, *names: str) -> list[Any]:
    values = [(estimate or {}).get(name) for name in names]
    return [round(value, 4) if isinstance(value, float) else value for value in values]
