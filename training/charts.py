"""Line charts as data for an SVG template: curves of a stage, and the win rate's interval. No rows, no markup.

Coordinates are those of the picture's own viewBox; colours are classes, so that light and dark are the style
sheet's to decide.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT = 360, 200
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 12, 34  # room for the ticks' labels
MAX_POINTS = 400  # more cannot be told apart at this width, and would make the page heavy
COLOURS = 5

# What belongs on one pair of axes: (title, unit of y, {metric: label}). The names are TRL's, where TRL logs them.
GROUPS: Sequence[tuple[str, str, Mapping[str, str]]] = (
    ("Loss", "", {"loss": "train", "eval_loss": "held out"}),
    ("Rewards", "", {"rewards/chosen": "chosen", "rewards/rejected": "rejected"}),
    ("Reward margin", "chosen - rejected", {"rewards/margins": "margin", "margin": "margin"}),
    (
        "Accuracy",
        "share of pairs",
        {
            "rewards/accuracies": "chosen above rejected",
            "accuracy": "chosen above rejected",
            "eval_accuracy": "held out",
            "mean_token_accuracy": "tokens",
        },
    ),
    ("Log-probability", "nats", {"logps/chosen": "chosen", "logps/rejected": "rejected"}),
    ("Rewards' range", "", {"min_reward": "lowest", "mean_reward": "mean", "max_reward": "highest"}),
    ("Entropy", "nats a token", {"entropy": "policy"}),
    ("Gradient norm", "", {"grad_norm": "norm"}),
    ("Learning rate", "", {"learning_rate": "rate"}),
)


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


@dataclass(frozen=True)
class Chart:
    title: str
    unit: str
    lines: Sequence[Line]
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    description: str  # for who cannot see it

    width, height = WIDTH, HEIGHT
    left, right, top, bottom = LEFT, WIDTH - RIGHT, TOP, HEIGHT - BOTTOM
    x_labels_at, x_title_at = HEIGHT - BOTTOM + 14, HEIGHT - 4
    y_labels_at = LEFT - 6
    middle = (LEFT + WIDTH - RIGHT) / 2


@dataclass(frozen=True)
class Interval:
    """A rate between 0 and 1 with its interval, drawn on a line that marks one half."""

    low: float
    value: float
    high: float
    description: str

    @property
    def width(self) -> float:
        return self.high - self.low

    scale = 300.0


def charts_of(metrics: Iterable[Mapping[str, Any]]) -> list[Chart]:
    """The charts of a stage's ``metrics.jsonl``, in a fixed order; a metric that nobody knows is left out."""
    rows = list(metrics)
    charts = []
    for title, unit, labels in GROUPS:
        series = {label: points for name, label in labels.items() if (points := _series(rows, name))}
        if series:
            charts.append(line_chart(title, series, unit=unit))
    return charts


def line_chart(title: str, series: Mapping[str, Sequence[tuple[float, float]]], *, unit: str = "") -> Chart:
    """A chart of named series of (step, value), each with at least one point."""
    xs = [x for points in series.values() for x, _ in points]
    ys = [y for points in series.values() for _, y in points]
    x_low, x_high = _apart(min(xs), max(xs))
    y_values = ticks(min(ys), max(ys))
    y_low, y_high = min(y_values[0], min(ys)), max(y_values[-1], max(ys))

    def at(x: float, y: float) -> tuple[float, float]:
        across = LEFT + (x - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT)
        down = HEIGHT - BOTTOM - (y - y_low) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM)
        return round(across, 1), round(down, 1)

    lines = []
    for number, (label, points) in enumerate(series.items()):
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


def interval(low: float | None, value: float | None, high: float | None) -> Interval | None:
    """The picture of a rate, or None when it was not measured."""
    if low is None or value is None or high is None:
        return None
    words = f"{value:.0%}, 95 % interval {low:.0%} to {high:.0%}; one half is a draw"
    scale = Interval.scale
    return Interval(low=low * scale, value=value * scale, high=high * scale, description=words)


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


def _series(rows: Sequence[Mapping[str, Any]], name: str) -> list[tuple[float, float]]:
    points = ((row.get("step"), row.get(name)) for row in rows)
    return [(x, y) for x, y in points if _is_number(x) and _is_number(y)]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


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
    ]
    return f"{title} by step: {', '.join(told)}"
