"""The curves of a round's stages, and of several rounds laid over each other. How they are drawn: sampling.charts."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sampling.charts import Chart, line_chart
from training.watching.trusted import is_number

# What belongs on one pair of axes: (title, unit of y, {metric: label}). The names are TRL's, where TRL logs them.
GROUPS: Sequence[tuple[str, str, Mapping[str, str]]] = (
    ("Loss", "", {"loss": "train", "eval_loss": "held out"}),
    ("Reward margin", "chosen - rejected", {"rewards/margins": "margin", "margin": "margin"}),
    (
        "Accuracy",
        "share of pairs",
        {
            "rewards/accuracies": "chosen above rejected",
            "accuracy": "chosen above rejected",
            "eval_accuracy": "held out",
        },
    ),
    ("Log-probability", "nats a completion", {"logps/chosen": "chosen", "logps/rejected": "rejected"}),
    ("KL to the start", "nats a token", {"kl": "policy"}),
    ("Rewards", "", {"rewards/chosen": "chosen", "rewards/rejected": "rejected"}),
    ("Rewards' range", "", {"min_reward": "lowest", "mean_reward": "mean", "max_reward": "highest"}),
    (
        "Lengths",
        "tokens",
        {
            "probe_tokens": "probe answers",
            "chosen_tokens": "chosen in the batch",
            "rejected_tokens": "rejected in the batch",
        },
    ),
    ("Answers that repeat themselves", "share of the probes", {"probe_repeats": "probe answers"}),
    ("Tokens said right", "share", {"mean_token_accuracy": "train"}),
    ("Entropy", "nats a token", {"entropy": "policy"}),
    ("Learning rate", "", {"learning_rate": "rate"}),
    ("Gradient norm", "", {"grad_norm": "norm"}),
    ("Memory", "GB", {"memory_gb": "in use"}),
    ("Speed", "tokens a second", {"tokens_per_second": "trained on"}),
)


# Axes that are the same for every stage and round, so that little looks like little.
AXES = {"Answers that repeat themselves": (0.0, 1.0)}


def charts_of(metrics: Iterable[Mapping[str, Any]]) -> list[Chart]:
    """The charts of a stage's ``metrics.jsonl``, in a fixed order; a metric that nobody knows is left out."""
    rows = list(metrics)
    charts = []
    for title, unit, labels in GROUPS:
        series = {label: points for name, label in labels.items() if (points := _series(rows, name))}
        if series:
            charts.append(line_chart(title, series, unit=unit, axis=AXES.get(title)))
    return charts


def overlaid(metrics_by_round: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Chart]:
    """A chart for each metric with a line for each round that logged it, rounds by name; the colours are fixed."""
    charts = []
    for title, unit, labels in GROUPS:
        for name, label in labels.items():
            series = {each: _series(rows, name) for each, rows in metrics_by_round.items()}
            if any(series.values()):
                whole = title if len(set(labels.values())) == 1 else f"{title}: {label}"
                charts.append(line_chart(whole, series, unit=unit, axis=AXES.get(title)))
    return charts


def _series(rows: Sequence[Mapping[str, Any]], name: str) -> list[tuple[float, float]]:
    points = ((row.get("step"), row.get(name)) for row in rows)
    return [(x, y) for x, y in points if is_number(x) and is_number(y)]
