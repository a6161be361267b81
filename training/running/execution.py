"""What a worker does with a round: each unfinished stage in turn, as a child program, and then the gate.

Everything worth keeping is in the rows and in the run directories, so a round can be left at any point, by a kill
too, and be taken up by another worker: a finished stage is never run again, and a program that had ended before
its worker could say so is not run again either. Who launches rounds, and why, is not known here.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, assert_never

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from annotation.datasets import exports
from sampling import checkpoints, processes
from sampling.actions import register_model
from sampling.engine import phases, timings
from sampling.engine import run_dir as files
from sampling.keep_alive import kept_alive
from sampling.lifecycle import StaleState
from sampling.long_tasks import LongTask, TaskState
from sampling.models import ModelRole, ModelVersion
from sampling.program_runs import (
    DATABASE_LOST,
    Cancelled,
    ClaimLost,
    DatabaseFull,
    WorkerStopping,
    is_database_full,
    run_program,
    worker_stopping,
)
from training import telling
from training.evaluation import gate
from training.lineage.card import write_card
from training.models import Stage, StageKind, StageState, TrainingRound
from training.running import programs, round_plan
from training.running.places import CHECKPOINT, Places, places_of
from training.running.round_data import write_data

log = logging.getLogger(__name__)

OnProgress = Callable[[Stage, dict[str, Any]], None]
Start = Callable[..., processes.Process]


class StageFailed(Exception):
    """A stage's program ended badly; the message is for people."""


class RoundCancelled(Exception):
    """Somebody asked for the round to stop."""


class RoundLost(Exception):
    """Another worker has the round now; nothing of it may be written any more."""


class RoundHandedBack(Exception):
    """This worker ends; the round is still its own, to be queued again."""


def execute_round(*, round: TrainingRound, on_progress: OnProgress | None = None) -> TrainingRound:
    """Take a queued round and carry it to its end: finished, failed with the reason, or cancelled.

    A round that somebody else has taken is left alone. ``on_progress`` gets the running stage and its program's
    progress about every two seconds. A worker that ends hands the round back, queued as it was. When the database
    stays away, that error is raised and the round remains claimed: it is queued again once its heartbeat is missed.
    """
    if worker_stopping.is_set():
        return round
    try:
        round.take()
    except StaleState:
        log.info("Round %s is not queued any more; left alone.", round.pk)
        return round
    try:
        with _timed(round):
            _run_stages(round, on_progress)
            _go_on_or_stop(round)  # who cancelled during the last stage wants nothing published
            _finish(round)
    except (RoundLost, StaleState):
        log.warning("Round %s was taken over by another worker; this one stops.", round.pk)
    except RoundCancelled:
        _end_badly(round, TaskState.CANCELLED, StageState.CANCELLED)
    except RoundHandedBack:
        _hand_back(round)
    except (StageFailed, checkpoints.ModelNotUsable, exports.ExportRefused) as error:
        _end_badly(round, TaskState.FAILED, StageState.FAILED, failure=str(error))
    except DATABASE_LOST as error:
        if not is_database_full(error):
            raise  # nothing can be written now: the reaper finds the row, and the next worker goes on from the files
        _end_badly(round, TaskState.FAILED, StageState.FAILED, failure=str(DatabaseFull()))
    except KeyboardInterrupt:
        _end_badly(round, TaskState.CANCELLED, StageState.CANCELLED)
        raise
    except Exception as error:
        log.exception("Round %s failed outside of its programs.", round.pk)
        _end_badly(round, TaskState.FAILED, StageState.FAILED, failure=files.explain(error))
    round.refresh_from_db()
    return round


@contextmanager
def _timed(round: TrainingRound) -> Iterator[None]:
    """This worker's attempt at the round, in the round's own `timings.jsonl`; each stage has one too."""
    signs = [path for stage in round.stages.all() for path in files.signs_of_life(stage.run_dir)]
    timings.begin_attempt(round.run_dir, phases.WRITING_DATA, signs=signs)
    try:
        yield
    except RoundLost:  # then the files are another worker's
        raise
    except BaseException:
        timings.end_attempt(round.run_dir)
        raise
    timings.end_attempt(round.run_dir)


