"""How far a round is, read from its rows and its run directories. Reads only.

The web process and the workers share the data folder; where they do not, the rows alone still tell the states.
"""

from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from sampling.durations import duration
from sampling.long_tasks import TaskState
from training.models import Stage, StageKind, StageState, TrainingRound
from training.watching import figures, run_files


@dataclass(frozen=True)
class StageProgress:
    """One stage as the page shows it."""

    stage: Stage
    done: int
    total: int
    unit: str
    phase: str
    begun_at: int  # what an earlier attempt had done already
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
        if not self.is_running or self.done <= self.begun_at or not self.seconds:
            return ""
        per_second = (self.done - self.begun_at) / self.seconds
        return f"{per_second:.1f} {self.unit}/s" if per_second >= 0.1 else f"{1 / per_second:.0f} s a {self.unit[:-1]}"

    @property
    def remaining_seconds(self) -> float | None:
        if not self.is_running or self.done <= self.begun_at or not self.seconds or not self.total:
            return None
        return self.seconds / (self.done - self.begun_at) * max(0, self.total - self.done)

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
    program = run_files.progress_of(stage) if stage.state == StageState.RUNNING else {}
    return StageProgress(
        stage=stage,
        done=int(program.get("done", 0)),
        total=int(program.get("total", 0)),
        unit=program.get("unit") or "steps",
        phase=program.get("phase", ""),
        begun_at=int(program.get("begun_at", 0)),
        seconds=_seconds(stage),
        facts=figures.facts_of(StageKind(stage.kind), run_files.result_of(stage), round.recipe.get(stage.kind)),
    )


def _seconds(stage: Stage) -> float | None:
    if stage.started_at is None or stage.state == StageState.PENDING:
        return None
    spent: timedelta = (stage.finished_at or timezone.now()) - stage.started_at
    return spent.total_seconds()
