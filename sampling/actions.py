"""Everything that changes prompts, models and sampling runs."""

import logging
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from sampling import checkpoints, execution
from sampling.checkpoints import ModelNotUsable
from sampling.engine.run_dir import explain
from sampling.long_tasks import TaskState, announce_on_commit
from sampling.models import (
    Completion,
    Event,
    ModelRole,
    ModelVersion,
    PromptSet,
    SamplingRun,
)
from sampling.processes import Failed
from sampling.program_runs import (
    DATABASE_LOST,
    Cancelled,
    DatabaseFull,
    Outcome,
    end_by,
    is_database_full,
    worker_stopping,
)
from sampling.webhooks.emitting import emit

log = logging.getLogger(__name__)


class NothingToSample(Exception):
    """A sampling run that would be empty; the message says why and the remedy."""


# --- models -----------------------------------------------------------------------------------------------------


def register_model(
    *,
    name: str,
    location: str,
    role: str = ModelRole.POLICY,
    parent: ModelVersion | None = None,
    publish: bool = True,
    notes: str = "",
    on_progress: Callable[[int, int], None] | None = None,
) -> ModelVersion:
    """Make a checkpoint known under ``name``. The same name, place, role and weights again is the same version.

    Only a policy is published. Raises ModelNotUsable when the location holds no model of that role, and
    ValidationError when the name stands for something else. ``on_progress``: (bytes hashed, bytes to hash).
    """
    checkpoint = checkpoints.inspect(location, on_progress=on_progress)
    is_reward = checkpoints.is_reward_model(checkpoint.location)
    if is_reward and role == ModelRole.POLICY:
        raise ModelNotUsable(
            f"{location} is a reward model (a sequence classifier): it scores texts and cannot write any. Register it "
            "with the role reward."
        )
    version = ModelVersion(
        name=name,
        role=role,
        parent=parent,
        location=checkpoint.location,
        content_hash=checkpoint.content_hash,
        published_at=timezone.now() if publish and role == ModelRole.POLICY else None,
        notes=notes,
    )
    try:
        version.full_clean(validate_unique=False)
        with transaction.atomic():
            version.save()
            if version.published_at:
                data = {"id": version.pk, "name": version.name, "content_hash": version.content_hash}
                emit(Event.POLICY_PUBLISHED, data)
    except IntegrityError:
        return _same_version(version)
    return version


def _same_version(wanted: ModelVersion) -> ModelVersion:
    there = ModelVersion.objects.get(name=wanted.name)
    if all(getattr(there, name) == getattr(wanted, name) for name in ("role", "location", "content_hash")):
        return there
    raise ValidationError(
        {
            "name": f'The name "{wanted.name}" belongs to {there.get_role_display()} at {there.location}, and these '
            "are not the same weights. Choose another name: a version never changes."
        }
    )


# --- sampling runs ----------------------------------------------------------------------------------------------


def create_sampling_run(
    *,
    prompt_set: PromptSet,
    policies: Sequence[ModelVersion],
    name: str = "",
    request_key: uuid.UUID | None = None,
    enqueue: bool = True,
    **parameters: Any,
) -> SamplingRun:
    """Make a queued run and announce it; the same ``request_key`` again gives the run that is there.

    ``parameters`` are the run's own fields: split, prompt_limit, n, temperature, top_p, max_tokens, seed,
    created_by. Raises NothingToSample, or ValidationError for a value out of its range.
    """
    request_key = request_key or uuid.uuid4()
    if run := SamplingRun.objects.filter(request_key=request_key).first():
        return run
    run = SamplingRun(prompt_set=prompt_set, name=name, request_key=request_key, **parameters)
    run.name = run.name or f"{prompt_set.name}, {', '.join(policy.name for policy in policies)}"[:120]
    run.full_clean(exclude=["skipped"], validate_unique=False)  # an empty list is not "blank" here
    run.total = _expected(run, policies)
    try:
        with transaction.atomic():
            run.save()
            run.policies.set(policies)
            if enqueue:
                announce_on_commit(run, announce=announce)
    except IntegrityError:  # the double click's other half was faster
        return SamplingRun.objects.get(request_key=request_key)
    return run


def _expected(run: SamplingRun, policies: Sequence[ModelVersion]) -> int:
    if not policies:
        raise NothingToSample("No policy was chosen. Choose at least one model to sample from.")
    for policy in policies:
        if policy.role != ModelRole.POLICY:
            raise NothingToSample(
                f'"{policy.name}" is a {policy.get_role_display()} and cannot write. Choose a policy.'
            )
    prompts = run.prompts().count()
    if not prompts:
        which = f"no prompt in the {run.split} split" if run.split else "no prompt"
        raise NothingToSample(
            f'Prompt set "{run.prompt_set}" has {which}. Import prompts into it or choose another set or split.'
        )
    return prompts * run.n * len(policies)


def execute_sampling_run(*, run: SamplingRun, on_progress: execution.Report | None = None) -> SamplingRun:
    """Claim ``run``, sample everything that is still missing, and end it; ``on_progress`` gets (done, total, phase).

    Raises StaleState when another worker holds the run already. A failure is stored in the row, not raised; Ctrl-C
    ends the run as cancelled and is raised again. A worker that ends hands the run back, queued as it was.
    """
    if worker_stopping.is_set():
        return run
    run.take()
    try:
        outcome: Outcome = execution.sample(run, on_progress or (lambda done, total, phase: None))
    except DATABASE_LOST as error:
        if not is_database_full(error):
            raise  # nothing can be written now: the reaper finds the row, and the next worker goes on from the files
        outcome = Failed(str(DatabaseFull()))
    except KeyboardInterrupt:
        _end(run, Cancelled())
        raise
    except Exception as error:
        log.exception("Sampling run %s failed", run.pk)
        outcome = Failed(str(error) if isinstance(error, ModelNotUsable) else explain(error))
    try:
        _end(run, outcome)
    except DATABASE_LOST as error:
        if is_database_full(error):  # not even this fits: then the log says it, and the reaper finds the row
            log.error("Sampling run %s cannot be ended: %s", run.pk, DatabaseFull())
        raise
    return run


def _end(run: SamplingRun, outcome: Outcome) -> None:
    done = Completion.objects.filter(run=run).count()

    def finish() -> None:
        run.end(
            TaskState.FINISHED,
            done=done,
            total=done,
            skipped=execution.skipped_prompts(run),
            tokens_per_second=execution.tokens_per_second(run),
        )

    end_by(run, outcome, finish=finish, done=done)


def cancel(*, run: SamplingRun) -> SamplingRun:
    """Ask for the end of a run. What is sampled already is kept."""
    run.request_cancel()
    return run


def retry(*, run: SamplingRun, enqueue: bool = True) -> SamplingRun:
    """Queue a failed or cancelled run again; it goes on where it stopped. Raises StaleState for any other run."""
    with transaction.atomic():
        run.retry()
        if enqueue:
            announce_on_commit(run, announce=announce)
    return run


def announce(run: SamplingRun) -> None:
    """Tell the workers that ``run`` waits for them."""
    from sampling.tasks import run_sampling  # tasks call actions, so not at the top

    run_sampling.delay(run.pk)
