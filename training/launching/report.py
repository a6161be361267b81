"""What a check found, as the launch form, the shell and the pages of rounds and dropped rows show it. Pure.

The result is `training.pipeline.check`'s; what is missing in it is left out here too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sampling.charts import BarChart, bar_chart
from training.models import LaunchCheck
from training.pipeline.left_out import words_of
from training.watching import trusted
from training.watching.figures import label_of

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

    label: str
    words: str  # "median 64 tokens, 95 % up to 210, longest 512"
    chart: BarChart | None


@dataclass(frozen=True)
class Report:
    rows: int
    problems: Sequence[str]
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
    return report_in(trusted.RESULT(check.result)) if check else None


def report_in(result: Mapping[str, Any] | None) -> Report | None:
    """What a result says that is of the kinds that `trusted` has made sure of; None where it says nothing."""
    if not result:
        return None
    lengths, stages = result.get("lengths", {}), result.get("stages", {})
    return Report(
        rows=result.get("rows", 0),
        problems=[problem["message"] for problem in result.get("problems", [])],
        warnings=result.get("warnings", []),
        findings=_findings(result.get("tokenizer", {})),
        lengths=[
            _lengths(label, lengths[name]) for name, label in LENGTHS.items() if lengths.get(name, {}).get("rows")
        ],
        dropped=_dropped(stages),
        stages=stages,
        memory_bytes=result.get("memory_bytes"),
        memory_free_bytes=result.get("memory_free_bytes"),
    )


def batch_words(batch: int | None, micro_batch: int | None, accumulation: int | None) -> str:
    """ "512 = 64 x 8": so many times so many rows at once; "8" where one time is enough."""
    if not batch:
        return ""
    parts = f" = {accumulation} x {micro_batch}" if micro_batch and (accumulation or 1) > 1 else ""
    return f"{batch:,}{parts}"


def problems_by_field(problems: Mapping[str, str]) -> list[Problem]:
    return [Problem(field, LABELS.get(field, ""), message) for field, message in problems.items()]


def _lengths(label: str, found: Mapping[str, Any]) -> Lengths:
    words = f"median {found['median']:,.0f} tokens, 95 % up to {found['p95']:,.0f}, longest {found['max']:,.0f}"
    bars = [(f"{upper:,.0f}", rows) for upper, rows in found.get("histogram", [])]
    chart = bar_chart(label, bars, unit="how many", x_title="tokens, up to the number") if bars else None
    return Lengths(label, words, chart)


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
        Dropped(label_of(kind), words_of(reason), rows)
        for kind, found in stages.items()
        for reason, rows in found.get("dropped", {}).items()
        if rows
    ]
