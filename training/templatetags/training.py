"""Figures of rounds as words, for templates."""

from collections.abc import Mapping
from typing import Any

from django import template

from training.watching import figures

register = template.Library()


@register.filter
def win_rate(evaluation: Mapping[str, Any]) -> str:
    """ "68.1 % (57.6 to 78.3)", from an evaluation's result."""
    return figures.proportion(evaluation, "win_rate", "win_rate_low", "win_rate_high")


@register.filter
def size(size_bytes: float | None) -> str:
    """ "1.5 GB"."""
    return figures.NOT_MEASURED if size_bytes is None else figures.size(size_bytes)
