"""How long the open work takes at the present rate. Pure: no database, no clock of its own."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

SHORTEST = timedelta(hours=1)  # a rate over less would be a guess
FEWEST = 5  # judgments


@dataclass(frozen=True)
class Pace:
    """``a_day`` judgments in the mean of ``over``, the nights and pauses included; ``left``: until none is open."""

    a_day: float
    over: timedelta
    left: timedelta


def pace_of(given: Iterable[tuple[datetime, int]], open_judgments: int, now: datetime, *, days: int) -> Pace | None:
    """``given``: judgments by the hour in which they were given. None where too few tell nothing.

    The rate is the mean of the last ``days`` days, or of the time since the first judgment where that is less.
    """
    recent = [(hour, number) for hour, number in given if hour > now - timedelta(days=days)]
    total = sum(number for _, number in recent)
    if total < FEWEST:
        return None
    over = max(now - recent[0][0], SHORTEST)
    a_day = total / (over / timedelta(days=1))
    return Pace(a_day=a_day, over=over, left=timedelta(days=open_judgments / a_day))


def in_words(span: timedelta) -> str:
    """About how long, in the unit that a person would use: "20 minutes", "1 h 47 min", "12 days", "3 years"."""
    hours = span / timedelta(hours=1)
    for unit, length in (("year", 24 * 365.25), ("month", 24 * 30.44), ("week", 24 * 7), ("day", 24), ("hour", 1)):
        if hours >= 2 * length:
            return f"{round(hours / length):,} {unit}s"
    minutes = max(1, round(hours * 60))
    if minutes > 60:
        return f"1 h {minutes - 60} min"
    return f"{minutes} minute{'s' if minutes != 1 else ''}"
