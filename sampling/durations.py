"""How long something takes, in words. Pure."""

from datetime import timedelta


def duration(value: timedelta | float | None) -> str:
    """The two largest units that matter: "45 s", "2 min 10 s", "3 h 5 min", "2 d 4 h"; nothing for None."""
    if value is None:
        return ""
    seconds = round(value.total_seconds() if isinstance(value, timedelta) else value)
    if seconds < 60:
        return f"{max(0, seconds)} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    if seconds < 86400:
        return f"{seconds // 3600} h {seconds % 3600 // 60} min"
    return f"{seconds // 86400} d {seconds % 86400 // 3600} h"


def roughly(seconds: float | None) -> str:
    """As an estimate is to be read, behind the word "about": "10 s", "3 min", "2.5 h", "3 d"; nothing for None."""
    if seconds is None:
        return ""
    if seconds < 55:
        return f"{max(5, 5 * round(seconds / 5))} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    if seconds < 2 * 86400:
        return f"{round(seconds / 1800) / 2:g} h"
    return f"{round(seconds / 86400)} d"
