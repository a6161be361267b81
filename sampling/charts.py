"""Charts as data for an SVG template: lines, bars, points with whiskers. No rows, no markup.

Coordinates are those of the picture's own viewBox; colours are classes, so that light and dark are the style
sheet's to decide. Every chart carries its description in words, for who cannot see it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 360, 200
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 12, 34  # room for the ticks' labels
MAX_POINTS = 400  # more cannot be told apart at this width, and would make the page heavy
CHARACTER = 6  # the width of one in a label, about
COLOURS = 6


@dataclass(frozen=True)
class Tick:
    position: float
    label: str


@dataclass(frozen=True)
class Line:
    label: str
    colour: int  # 1 to COLOURS: the style sheet's series
    points: str  # "x,y x,y ..." for a polyline
    last_x: float
    last_y: float
    last_value: str


class Frame:
    """Where the axes of a chart stand."""

    width, height = WIDTH, HEIGHT
    left, right, top, bottom = LEFT, WIDTH - RIGHT, TOP, HEIGHT - BOTTOM
    x_labels_at, x_title_at = HEIGHT - BOTTOM + 14, HEIGHT - 4
    y_labels_at = LEFT - 6
    middle = (LEFT + WIDTH - RIGHT) / 2


@dataclass(frozen=True)
class Chart(Frame):
    title: str
    unit: str
    lines: Sequence[Line]
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    description: str


@dataclass(frozen=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    middle: float
    label: str  # empty where it would run into its neighbour's
    words: str  # "Monday: 12", for a tooltip


@dataclass(frozen=True)
class BarChart(Frame):
    """``mark``: the height, if any, of a dashed line across all bars, and what it means."""

    title: str
    unit: str
    x_title: str
    bars: Sequence[Bar]
    y_ticks: Sequence[Tick]
    mark: Tick | None
    description: str


@dataclass(frozen=True)
class Scale:
    """A horizontal axis from ``low`` to ``high``, ``width`` wide; what lies beyond it is drawn at its end."""

    low: float
    high: float
    width: float

    def at(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(share * self.width, 1)


@dataclass(frozen=True)
class Whisker:
    """A point with its interval, in the coordinates of a Scale."""

    low: float
    value: float
    high: float

    @property
    def width(self) -> float:
        return round(self.high - self.low, 1)


def whisker(scale: Scale, low: float, value: float, high: float) -> Whisker:
    return Whisker(scale.at(low), scale.at(value), scale.at(high))


def line_chart(
    title: str,
    series: Mapping[str, Sequence[tuple[float, float]]],
    *,
    unit: str = "",
    axis: tuple[float, float] | None = None,
) -> Chart:
    """A chart of named series of (step, value). One without points keeps its colour; not all may be so.

    ``axis``: what the values' axis holds at least; without it, what the values need.
    """
    xs = [x for points in series.values() for x, _ in points]
    ys = [*(y for points in series.values() for _, y in points), *(axis or ())]
    x_low, x_high = _apart(min(xs), max(xs))
    y_values = ticks(min(ys), max(ys))
    y_low, y_high = min(y_values[0], min(ys)), max(y_values[-1], max(ys))

    def at(x: float, y: float) -> tuple[float, float]:
        across = LEFT + (x - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT)
        down = HEIGHT - BOTTOM - (y - y_low) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM)
        return round(across, 1), round(down, 1)

    lines = []
    for number, (label, points) in enumerate(series.items()):
        if not points:
            continue
        drawn = [at(x, y) for x, y in thinned(points)]
        last = points[-1][1]
        lines.append(
            Line(
                label=label,
                colour=number % COLOURS + 1,
                points=" ".join(f"{x},{y}" for x, y in drawn),
                last_x=drawn[-1][0],
                last_y=drawn[-1][1],
                last_value=number_label(last),
            )
        )
    whole_steps = sorted({round(x) for x in ticks(x_low, x_high, about=4)})
    return Chart(
        title=title,
        unit=unit,
        lines=lines,
        x_ticks=[Tick(at(x, y_low)[0], f"{x:,}") for x in whole_steps if x_low <= x <= x_high],
        y_ticks=[Tick(at(x_low, y)[1], number_label(y)) for y in y_values],
        description=_described(title, series),
    )


def bar_chart(
    title: str,
    values: Sequence[tuple[str, float]],
    *,
    unit: str = "",
    x_title: str = "",
    mark: tuple[float, str] | None = None,
) -> BarChart:
    """A chart of (label, value) pairs, none below zero and at least one of them, in the order given."""
    highest = max([value for _, value in values] + ([mark[0]] if mark else []))
    y_values = ticks(0, highest or 1)
    step = (WIDTH - LEFT - RIGHT) / len(values)
    # Labels that would run into each other are left out.
    every = math.ceil((max(len(label) for label, _ in values) * CHARACTER + 8) / step)

    def height(value: float) -> float:
        return round(value / y_values[-1] * (HEIGHT - TOP - BOTTOM), 1)

    def bar(index: int, label: str, value: float) -> Bar:
        x, tall = LEFT + index * step, height(value)
        return Bar(
            x=round(x + step * 0.1, 1),
            y=round(HEIGHT - BOTTOM - tall, 1),
            width=round(step * 0.8, 1),
            height=tall,
            middle=round(x + step / 2, 1),
            label=label if index % every == 0 else "",
            words=f"{label}: {number_label(value)}",
        )

    return BarChart(
        title=title,
        unit=unit,
        x_title=x_title,
        bars=[bar(index, label, value) for index, (label, value) in enumerate(values)],
        y_ticks=[Tick(HEIGHT - BOTTOM - height(y), number_label(y)) for y in y_values],
        mark=Tick(round(HEIGHT - BOTTOM - height(mark[0]), 1), mark[1]) if mark else None,
        description=f"{title}. " + ", ".join(f"{label}: {number_label(value)}" for label, value in values),
    )


def ticks(low: float, high: float, *, about: int = 4) -> list[float]:
    """Round numbers from just below ``low`` to just above ``high``: steps of 1, 2 or 5 times a power of ten."""
    low, high = _apart(low, high)
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def thinned(points: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    """At most MAX_POINTS of them, first and last always among them."""
    if len(points) <= MAX_POINTS:
        return points
    stride = (len(points) - 1) / (MAX_POINTS - 1)
    return [points[round(index * stride)] for index in range(MAX_POINTS)]


def number_label(value: float) -> str:
    """A tick's or a legend's number: 0.6931, 12, 1,500, 2e-05."""
    if value == 0:
        return "0"
    if abs(value) < 0.001 or abs(value) >= 1e6:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent)}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def _apart(low: float, high: float) -> tuple[float, float]:
    """The same range, widened when it is a single value, which no axis can show."""
    if high > low:
        return low, high
    room = abs(low) * 0.1 or 1.0
    return low - room, high + room


def _described(title: str, series: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    told = [
        f"{label} from {number_label(points[0][1])} to {number_label(points[-1][1])}"
        for label, points in series.items()
        if points
    ]
    return f"{title} by step: {', '.join(told)}"
