"""A project's changes as a manager reads them: what, from what to what. Pure: takes what stands in the record.

A change that nobody has taught this page to say is still shown, as the values that were kept.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from annotation.projects.protocol_text import text_of_aspects, text_of_defects
from annotation.rules.protocol import aspects_of, defects_of

KINDS = {
    "project": "project",
    "settings": "settings",
    "guidelines": "guidelines",
    "membership": "members",
    "invitation": "invitations",
    "qualification": "qualification",
    "pause": "pause",
    "overlap": "overlap",
    "priority": "priority",
    "opening": "comparisons opened",
    "comparison": "comparisons",
    "known answer": "known answers",
}

SETTINGS = {
    "name": "Name",
    "preset": "Preset",
    "completions_per_comparison": "Completions per comparison (K)",
    "allow_ties": "Ties",
    "strength_scale": "How much better",
    "ask_safety": "Safety marks",
    "aspects": "Aspects",
    "defects": "Defects",
    "rationale": "Rationale",
    "allow_all_bad": '"All are bad"',
    "allow_edits": "Better answers by annotators",
    "show_length": "Length shown",
    "overlap": "Judgments per comparison",
    "overlap_percent": "Share with that many, in %",
    "lease_seconds": "Lease in seconds",
    "gold_percent": "Gold comparisons, in %",
    "qualification_percent": "To qualify, in %",
}

# What else stands in the record by the name that a program gave it.
NAMES = {"k": "K", "kind": "judges as"}


@dataclass(frozen=True)
class Line:
    """One thing that changed. Empty ``before`` or ``after``: there was, or is, nothing."""

    name: str
    before: str
    after: str


@dataclass(frozen=True)
class LineChange:
    """A line of a list that was taken out ("removed") or put in ("added")."""

    kind: str
    text: str


@dataclass(frozen=True)
class Told:
    """``title`` names the thing; ``lines`` what changed of it; ``list_lines`` a list's lines that came and went.

    ``comparison`` is the number of the one that was changed, where it was one.
    """

    title: str
    lines: tuple[Line, ...] = ()
    list_lines: tuple[LineChange, ...] = ()

    @property
    def comparison(self) -> int | None:
        found = re.fullmatch(r"comparison ([1-9][0-9]{0,17})", self.title, re.ASCII)
        return int(found[1]) if found else None


def kind_label(what: str) -> str:
    return KINDS.get(what, what.replace("_", " "))


def told(what: str, subject: str, before: Any, after: Any) -> Told:
    match what:
        case "settings" if subject in ("aspects", "defects"):
            return Told(SETTINGS[subject], list_lines=_list_lines(_as_text(subject, before), _as_text(subject, after)))
        case "settings":
            return Told(SETTINGS.get(subject, subject), (Line("", words(before), words(after)),))
        case "guidelines":
            return Told("Guidelines", (Line("", _version(before), _version(after)),))
        case "pause":
            return Told("Paused" if after else "Going on again")
        case "membership" if before is None:
            return Told(f"{subject} joined", _lines(None, after))
        case "membership" if after is None:
            return Told(f"{subject} was removed", _lines(before, None))
        case "known answer":
            return Told(subject, _lines(_known(before), _known(after)))
        case "opening":
            return Told(f"{subject} opened", _lines(before, after))
        case "project" if before is None:
            return Told(f"{subject} was made")
        case _:
            return Told(subject, _lines(before, after))


def _as_text(subject: str, stored: Any) -> str:
    try:
        return (
            text_of_aspects(aspects_of(stored or []))
            if subject == "aspects"
            else text_of_defects(defects_of(stored or []))
        )
    except (TypeError, ValueError):  # kept by a version of this program that wrote them in another way
        return words(stored)


def _list_lines(before: str, after: str) -> tuple[LineChange, ...]:
    kinds = {"- ": "removed", "+ ": "added"}
    changed = difflib.ndiff(before.splitlines(), after.splitlines())
    return tuple(LineChange(kinds[line[:2]], line[2:]) for line in changed if line[:2] in kinds)


def _known(stored: Any) -> Any:
    return {"purpose": stored} if stored == "work" else stored


def _version(number: Any) -> str:
    return f"version {number}" if number else ""


def _lines(before: Any, after: Any) -> tuple[Line, ...]:
    """By key where there are keys, leaving out what stayed and what is empty on both sides."""
    if not isinstance(before, Mapping | None) or not isinstance(after, Mapping | None):
        return (Line("", words(before), words(after)),)
    old, new = before or {}, after or {}
    names = [*new, *(name for name in old if name not in new)]
    told = [Line(NAMES.get(name, name.replace("_", " ")), words(old.get(name)), words(new.get(name))) for name in names]
    return tuple(line for line in told if line.before != line.after)


def words(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case Mapping():
            return ", ".join(f"{name}: {words(each)}" for name, each in value.items())
        case list() | tuple():
            return ", ".join(words(each) for each in value)
        case _:
            return str(value)