def _run_stages(round: TrainingRound, on_progress: OnProgress | None) -> None:
    _go_on_or_stop(round, done=0, total=0, phase="writing the data")
    checkpoints.check_present(round.base_policy.location)
    stages = [stage for stage in round.stages.order_by("position") if stage.state != StageState.FINISHED]
    with programs.starter(round, stages) as starter:
        with kept_alive(round) as unwanted:
            data = write_data(round=round, go_on=lambda: _leave_when_unwanted(round, unwanted))
            timings.mark(round.run_dir, phases.STARTING)
            starter.wait_until_ready(go_on=lambda: _leave_when_unwanted(round, unwanted))
        timings.mark(round.run_dir, phases.STAGES)
        for stage in stages:
            _go_on_or_stop(round, done=0, total=0, phase=stage.get_kind_display())
            _run_stage(round, stage, places_of(round, data), on_progress, starter.start)


def _run_stage(
    round: TrainingRound, stage: Stage, places: Places, on_progress: OnProgress | None, start: Start
) -> None:
    kind = StageKind(stage.kind)
    told = round_plan.stage_file(kind, recipe=round.recipe, seed=round.seed, places=places)
    outcome = _ended_unseen(stage, told)
    if outcome is None:
        with transaction.atomic():
            _hold(round)
            now = timezone.now()
            stage.move_to(
                StageState.RUNNING,
                started_at=now,
                finished_at=None,
                failure="",
                told=told,
                attempts=F("attempts") + 1,
            )
        files.write_stage(stage.run_dir, told)
        outcome = run_program(
            task=round,
            argv=round_plan.program_of(kind, stage.run_dir, has_gpu=round_plan.has_gpu()),
            env_extra=round_plan.environment_of(kind, has_gpu=round_plan.has_gpu()),
            start=start,
            run_dir=stage.run_dir,
            on_tick=_shown_in_row(stage, on_progress),
        )
    match outcome:
        case processes.Finished(result=result):
            _stage_finished(round, stage, result)
        case processes.Failed(reason=reason):
            # Success is exit code 0 and a result: what a program wrote before it died must not pass for one.
            (stage.run_dir / files.RESULT).unlink(missing_ok=True)
            raise StageFailed(reason)
        case Cancelled():
            raise RoundCancelled
        case WorkerStopping():
            with transaction.atomic():
                _hold(round)
                # As if it had not begun; what the program left in its directory is found there by the next one.
                stage.move_to(StageState.PENDING, started_at=None, attempts=F("attempts") - 1)
            raise RoundHandedBack
        case ClaimLost():
            raise RoundLost
        case _:
            assert_never(outcome)


def _ended_unseen(stage: Stage, told: dict[str, Any]) -> processes.Finished | None:
    """The result of a program that ended well after its worker was lost, and was told the same as now."""
    if not (stage.run_dir / files.RESULT).exists():
        return None
    processes.stop_leftover(stage.run_dir)
    result = files.read_result(stage.run_dir)
    if stage.state == StageState.PENDING or result is None or files.read_stage(stage.run_dir) != told:
        return None
    log.info("Stage %s of round %s had ended already; its result is kept.", stage.kind, stage.round_id)
    return processes.Finished(result)


def _shown_in_row(stage: Stage, on_progress: OnProgress | None) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """What the round's row shows while a stage runs: the program's figures, under the stage's name."""

    def changes(progress: dict[str, Any]) -> dict[str, Any]:
        if on_progress is not None:
            on_progress(stage, progress)
        phase = ": ".join(part for part in (stage.get_kind_display(), progress.get("phase")) if part)
        figures = {name: max(0, int(progress.get(name) or 0)) for name in ("done", "total")}
        return figures | {"phase": phase[:200]}

    return changes


def _stage_finished(round: TrainingRound, stage: Stage, result: dict[str, Any]) -> None:
    timings.mark(stage.run_dir, phases.REGISTERING)
    try:
        _register(round, stage, result)
    finally:
        timings.end_attempt(stage.run_dir)


def _register(round: TrainingRound, stage: Stage, result: dict[str, Any]) -> None:
    # Hashing gigabytes takes minutes: before the transaction, so that it holds no lock meanwhile.
    with kept_alive(round) as unwanted:
        version = _registered(round, stage, unwanted)
    with transaction.atomic():
        _hold(round)
        if stage.state != StageState.RUNNING:  # its result was found, not waited for
            stage.move_to(StageState.RUNNING)
        stage.move_to(
            StageState.FINISHED,
            finished_at=timezone.now(),
            result=result,
            failure="",
            provenance=files.read_provenance(stage.run_dir),
            model_version=version,
        )
    _write_card(version)


