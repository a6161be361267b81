"""The charts of a round: curves of a stage, and the win rate's interval. How charts are drawn is in sampling.charts."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sampling.charts import Chart, line_chart

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


def interval(low: float | None, value: float | None, high: float | None) -> Interval | None:
    """The picture of a rate, or None when it was not measured."""
    if low is None or value is None or high is None:
        return None
    words = f"{value:.0%}, 95 % interval {low:.0%} to {high:.0%}; one half is a draw"
    scale = Interval.scale
    return Interval(low=low * scale, value=value * scale, high=high * scale, description=words)


def _series(rows: Sequence[Mapping[str, Any]], name: str) -> list[tuple[float, float]]:
    points = ((row.get("step"), row.get(name)) for row in rows)
    return [(x, y) for x, y in points if _is_number(x) and _is_number(y)]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
