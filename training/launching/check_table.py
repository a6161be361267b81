"""What a check found, as a table for the shell."""

from collections.abc import Iterable, Sequence

from sampling.durations import roughly
from training.launching import launch_checks
from training.launching.asked import Asked
from training.launching.cost import cost_of
from training.launching.panel import StageRow, stage_rows
from training.launching.report import Report, report_of
from training.models import LaunchCheck
from training.watching.figures import size

HEAD = ("stage", "rows", "steps", "warm-up", "batch", "about")


def table_of(check: LaunchCheck, asked: Asked) -> str:
    """The stages with rows, steps and time; then what was dropped, what is missing, disk and memory."""
    recipe = launch_checks.examined(asked).recipe
    report = report_of(check)
    lines: list[str] = []
    if recipe:
        cost = cost_of(asked, recipe)
        rows = stage_rows(cost, report)
        lines += _aligned([HEAD, *map(_cells, rows)])
        if cost.stages:
            spent = roughly(sum(row.seconds or 0.0 for row in rows))
            lines.append(f"About {spent}; {size(cost.disk_bytes)} of disk, {size(cost.free_bytes)} free.")
        lines += [*cost.problems, *launch_checks.warnings_of(asked)]
    return "\n".join([*lines, *_found(report)])


def _found(report: Report | None) -> list[str]:
    if report is None:
        return []
    lines = [f"{finding.what}: {finding.words}" for finding in report.findings]
    lines += [f"{lengths.label}: {lengths.words}" for lengths in report.lengths]
    lines += [f"left out, {dropped.stage}: {dropped.rows:,} {dropped.reason}" for dropped in report.dropped]
    if report.memory_bytes and report.memory_free_bytes:
        lines.append(f"Memory: about {size(report.memory_bytes)}, of {size(report.memory_free_bytes)} free.")
    return [*lines, *(f"Warning: {warning}" for warning in report.warnings)]


def _cells(row: StageRow) -> Sequence[str]:
    numbers = ("" if number is None else f"{number:,}" for number in (row.rows, row.steps, row.warmup_steps))
    return [row.cost.label, *numbers, row.batch, roughly(row.seconds)]


def _aligned(rows: Iterable[Sequence[str]]) -> list[str]:
    rows = list(rows)
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    return [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