def _registered(round: TrainingRound, stage: Stage, unwanted: threading.Event) -> ModelVersion | None:
    """The model version of the stage's checkpoint; one that a worker made which was lost right then, is found."""

    def leave(done: int, total: int) -> None:
        """Between two blocks of a hash. The stage stays as it is: its result is found, and only hashed again."""
        _leave_when_unwanted(round, unwanted)

    name = round_plan.model_name(round.name, StageKind(stage.kind))
    if name is None:
        return None
    is_reward = stage.kind in (StageKind.REWARD_MODEL, StageKind.JUDGE_MODEL)
    return register_model(
        name=name,
        location=str(stage.run_dir / CHECKPOINT),
        role=ModelRole.REWARD if is_reward else ModelRole.POLICY,
        parent=_started_from(round, stage),
        publish=False,
        notes=f"Made by the stage {stage.get_kind_display()} of round {round.name}.",
        on_progress=leave,
    )


def _started_from(round: TrainingRound, stage: Stage) -> ModelVersion:
    """The version whose weights the stage's program was told to begin with."""
    location = files.read_stage(stage.run_dir)["inputs"]["policy"]
    if location == round.base_policy.location:
        return round.base_policy
    return ModelVersion.objects.policies().filter(location=location).earliest("created_at")


def _leave_when_unwanted(round: TrainingRound, unwanted: threading.Event) -> None:
    """In the middle of this process's own work; raises when it is to be left. Asks no database but then."""
    if worker_stopping.is_set():
        raise RoundHandedBack
    if unwanted.is_set():
        _go_on_or_stop(round)


def _finish(round: TrainingRound) -> None:
    """Ask the gate, publish the policy when it passes, and end the round: all of it or nothing."""
    timings.mark(round.run_dir, phases.GATE)
    policy = _newest_policy(round)
    report = gate.judged(conditions=round.recipe.get("gate"), **_measured(round)) if policy else None
    with transaction.atomic():
        _hold(round)
        if report and report["passed"]:
            policy.published_at = timezone.now()
            policy.save(update_fields=["published_at"])
            telling.policy_published(policy)
        round.end(TaskState.FINISHED, policy=policy, gate_report=report, phase="")
        telling.round_ended(round)
    _write_card(policy)


def _write_card(version: ModelVersion | None) -> None:
    """The model card is for whoever takes the weights away; without it they are as good, so no round fails for it."""
    if version is None:
        return
    try:
        write_card(version)
    except OSError as error:
        log.warning("The model card of %s could not be written: %s", version, error)


def _measured(round: TrainingRound) -> dict[str, Any]:
    """What the gate looks at; None for what was not measured."""
    results = dict(round.stages.values_list("kind", "result"))
    return {"evaluation": results.get(StageKind.EVALUATE), "harness": results.get(StageKind.HARNESS)}


def _newest_policy(round: TrainingRound) -> ModelVersion | None:
    """What the last finished training stage made."""
    policies = [StageKind.DEMONSTRATIONS, StageKind.SFT, StageKind.DPO]
    trained = round.stages.filter(kind__in=policies, model_version__isnull=False)
    stage = trained.order_by("-position").select_related("model_version").first()
    return stage.model_version if stage else None


def _end_badly(round: TrainingRound, state: str, stage_state: str, *, failure: str = "") -> None:
    """End the round and its running stage; a worker that has lost its claim meanwhile writes nothing."""
    try:
        with transaction.atomic():
            _hold(round)
            stage = round.stages.filter(state=StageState.RUNNING).first()
            if stage:
                stage.move_to(stage_state, finished_at=timezone.now(), failure=failure)
            where = f"{stage.get_kind_display()} failed: " if stage and failure else ""
            round.end(state, failure=where + failure, phase="")
            telling.round_ended(round)
    except (RoundLost, StaleState):
        log.warning("Round %s was taken over by another worker; its end is that one's to tell.", round.pk)
    except DATABASE_LOST as error:
        if is_database_full(error):  # not even this fits: then the log says it, and the reaper finds the row
            log.error("Round %s cannot be ended: %s", round.pk, DatabaseFull())
        raise


def _hand_back(round: TrainingRound) -> None:
    try:
        round.hand_back()
    except StaleState:
        log.warning("Round %s was taken over by another worker; this one stops.", round.pk)


def _hold(round: TrainingRound) -> None:
    """Lock the round's row for this transaction; raises RoundLost when another worker has claimed it."""
    mine = TrainingRound.objects.select_for_update().filter(claim=round.claim, state=TaskState.RUNNING)
    if not mine.filter(pk=round.pk).first():
        raise RoundLost


def _go_on_or_stop(round: LongTask, **progress: Any) -> None:
    """A heartbeat between programs; raises when the round was cancelled or taken over."""
    if round.beat(**progress):
        return
    round_now = TrainingRound.objects.get(pk=round.pk)
    if round_now.claim == round.claim and round_now.cancel_requested_at is not None:
        raise RoundCancelled
    raise RoundLost
