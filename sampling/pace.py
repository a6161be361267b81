"""How fast a run is going and how long it still takes, from when its newest completions were stored."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

WINDOW = timedelta(seconds=30)  # long enough to even out requests that end together, short enough to be "now"


@dataclass(frozen=True)
class Pace:
    """Things a second, and the time that is left at that rate."""

    per_second: float
    remaining: timedelta


def pace(*, stored_at: Sequence[datetime], now: datetime, done: int, total: int) -> Pace | None:
    """The present pace, or None when nothing was stored within the window: it is starting, or it stands still.

    ``stored_at`` holds the times of the newest completions, newest first; it may be cut off anywhere.
    """
    recent = [moment for moment in stored_at if now - moment <= WINDOW]
    if not recent:
        return None
    # A list that was cut off inside the window covers only the time back to its last entry.
    span = now - recent[-1] if len(recent) == len(stored_at) < done else WINDOW
    per_second = len(recent) / max(span.total_seconds(), 1.0)
    return Pace(per_second, timedelta(seconds=max(0, total - done) / per_second))
