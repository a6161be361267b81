"""What the policy says now beside what it said before, from the probes of a training stage. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    text: str
    tokens: int | None
    kl: float | None  # nats a token, to the start of the stage


@dataclass(frozen=True)
class Probe:
    """One prompt, answered before the stage and at the step that is looked at; None where it was not asked."""

    prompt: Sequence[Mapping[str, str]]
    before: Answer | None
    now: Answer | None


@dataclass(frozen=True)
class Probes:
    """``step``: the one looked at. ``is_newest``: whether it was not asked for, so that it moves on with the stage."""

    steps: Sequence[int]
    first: int
    step: int
    is_newest: bool
    pairs: Sequence[Probe]


def beside_each_other(rows: Sequence[Mapping[str, Any]], asked: str | None = None) -> Probes | None:
    """The first answers beside those of the step ``asked``, or of the newest. None while nothing was asked yet."""
    by_step: dict[int, dict[int, Mapping[str, Any]]] = {}
    for row in rows:
        by_step.setdefault(row["step"], {})[row["index"]] = row
    if not by_step:
        return None
    steps = sorted(by_step)
    is_asked = asked is not None and asked.isdecimal() and int(asked) in by_step
    step = int(asked) if is_asked else steps[-1]
    before, now = by_step[steps[0]], by_step[step] if step != steps[0] else {}
    pairs = [
        Probe((before.get(index) or now[index])["prompt"], _answer(before.get(index)), _answer(now.get(index)))
        for index in sorted(before.keys() | now.keys())
    ]
    return Probes(steps, steps[0], step, not is_asked, pairs)


def _answer(row: Mapping[str, Any] | None) -> Answer | None:
    return Answer(row.get("text", ""), row.get("tokens"), row.get("kl")) if row else None
