"""Launching rounds, cancelling them and trying them again. What a round does once it runs is in ``execution``."""

import uuid
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from annotation.models import DatasetSnapshot
from sampling.long_tasks import TaskState
from sampling.models import ModelVersion
from training import recipe as recipes
from training.launching import launch_checks
from training.models import DemonstrationSet, Stage, StageState, TrainingRound
from training.running import round_plan
from training.running.execution import execute_round

__all__ = ["announce", "cancel_round", "execute_round", "launch_round", "retry_round", "settle_stages"]


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

    ``recipe`` is the name of one in training/recipes, or a TOML file's path; ``changes`` are laid over it, by section.
    ``previous`` is the round of the schedule that this one follows. Raises ValidationError with a message for each
    field that a person must mend. With ``enqueue=False`` no worker is told: the caller executes it.
    """
    if request_key and (known := TrainingRound.objects.filter(request_key=request_key).first()):
        return known
    number = previous.number + 1 if previous else 1
    schedule = _checked(
        name=name, base_policy=base_policy, snapshot=snapshot, recipe=recipe, changes=changes, number=number
    )
    resolved = schedule.of_round(number).resolved()
    try:
        with transaction.atomic():
            round = TrainingRound.objects.create(
                name=name,
                base_policy=base_policy,
                snapshot=snapshot,
                recipe_name=resolved["name"],
                recipe=resolved,
                schedule=schedule.resolved(),
                changes=dict(changes or {}),
                seed=seed,
                number=number,
                previous=previous,
                demonstrations=demonstrations,
                cloned_from=cloned_from,
                created_by=created_by,
                request_key=request_key or uuid.uuid4(),
            )
            kinds = round_plan.kinds_of(resolved)
            Stage.objects.bulk_create(
                Stage(round=round, kind=kind, position=position) for position, kind in enumerate(kinds, start=1)
            )
            if enqueue:
                _announce_on_commit(round)
    except IntegrityError:
        # Two requests at the same instant: the database let one through, and it is everybody's.
        if request_key and (known := TrainingRound.objects.filter(request_key=request_key).first()):
            return known
        raise ValidationError({"name": launch_checks.name_taken(name)}) from None
    return round


def cancel_round(*, round: TrainingRound) -> TrainingRound:
    """Ask for the round to stop: at once when it waits, else when its worker sees the wish. Finished stages stay."""
    round.request_cancel()
    return round


def retry_round(*, round: TrainingRound, enqueue: bool = True) -> TrainingRound:
    """Queue a failed or cancelled round again; it goes on at its first unfinished stage.

    Raises StaleState when it is neither (any more): somebody else was first. With ``enqueue=False`` no worker is
    told: the caller executes it.
    """
    with transaction.atomic():
        round.retry()
        if enqueue:
            _announce_on_commit(round)
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


def _announce_on_commit(round: TrainingRound) -> None:
    # robust: a broker that is away must not take the page with it. The row is there, and the reaper announces it.
    transaction.on_commit(lambda: announce(round), robust=True)


def _checked(
    *,
    name: str,
    base_policy: ModelVersion,
    snapshot: DatasetSnapshot,
    recipe: str,
    changes: Mapping[str, Any] | None,
    number: int,
) -> recipes.Recipe:
    """The whole recipe; or a ValidationError that tells each field what is wrong with it."""
    errors: dict[str, str] = {}
    resolved: dict[str, Any] = {}
    schedule = None
    try:
        schedule = recipes.load(recipe, changes)
        resolved = schedule.of_round(number).resolved()
    except recipes.RecipeError as error:
        errors["recipe"] = str(error)
    problems = {
        "name": launch_checks.name_problem(name, round_plan.kinds_of(resolved)),
        "base_policy": launch_checks.policy_problem(base_policy),
        "snapshot": launch_checks.snapshot_problem(snapshot, resolved),
    }
    errors |= {field: problem for field, problem in problems.items() if problem}
    if errors or schedule is None:
        raise ValidationError(errors)
    return schedule
