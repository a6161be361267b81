"""How far a round is, read from its rows and its run directories. Reads only, and bears any file to be missing.

The web process and the workers share the data folder; where they do not, the rows alone still tell the states.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from django.utils import timezone

from sampling.durations import duration
from sampling.engine import run_dir as files
from sampling.long_tasks import TaskState
from training.models import Stage, StageKind, StageState, TrainingRound
from training.watching import figures

LOG_BYTES = 128 * 1024
# Colours and cursor movements, which a terminal would act on and a page would show as rubbish.
TERMINAL_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True)
class StageProgress:
    """One stage as the page shows it."""

    stage: Stage
    done: int
    total: int
    unit: str
    phase: str
    seconds: float | None  # spent so far, or in all
    facts: figures.Facts

    @property
    def is_running(self) -> bool:
        return self.stage.state == StageState.RUNNING and self.stage.round.state == TaskState.RUNNING

    @property
    def state(self) -> str:
        """The state to show: a stage whose worker was lost waits with its round."""
        orphaned = self.stage.state == StageState.RUNNING and not self.is_running
        return StageState.PENDING.value if orphaned else self.stage.state

    @property
    def share(self) -> float:
        if self.stage.state == StageState.FINISHED:
            return 1.0
        return min(1.0, self.done / self.total) if self.is_running and self.total else 0.0

    @property
    def rate(self) -> str:
        if not self.is_running or not self.done or not self.seconds:
            return ""
        per_second = self.done / self.seconds
        return f"{per_second:.1f} {self.unit}/s" if per_second >= 0.1 else f"{1 / per_second:.0f} s a {self.unit[:-1]}"

    @property
    def remaining_seconds(self) -> float | None:
        if not self.is_running or not self.done or not self.seconds or not self.total:
            return None
        return self.seconds / self.done * max(0, self.total - self.done)

    @property
    def remaining(self) -> str:
        return duration(self.remaining_seconds)

    @property
    def took(self) -> str:
        return duration(self.seconds)


@dataclass(frozen=True)
class RoundProgress:
    """A round as the page shows it."""

    round: TrainingRound
    stages: list[StageProgress]

    @property
    def finished(self) -> int:
        return sum(stage.stage.state == StageState.FINISHED for stage in self.stages)

    @property
    def percent(self) -> int:
        """Every stage counts the same: an honest bar needs estimates, which the remaining time has."""
        return round(100 * sum(stage.share for stage in self.stages) / len(self.stages)) if self.stages else 0

    @property
    def running(self) -> StageProgress | None:
        return next((stage for stage in self.stages if stage.is_running), None)

    @property
    def elapsed(self) -> str:
        begun, ended = self.round.started_at, self.round.finished_at
        return duration((ended or timezone.now()) - begun) if begun else ""

    @property
    def cancelling(self) -> bool:
        return self.round.cancel_requested_at is not None and not self.round.is_over


def of_round(round: TrainingRound) -> RoundProgress:
    """The round's progress; its stages are read once, in order."""
    stages = round.stages.select_related("model_version").order_by("position")
    return RoundProgress(round=round, stages=[of_stage(stage, round) for stage in stages])


def of_stage(stage: Stage, round: TrainingRound) -> StageProgress:
    stage.round = round  # the same object, so that nothing is read twice
    program = _read(files.read_progress, stage) if stage.state == StageState.RUNNING else {}
    return StageProgress(
        stage=stage,
        done=int(program.get("done") or 0),
        total=int(program.get("total") or 0),
        unit=str(program.get("unit") or "steps"),
        phase=str(program.get("phase") or ""),
        seconds=_seconds(stage),
        facts=figures.facts_of(StageKind(stage.kind), stage.result),
    )


def metrics(stage: Stage) -> list[dict[str, Any]]:
    """Every logged step so far."""
    try:
        return files.read_metrics(stage.run_dir)
    except (files.RunDirError, OSError):
        return []


def log_tail(stage: Stage, *, lines: int) -> str:
    """The last lines of the program's log as a terminal would show them: of a redrawn bar, its last state."""
    try:
        with (stage.run_dir / files.LOG).open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - LOG_BYTES))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    shown = (line.rstrip("\r").rsplit("\r", 1)[-1] for line in text.rstrip("\n").split("\n"))
    return TERMINAL_CODES.sub("", "\n".join(list(shown)[-lines:]))


def judged_prompts(stage: Stage, *, limit: int) -> list[Mapping[str, Any]]:
    """Old and new answers side by side, from an evaluation's ``judged.jsonl``: the first of each of so many prompts."""
    try:
        rows = _rows(stage.run_dir / "judged.jsonl")
        return list(islice((row for row in rows if not row.get("index")), limit))
    except (files.RunDirError, OSError):
        return []


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    return files.read_json_lines(path)


def _read(reader: Any, stage: Stage) -> dict[str, Any]:
    try:
        return reader(stage.run_dir) or {}
    except (files.RunDirError, OSError, json.JSONDecodeError):
        return {}


def _seconds(stage: Stage) -> float | None:
    if stage.started_at is None or stage.state == StageState.PENDING:
        return None
    spent: timedelta = (stage.finished_at or timezone.now()) - stage.started_at
    return spent.total_seconds()
