"""Which rows the stages of a round left out, and why: counts, and where they are listed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from training.models import Stage, StageKind
from training.watching import run_files

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
    found_by_check = (check.result or run_files.found_by_check(check) or {}) if check else {}
    expected = found_by_check.get("stages") or {}
    found: list[LeftOut] = []
    for stage in stages:
        if stage.result:
            for key, whose in COUNTED:
                found += _reasons(stage, stage.result.get(key), whose, listed_by=stage)
        elif check and (told := expected.get(stage.kind)):
            found += _reasons(stage, told.get("dropped"), "", listed_by=check)
    return found


def list_url(stage: Stage, *, of: str = "", reason: str = "") -> str:
    """The page that lists what ``stage`` left out."""
    asked = {name: value for name, value in (("of", of), ("reason", reason)) if value}
    address = reverse("training:dropped", args=[stage.round_id, stage.kind])
    return f"{address}?{urlencode(asked)}" if asked else address


def _reasons(stage: Stage, counts: Any, whose: str, *, listed_by: Stage) -> list[LeftOut]:
    if not isinstance(counts, Mapping):  # some older results have one number for all reasons
        counts = {"": counts} if counts else {}
    is_listed = run_files.dropped_path(listed_by) is not None
    is_expected = listed_by is not stage
    of = stage.kind if is_expected else ""
    return [
        LeftOut(
            stage=stage,
            whose=whose,
            reason=words_of(reason),
            count=count,
            is_expected=is_expected,
            url=list_url(listed_by, of=of, reason=reason) if is_listed else "",
        )
        for reason, count in counts.items()
        if count
    ]


def words_of(reason: str) -> str:
    """ "too_long" as "too long"."""
    return reason.replace("_", " ") or "for whatever reason"
