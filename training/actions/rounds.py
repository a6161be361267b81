"""Launching rounds, cancelling them and trying them again."""

import uuid
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from annotation.models import DatasetSnapshot
from sampling.long_tasks import TaskState, announce_on_commit
from sampling.models import ModelVersion
from training.launching import checking, launch_checks
from training.launching.asked import Asked
from training.launching.launch_checks import Examined
from training.models import DemonstrationSet, Stage, StageState, TrainingRound
from training.running import round_plan


def launch_round(
    *,
    name: str,
    base_policy: ModelVersion,
    snapshot: DatasetSnapshot,
    recipe: str,
    changes: Mapping[str, Any] | None = None,
    seed: int = 17,
    previous: TrainingRound | None = None,
    demonstrations: DemonstrationSet | None = None,
    cloned_from: TrainingRound | None = None,
    created_by: Any = None,
    request_key: uuid.UUID | None = None,
    enqueue: bool = True,
) -> TrainingRound:
    """A new round with its stages, queued; or, for a ``request_key`` that was seen before, the round it made.

    ``recipe`` is the name of one in training/recipes, or a TOML file's path, or "blank"; ``changes`` are laid over it,
    by section. ``previous`` is the round of the schedule that this one follows. Raises ValidationError with a message
    for each field that a person must mend, those that a finished check found too. With ``enqueue=False`` no worker is
    told: the caller executes it.
    """
    if request_key and (known := TrainingRound.objects.filter(request_key=request_key).first()):
        return known
    asked = Asked(
        base_policy=base_policy,
        snapshot=snapshot,
        recipe=recipe,
        changes=changes or {},
        previous=previous,
        demonstrations=demonstrations,
    )
    examined = _launchable(name, asked)
    try:
        with transaction.atomic():
            round = TrainingRound.objects.create(
                name=name,
                base_policy=base_policy,
                snapshot=snapshot,
                recipe_name=examined.resolved["name"],
                recipe=examined.resolved,
                schedule=examined.schedule.resolved(),
                changes=dict(asked.changes),
                seed=seed,
                number=asked.number,
                previous=previous,
                demonstrations=demonstrations,
                cloned_from=cloned_from,
                created_by=created_by,
                request_key=request_key or uuid.uuid4(),
            )
            kinds = round_plan.kinds_of(examined.resolved)
            Stage.objects.bulk_create(
                Stage(round=round, kind=kind, position=position) for position, kind in enumerate(kinds, start=1)
            )
            if enqueue:
                announce_on_commit(round, announce=announce)
    except IntegrityError:
        # Two requests at the same instant: the database let one through, and it is everybody's.
        if request_key and (known := TrainingRound.objects.filter(request_key=request_key).first()):
            return known
        raise ValidationError({"name": launch_checks.name_taken(name)}) from None
    return round


def _launchable(name: str, asked: Asked) -> Examined:
    """What is asked for, understood; or a ValidationError that tells each field what is wrong with it."""
    examined = launch_checks.examined(asked)
    problems = dict(examined.problems)
    if problem := launch_checks.name_problem(name, round_plan.kinds_of(examined.resolved)):
        problems["name"] = problem
    if not examined.problems:
        problems |= checking.problems_in(checking.found(asked, examined.resolved))
    if problems:
        raise ValidationError(problems)
    return examined


def cancel_round(*, round: TrainingRound) -> TrainingRound:
    """Ask for the round to stop: at once when it waits, else when its worker sees the wish. Finished stages stay."""
    round.request_cancel()
    return round


def retry_round(*, round: TrainingRound, enqueue: bool = True) -> TrainingRound:
    """Queue a failed or cancelled round again; it goes on at its first unfinished stage.

    Raises StaleState when it is neither (any more): somebody else was first; and ValidationError where the disk is too
    full for the rest. With ``enqueue=False`` no worker is told: the caller executes it.
    """
    if round.state in (TaskState.FAILED, TaskState.CANCELLED) and (problem := launch_checks.retry_problem(round)):
        raise ValidationError({"recipe": problem})
    with transaction.atomic():
        round.retry()
        if enqueue:
            announce_on_commit(round, announce=announce)
    return round


def settle_stages() -> None:
    """End the stages that a lost worker left running in rounds that were given up."""
    for stage in Stage.objects.orphaned().select_related("round"):
        ended = StageState.CANCELLED if stage.round.state == TaskState.CANCELLED else StageState.FAILED
        stage.move_to(ended, finished_at=stage.round.finished_at, failure=stage.round.failure)


def announce(round: TrainingRound) -> None:
    """Tell the workers that ``round`` waits for them."""
    from training.tasks import run_round  # tasks call actions, so not at the top

    run_round.delay(round.pk)
