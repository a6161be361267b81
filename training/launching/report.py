"""What a check found, as the launch form, the shell and the page of dropped rows show it. Reads one result, no rows.

The result is `training.pipeline.check`'s; what is missing in it is left out here too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sampling.charts import BarChart, bar_chart
from training.models import LaunchCheck, StageKind
from training.watching.left_out import words_of

LABELS = {
    "base_policy": "Base policy", "snapshot": "Snapshot", "recipe": "Recipe", "changes": "Changes",
    "previous": "Continues", "demonstrations": "Demonstrations", "name": "Name", "seed": "Seed",
}  # fmt: skip
LENGTHS = {"prompt": "Prompts", "completion": "Completions", "conversation": "Conversations"}


@dataclass(frozen=True)
class Problem:
    """``field`` is that of the form, and empty for what concerns no single one."""

    field: str
    label: str
    message: str


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for, and what there is."""

    what: str
    words: str
    is_fine: bool


@dataclass(frozen=True)
class Dropped:
    stage: str  # its label
    reason: str
    rows: int


@dataclass(frozen=True)
class Lengths:
    """Of one kind of text, in tokens."""

    words: str  # "median 64, 95 % up to 210, longest 512"
    chart: BarChart | None


@dataclass(frozen=True)
class Report:
    rows: int
    warnings: Sequence[str]
    findings: Sequence[Finding]
    lengths: Sequence[Lengths]
    dropped: Sequence[Dropped]
    stages: Mapping[str, Mapping[str, Any]]  # by kind: what it was found to train on, in how many steps
    memory_bytes: int | None
    memory_free_bytes: int | None

    @property
    def dropped_rows(self) -> int:
        return sum(each.rows for each in self.dropped)


def report_of(check: LaunchCheck | None) -> Report | None:
    """What a finished check says; None while there is nothing to say."""
    result = check.result if check else None
    if not result:
        return None
    stages = result.get("stages") or {}
    return Report(
        rows=result.get("rows") or 0,
        warnings=result.get("warnings") or [],
        findings=_findings(result.get("tokenizer") or {}),
        lengths=[_lengths(label, found) for name, label in LENGTHS.items() if (found := _some(result, name))],
        dropped=_dropped(stages),
        stages=stages,
        memory_bytes=result.get("memory_bytes"),
        memory_free_bytes=result.get("memory_free_bytes"),
    )


def problems_by_field(problems: Mapping[str, str]) -> list[Problem]:
    return [Problem(field, LABELS.get(field, ""), message) for field, message in problems.items()]


def stage_label(kind: str) -> str:
    return StageKind(kind).label if kind in StageKind.values else words_of(kind)


def _some(result: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    found = (result.get("lengths") or {}).get(name)
    return found if found and found.get("rows") else None


def _lengths(label: str, found: Mapping[str, Any]) -> Lengths:
    words = f"{label}: median {found['median']:,.0f} tokens, 95 % up to {found['p95']:,.0f}, longest {found['max']:,}"
    bars = [(f"{upper:,.0f}", rows) for upper, rows in found.get("histogram") or []]
    chart = bar_chart(label, bars, unit="how many", x_title="tokens, up to the number") if bars else None
    return Lengths(words, chart)


def _findings(tokenizer: Mapping[str, Any]) -> list[Finding]:
    if not tokenizer:
        return []
    has_template, has_mask = bool(tokenizer.get("chat_template")), bool(tokenizer.get("assistant_mask"))
    end, ends = tokenizer.get("end_token"), bool(tokenizer.get("ends_with_end_token"))
    ended = f"{end}, and a reply ends with it" if ends else f"{end}, and no reply ends with it" if end else "none"
    return [
        Finding("chat template", "there" if has_template else "none", has_template),
        Finding("assistant mask", "tells whose tokens count" if has_mask else "none", has_mask),
        Finding("end token", ended, bool(end) and ends),
    ]


def _dropped(stages: Mapping[str, Mapping[str, Any]]) -> list[Dropped]:
    return [
        Dropped(stage_label(kind), words_of(str(reason)), rows)
        for kind, found in stages.items()
        for reason, rows in (found.get("dropped") or {}).items()
        if rows
    ]
