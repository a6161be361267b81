"""Which rows the stages of a round left out, and why: counts, and where they are listed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from training.models import Stage, StageKind
from training.watching import run_files
from training.watching.figures import why_left_out

# Why a row is in none of the files that a stage reads: the check of the data lists it.
WHEN_WRITTEN = ("held_out", "conflict", "tie", "unsafe_over_safe")
# What a stage's result counts: (key, whose rows).
COUNTED = (("dropped", ""), ("dropped_eval", "held-out pairs"))


@dataclass(frozen=True)
class LeftOut:
    """Rows of one stage, left out for one reason. ``url``: the page that lists them; empty where nothing does."""

    stage: Stage
    whose: str
    reason: str
    count: int
    is_expected: bool  # the check found it; the stage itself has not run yet
    url: str


def of_round(stages: Sequence[Stage]) -> list[LeftOut]:
    """In the order of the stages. What the check expects stands for a stage until it has its own figures."""
    check = next((stage for stage in stages if stage.kind == StageKind.CHECK), None)
    expected = run_files.result_of(check).get("stages", {}) if check else {}
    found: list[LeftOut] = []
    for stage in stages:
        if stage.result:
            result = run_files.result_of(stage)
            for key, whose in COUNTED:
                found += _reasons(stage, result.get(key), whose, listed_by=stage)
            if check:
                found += _before(stage, expected.get(stage.kind), check)
        elif check and (told := expected.get(stage.kind)):
            found += _reasons(stage, told.get("dropped"), "", listed_by=check)
    return found


def _before(stage: Stage, told: Any, check: Stage) -> list[LeftOut]:
    """What was left out when the files were written that the stage has read, so that its own result cannot count it."""
    dropped = told.get("dropped") if isinstance(told, Mapping) else None
    if not isinstance(dropped, Mapping):
        return []
    own = run_files.result_of(stage).get("dropped")
    known = own if isinstance(own, Mapping) else {}
    before = {
        reason: count
        for reason, count in dropped.items()
        if reason.removeprefix("held_out_") in WHEN_WRITTEN and reason not in known
    }
    return [replace(each, is_expected=False) for each in _reasons(stage, before, "", listed_by=check)]


def list_url(stage: Stage, *, of: str = "", reason: str = "") -> str:
    """The page that lists what ``stage`` left out."""
    return narrowed(reverse("training:dropped", args=[stage.round_id, stage.kind]), of=of, reason=reason)


def narrowed(address: str, *, of: str = "", reason: str = "") -> str:
    """A page of rows left out, with only those meant for the stage ``of``, or of one reason."""
    asked = {name: value for name, value in (("of", of), ("reason", reason)) if value}
    return f"{address}?{urlencode(asked)}" if asked else address


def _reasons(stage: Stage, counts: Any, whose: str, *, listed_by: Stage) -> list[LeftOut]:
    if not isinstance(counts, Mapping):  # some older results have one number for all reasons
        counts = {"": counts} if counts else {}
    is_listed = run_files.dropped_path(listed_by.run_dir) is not None
    told = stage.round.recipe.get(stage.kind)
    is_expected = listed_by is not stage
    of = stage.kind if is_expected else ""
    return [
        LeftOut(
            stage=stage,
            whose=whose or ("prompts" if stage.kind == StageKind.REJECTION_SAMPLING else ""),
            reason=why_left_out(stage.kind, reason, told),
            count=count,
            is_expected=is_expected,
            url=list_url(listed_by, of=of, reason=reason) if is_listed else "",
        )
        for reason, count in counts.items()
        if count
    ]
