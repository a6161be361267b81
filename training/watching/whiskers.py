"""Values with their 95 % intervals as points on a line, one row for each. Pure; no markup."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sampling.charts import Scale, Tick, Whisker, number_label, ticks, whisker

WIDTH = 300.0  # of the axis, in the picture's own units
PERCENT = " %"
HALF = 0.5  # of pairs and of comparisons: what a coin gets


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A value with its interval, as it goes in; ``baseline``: another one on the same line, to compare it with."""

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    note: str = ""
    baseline: float | None = None
    colour: int = 1
    words: str = ""  # instead of the value's own


@dataclass(frozen=True)
class Row:
    """One line of the picture."""

    label: str
    note: str
    words: str
    colour: int
    drawn: Whisker | None
    baseline: float | None


@dataclass(frozen=True)
class Whiskers:
    """Rows on one axis. ``marks``: where dashed lines stand; ``key``: what a row's baseline is."""

    title: str
    rows: Sequence[Row]
    ticks: Sequence[Tick]
    marks: Sequence[float]
    key: str = ""
    has_intervals: bool = False
    width = WIDTH


def shares(title: str, measured: Sequence[Measured], *, key: str = "") -> Whiskers | None:
    """Rates between 0 and 1, with one half marked; None when none was measured."""
    scale = Scale(0.0, 1.0, WIDTH)
    ends = [Tick(scale.at(at), f"{100 * at:.0f} %") for at in (0.0, 0.25, HALF, 0.75, 1.0)]
    return _drawn(title, measured, scale, ends, marks=[scale.at(HALF)], words=_percent, key=key)


def numbers(
    title: str, measured: Sequence[Measured], *, marked: float | None = None, digits: int | None = None
) -> Whiskers | None:
    """Values of any size on an axis that holds them all, and ``marked`` where something stands for "no difference"."""
    ends = [each for one in measured for each in (one.low, one.value, one.high) if each is not None]
    if not ends:
        return None
    if marked is not None:
        ends.append(marked)
    round_numbers = ticks(min(ends), max(ends))
    scale = Scale(round_numbers[0], round_numbers[-1], WIDTH)
    at = [Tick(scale.at(each), number_label(each)) for each in round_numbers]

    def words(value: float) -> str:
        return number_label(value) if digits is None else f"{value:,.{digits}f}"

    return _drawn(title, measured, scale, at, marks=[] if marked is None else [scale.at(marked)], words=words)


def of_result(label: str, result: Mapping[str, Any], name: str, **more: Any) -> Measured:
    """The value ``name`` of a result, with its ends under ``name_low`` and ``name_high``, or ``low`` and ``high``."""
    low, high = (result.get(f"{name}_{end}", result.get(end)) for end in ("low", "high"))
    return Measured(label=label, value=result.get(name), low=low, high=high, **more)


def _drawn(
    title: str,
    measured: Sequence[Measured],
    scale: Scale,
    at: Sequence[Tick],
    *,
    marks: Sequence[float],
    words: Callable[[float], str],
    key: str = "",
) -> Whiskers | None:
    rows = [_row(each, scale, words) for each in measured]
    if not any(row.drawn for row in rows):
        return None
    has_baseline = any(row.baseline is not None for row in rows)
    has_intervals = any(each.low is not None and each.low != each.high for each in measured)
    return Whiskers(title, rows, at, marks, key=key if has_baseline else "", has_intervals=has_intervals)


def _row(each: Measured, scale: Scale, words: Callable[[float], str]) -> Row:
    if each.value is None:
        return Row(each.label, each.note, "not measured", each.colour, None, None)
    known = each.low is not None and each.high is not None
    # The unit is said once: 68.0 % (58.0 to 77.0).
    interval = (
        f" ({words(each.low).removesuffix(PERCENT)} to {words(each.high).removesuffix(PERCENT)})" if known else ""
    )
    whole = each if known else replace(each, low=each.value, high=each.value)
    return Row(
        label=each.label,
        note=each.note,
        words=each.words or f"{words(each.value)}{interval}",
        colour=each.colour,
        drawn=whisker(scale, whole.low, whole.value, whole.high),
        baseline=None if each.baseline is None else scale.at(each.baseline),
    )


def _percent(value: float) -> str:
    return f"{100 * value:.1f}{PERCENT}"
