"""When each phase of a run began: `timings.jsonl` in its run directory, appended to and never written anew.

    {"at": 1763658540.25, "phase": "starting Python", "attempt": 1}
    {"at": 1763658540.31, "phase": "importing"}
    {"at": 1763658612.70, "phase": null}

A line says what is done from then on, in seconds since 1970; null, that nothing is done any more. Worker and program
write to the same file, one after the other, and a rerun goes on below, so a kill loses nothing: what was open then is
closed by the next attempt, at the last sign of life. No Django here.
"""

import contextlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sampling.engine.phases import ENDING, IMPORTING, PREPARING, STARTING

TIMINGS = "timings.jsonl"


@dataclass(frozen=True)
class Span:
    """A phase of an attempt, counted from 1. ``end`` is None while it lasts, or if nobody lived to say."""

    phase: str
    attempt: int
    begin: float  # seconds since 1970
    end: float | None


def mark(directory: Path | str, phase: str | None, *, at: float | None = None, **more: Any) -> None:
    """From now on, or from ``at``, this is what is done; None: nothing any more."""
    event = {"at": round(time.time() if at is None else at, 3), "phase": phase} | more
    # One write of a short line: a kill leaves all of it or nothing. Losing it, also to a full disk, costs a figure and
    # no work: nothing is forced to the disk, and nothing is raised.
    with contextlib.suppress(OSError), (Path(directory) / TIMINGS).open("ab", buffering=0) as file:
        file.write(json.dumps(event).encode() + b"\n")


def begin_attempt(
    directory: Path | str, phase: str = STARTING, *, signs: Iterable[Path] = (), at: float | None = None
) -> None:
    """Begin an attempt. What the one before was at when it was killed ended at the last of the ``signs`` of its life:
    files that it wrote to while it lived.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    events = list(_events(directory))
    if events and events[-1]["phase"] is not None:
        written = [path.stat().st_mtime for path in signs if path.exists()]
        # Files' times are as exact as the kernel's clock ticks, a few milliseconds below ours.
        mark(directory, None, at=max([events[-1]["at"], *written]))
    mark(directory, phase, at=at, attempt=1 + sum("attempt" in event for event in events))


def begin_program(directory: Path | str) -> None:
    """Called by a program once it has imported what it needs: it knows since when it lives."""
    events = list(_events(Path(directory)))
    began = max(_process_began(), events[-1]["at"] if events else 0.0)
    if events and events[-1]["phase"] == STARTING:  # by the worker, who began the attempt
        mark(directory, IMPORTING, at=began)
    else:  # started by hand
        begin_attempt(directory, IMPORTING, at=began)
    mark(directory, PREPARING)


def end_program(directory: Path | str) -> None:
    """Called by a program when all that is left is to end; its worker sees when it has."""
    mark(directory, ENDING)


def end_attempt(directory: Path | str) -> None:
    """Nothing of the attempt runs any more."""
    events = list(_events(Path(directory)))
    if events and events[-1]["phase"] is not None:
        mark(directory, None)


def read(directory: Path | str) -> list[Span]:
    """Every phase so far, in order; empty where nothing was recorded. What cannot be read is left out."""
    spans: list[Span] = []
    attempt, opened = 0, None
    for event in _events(Path(directory)):
        at = event["at"]
        if opened is not None:
            spans.append(Span(opened["phase"], attempt, opened["at"], max(at, opened["at"])))
        attempt += "attempt" in event
        opened = event if event["phase"] is not None else None
    if opened is not None:
        spans.append(Span(opened["phase"], attempt, opened["at"], None))
    return [span for span in spans if span.end is None or span.end > span.begin]


def _events(directory: Path) -> Iterator[dict[str, Any]]:
    try:
        lines = (directory / TIMINGS).read_bytes().splitlines()
    except OSError:
        return
    for line in lines:
        try:
            event = json.loads(line)
            at, phase = event["at"], event["phase"]
        except (ValueError, KeyError, TypeError):
            continue  # torn, or written by hand
        is_time = isinstance(at, int | float) and not isinstance(at, bool) and 0 <= at < 1e11
        if is_time and (phase is None or isinstance(phase, str)):
            yield event


def _process_began() -> float:
    """Seconds since 1970 at which this process was made: by a fork, before it became a Python (proc(5))."""
    try:
        fields = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        up = time.clock_gettime(time.CLOCK_BOOTTIME)
        return time.time() - up + int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, ValueError, IndexError):  # another system than Linux
        return time.time()
