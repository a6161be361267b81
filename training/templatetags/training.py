"""Figures of rounds as words, for templates."""

from collections.abc import Mapping
from typing import Any

from django import template

from annotation.models import WithdrawnWork
from sampling.models import ModelVersion
from training.evaluation import gate
from training.lineage import withdrawn
from training.lineage.description import lineage_of
from training.models import TrainingRound
from training.watching import figures, recipe_values

register = template.Library()


@register.filter
def win_rate(evaluation: Mapping[str, Any]) -> str:
    """ "68.1 % (57.6 to 78.3)", from an evaluation's result."""
    return figures.proportion(evaluation, "win_rate", "win_rate_low", "win_rate_high")


@register.simple_tag
def withdrawn_behind(version: ModelVersion) -> dict[str, int]:
    """How many judgments behind a version are withdrawn, by how many annotators; empty where none is."""
    if not WithdrawnWork.objects.exists():
        return {}
    return lineage_of(version).withdrawn


@register.simple_tag
def versions_with_withdrawn() -> frozenset[int]:
    """The ids of the versions with any such judgment behind them, for a list of them."""
    return withdrawn.versions()


@register.filter
def judged_by(evaluation: Mapping[str, Any]) -> str:
    """ "simulated annotators": whose word the win rate is; empty where an older result does not say."""
    judge = str(evaluation.get("judge") or "")
    return gate.JUDGES.get(judge, judge).removeprefix("the ")


@register.filter
def size(size_bytes: float | None) -> str:
    """ "1.5 GB"."""
    return figures.NOT_MEASURED if size_bytes is None else figures.size(size_bytes)


@register.filter
def change_count(round: TrainingRound) -> int:
    """How many values of its recipe's file the round changed."""
    return recipe_values.change_count(round)
