"""Everything that changes saved filters, and prompt sets by filters."""

import logging
import uuid
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from sampling.curation.running import CannotKeep, run
from sampling.curation.steps import BadStep, check
from sampling.engine.run_dir import explain
from sampling.importing.watching import Report, Stop, watched
from sampling.lifecycle import StaleState
from sampling.long_tasks import TaskState, announce_on_commit
from sampling.models import Curation, FilterSet, PromptSet
from sampling.processes import Failed, Finished
from sampling.program_runs import (
    DATABASE_LOST,
    Cancelled,
    DatabaseFull,
    Outcome,
    end_by,
    is_database_full,
    worker_stopping,
)

log = logging.getLogger(__name__)


class CurationFailed(Exception):
    """Filters that ran here and now did not come to their end; the message says why."""


# --- saved filters ----------------------------------------------------------------------------------------------


def save_filter_set(
    *, name: str, steps: list[dict[str, Any]], created_by: Any = None, filter_set: FilterSet | None = None
) -> FilterSet:
    """Save filters under a name, new or over those of ``filter_set``. Raises ValidationError.

    What ran with them before keeps the filters that it ran with.
    """
    filter_set = filter_set or FilterSet(created_by=created_by)
    filter_set.name = name.strip()
    filter_set.steps = checked(steps)
    if not filter_set.steps:
        raise ValidationError({"steps": "There is no filter. Add at least one."})
    filter_set.full_clean()
    try:
        with transaction.atomic():
            filter_set.save()
    except IntegrityError:  # somebody else took the name since it was looked for
        raise ValidationError({"name": f'There are filters named "{name}" already. Choose another name.'}) from None
    return filter_set


def delete_filter_set(*, filter_set: FilterSet) -> None:
    filter_set.delete()


