"""What a round would cost before it starts, and what is left of one that runs: one formula for both."""

from collections.abc import Sequence
from dataclasses import dataclass

from sampling.engine.run_dir import RunDirError
from training import recipe as recipes
from training.launching import estimates, expected, pace
from training.launching.asked import Asked
from training.launching.disk import disk_for
from training.models import StageKind, StageState
from training.pipeline.schedule import Schedule, schedule_of
from training.recipe import Recipe, Training
from training.watching.progress import RoundProgress


@dataclass(frozen=True)
class StageCost:
    kind: str
    label: str
    seconds: float
    rows: int | None = None  # before any is dropped
    schedule: Schedule | None = None


@dataclass(frozen=True)
class Cost:
    """What the launch form shows; without stages when something needed for it cannot be read."""

    problems: Sequence[str] = ()
    stages: Sequence[StageCost] = ()
    counts: estimates.Counts | None = None
    rounds_measured: int = 0  # by which the seconds are: of this machine, the last few
    disk_bytes: int = 0
    resume_bytes: int = 0  # while a stage trains, beside disk_bytes
    free_bytes: int = 0

    @property
    def seconds(self) -> float:
        return sum(stage.seconds for stage in self.stages)


def cost_of(asked: Asked, recipe: Recipe) -> Cost:
    """What a round by ``recipe``, resolved for that round, would cost."""
    counts = expected.counts_of(asked.base_policy, asked.snapshot, asked.demonstrations, asked.earlier)
    if counts is None:
        return Cost([f'How large "{asked.base_policy.name}" is cannot be read from files here: no estimate.'])
    disk = disk_for(asked.base_policy.location, recipe)
    measured = pace.of_this_machine()
    return Cost(
        problems=_problems(counts),
        stages=_stages(recipe, counts, measured),
        counts=counts,
        rounds_measured=measured.rounds,
        disk_bytes=disk.kept_bytes,
        resume_bytes=disk.resume_bytes,
        free_bytes=disk.free_bytes,
    )


def remaining_seconds(progress: RoundProgress) -> float | None:
    """What a running round still needs: its stage's own pace, and the launch form's estimates for those that wait.

    The estimates are scaled by how long the round's own finished stages really took.
    """
    if progress.running is None:
        return None
    there = expected.seconds_of_round(progress.round.pk, progress.round.request_key)
    if not there:
        return None
    usual = pace.of_this_machine().applied_to(there)
    known = [item for item in progress.stages if item.stage.state == StageState.FINISHED and item.seconds]
    planned = sum(usual[item.stage.kind] for item in known)
    slower = min(5.0, max(0.2, sum(item.seconds for item in known) / planned)) if planned else 1.0
    waiting = [item for item in progress.stages if item.state == StageState.PENDING]
    now = progress.running
    own = now.remaining_seconds
    if own is None or now.share < 0.1:  # it is starting: its pace says nothing yet
        own = max(0.0, slower * usual[now.stage.kind] - (now.seconds or 0))
    return own + slower * sum(usual[item.stage.kind] for item in waiting)


def _stages(recipe: Recipe, counts: estimates.Counts, measured: pace.Pace) -> list[StageCost]:
    return [
        StageCost(kind, StageKind(kind).label, spent, *_work(recipe.sections.get(kind), counts))
        for kind, spent in measured.applied_to(estimates.seconds_of(recipe, counts)).items()
    ]


def _work(section: recipes.Section | None, counts: estimates.Counts) -> tuple[int | None, Schedule | None]:
    rows = estimates.rows_of(section, counts) if section else None
    if not rows or not isinstance(section, Training):
        return rows, None
    try:
        return rows, schedule_of(section, rows, rankings=estimates.rankings_of(section, counts))
    except RunDirError:  # no micro batch makes the batch here; the check says so in full
        return rows, None


def _problems(counts: estimates.Counts) -> list[str]:
    """What whoever launches the round should know, and what stands in nothing's way."""
    if counts.prompts_eval:
        return []
    return [
        "The snapshot's prompt sets have no eval prompts, so the new policy cannot be measured nor published. "
        "Import prompts with the split eval."
    ]