def checked(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every parameter of each step; raises ValidationError."""
    try:
        return check(list(steps))
    except BadStep as bad:
        raise ValidationError({"steps": str(bad)}) from None


# --- filters over a prompt set ----------------------------------------------------------------------------------


def create_curation(
    *,
    prompt_set: PromptSet,
    steps: list[dict[str, Any]],
    new_name: str = "",
    seed: int = 17,
    created_by: Any = None,
    request_key: uuid.UUID | None = None,
    enqueue: bool = True,
) -> Curation:
    """Queue filters to be run over a set: to look, or with a ``new_name`` to keep what they leave.

    The same ``request_key`` again gives the run that is there. Raises ValidationError.
    """
    request_key = request_key or uuid.uuid4()
    if there := Curation.objects.filter(request_key=request_key).first():
        return there
    curation = Curation(
        of=prompt_set,
        steps=checked(steps),
        new_name=new_name,
        seed=seed,
        created_by=created_by,
        request_key=request_key,
    )
    if not curation.steps:
        raise ValidationError({"steps": "There is no filter. Add at least one."})
    if new_name:
        _check_free(new_name)
    curation.full_clean(exclude=["report"], validate_unique=False)
    try:
        with transaction.atomic():
            curation.save()
            if enqueue:
                announce_on_commit(curation, announce=announce)
    except IntegrityError:  # the double click's other half was faster
        return Curation.objects.get(request_key=request_key)
    return curation


def _check_free(name: str) -> None:
    if PromptSet.objects.filter(name=name).exists():
        raise ValidationError({"new_name": f'There is a prompt set "{name}" already. Choose another name.'})


def keep(*, curation: Curation, new_name: str, enqueue: bool = True) -> Curation:
    """Queue what the filters leave to be kept as a new set. The second of two clicks changes nothing.

    Where the name was taken meanwhile, another one may be given. Raises ValidationError for a name that cannot be had,
    and StaleState unless the set was looked through.
    """
    new_name = new_name.strip()
    if not new_name:
        raise ValidationError({"new_name": "Name the new prompt set."})
    with transaction.atomic():
        row = _locked(curation)
        is_refused = row.state == TaskState.FAILED and row.made_id is None
        if row.new_name and not is_refused:
            return row
        if not row.new_name and row.state != TaskState.FINISHED:
            raise StaleState(row, TaskState.QUEUED)
        if row.report.get("left") == 0:
            raise ValidationError({"new_name": "The filters leave no prompt, so there is nothing to keep."})
        row.new_name = new_name
        row.clean_fields(exclude=["report", "steps"])
        _check_free(new_name)
        row.put_back(new_name=new_name, attempt=0, started_at=None, done=0, total=0, phase="")
        if enqueue:
            announce_on_commit(row, announce=announce)
    return row


def cancel(*, curation: Curation) -> Curation:
    """Ask for an end, within seconds. What is kept already stays."""
    curation.request_cancel()
    return curation


def retry(*, curation: Curation, enqueue: bool = True) -> Curation:
    """Queue again what failed or was cancelled. Raises StaleState for anything else."""
    with transaction.atomic():
        row = _locked(curation)
        if row.state not in (TaskState.FAILED, TaskState.CANCELLED):
            raise StaleState(row, TaskState.QUEUED)
        row.retry()
        if enqueue:
            announce_on_commit(row, announce=announce)
    return row


def _locked(curation: Curation) -> Curation:
    return Curation.objects.select_for_update(no_key=True, of=["self"]).get(pk=curation.pk)


def announce(curation: Curation) -> None:
    """Tell the workers that filters wait to be run."""
    from sampling.tasks import run_curation  # tasks call actions, so not at the top

    run_curation.delay(curation.pk)


# --- what a worker does -----------------------------------------------------------------------------------------


def execute(*, curation: Curation, on_progress: Report | None = None) -> Curation:
    """Claim it, run its filters, and end it. Raises StaleState when another worker holds it already.

    A failure is stored in the row, not raised; Ctrl-C ends it as cancelled and is raised again. A worker that ends
    hands it back, queued as it was.
    """
    if worker_stopping.is_set():
        return curation
    curation.take()
    report: dict[str, Any] = {}
    try:
        outcome = _outcome(curation, on_progress or (lambda progress: None), report)
    except DATABASE_LOST as error:
        if not is_database_full(error):
            raise  # nothing can be written now: the reaper finds the row, and the next worker begins it again
        outcome = Failed(str(DatabaseFull()))
    except KeyboardInterrupt:
        _end(curation, Cancelled(), report)
        raise
    _end(curation, outcome, report)
    return curation


def _outcome(curation: Curation, on_progress: Report, report: dict[str, Any]) -> Outcome:
    try:
        with watched(curation, on_progress) as watch:
            report.update(run(curation, watch))
    except Stop as stop:
        return stop.outcome
    except (BadStep, CannotKeep) as error:
        return Failed(str(error))
    except DATABASE_LOST:
        raise
    except Exception as error:
        log.exception("Curation %s failed", curation.pk)
        return Failed(explain(error))
    return Finished({})


def _end(curation: Curation, outcome: Outcome, report: dict[str, Any]) -> None:
    def finish() -> None:
        rows = report["rows"]
        curation.end(TaskState.FINISHED, report=report, phase="", done=rows, total=rows)

    end_by(curation, outcome, finish=finish)


def curate_now(*, curation: Curation, on_progress: Report | None = None) -> Curation:
    """Run filters, or go on with them, in this process: for commands, the demo and tests. Raises CurationFailed.

    StaleState is raised where a worker is at it, or nothing is left to do.
    """
    curation.refresh_from_db()
    if curation.state == TaskState.FINISHED:  # which may be queued again, to be kept
        raise StaleState(curation, TaskState.QUEUED)
    curation.reclaim()
    execute(curation=curation, on_progress=on_progress)
    if curation.state != TaskState.FINISHED:
        raise CurationFailed(curation.failure or f"The run was {curation.get_state_display()}.")
    return curation
