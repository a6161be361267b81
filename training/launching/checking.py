"""What a worker does with a check: it writes the data that the round would read, and has the round's own program look.

The program is the round's first stage (`training.pipeline.check`). What it finds is kept in the row, and the list of
the rows that would be dropped in the run directory; the data itself goes again.
"""

import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, assert_never

from django.conf import settings

from annotation.datasets import exports
from sampling import checkpoints, processes
from sampling.engine import run_dir as files
from sampling.keep_alive import kept_alive
from sampling.lifecycle import StaleState
from sampling.long_tasks import TaskState
from sampling.program_runs import (
    DATABASE_LOST,
    Cancelled,
    ClaimLost,
    DatabaseFull,
    Outcome,
    WorkerStopping,
    is_database_full,
    run_program,
)
from training.launching.asked import Asked
from training.models import LaunchCheck, StageKind
from training.running import round_plan
from training.running.places import Places
from training.running.round_data import write_data
from training.watching import trusted

FORMAT = 3  # raise it when the program looks at something new: what was checked before is then checked again
FOUND = "check.json"  # in the run directory of the program; written where it found problems too
SEED = 17  # a check draws nothing
NOT_LOOKED_AT = ("name", "description", "warning")

log = logging.getLogger(__name__)


def key_of(asked: Asked, resolved: Mapping[str, Any]) -> str:
    """SHA-256 of all that the result depends on: two requests with one key are one check."""
    policy = asked.base_policy
    told = {
        "format": FORMAT,
        "policy": policy.content_hash or policy.location,
        "snapshots": [round.snapshot.content_hash for round in asked.earlier] + [asked.snapshot.content_hash],
        "previous": asked.previous.pk if asked.previous else None,
        "demonstrations": asked.demonstrations.content_hash if asked.demonstrations else None,
        "recipe": {name: value for name, value in resolved.items() if name not in NOT_LOOKED_AT},
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def found(asked: Asked, resolved: Mapping[str, Any]) -> LaunchCheck | None:
    """The check of these inputs, whatever its state; None when nobody asked for it."""
    return LaunchCheck.objects.filter(key=key_of(asked, resolved)).first()


def problems_in(check: LaunchCheck | None) -> dict[str, str]:
    """What a finished check found to stand in the way, by field of the form; nothing while it is not finished."""
    if check is None or check.state != TaskState.FINISHED:
        return {}
    by_field: dict[str, list[str]] = {}
    for problem in (trusted.RESULT(check.result) or {}).get("problems", []):
        by_field.setdefault(problem.get("field", ""), []).append(problem["message"])
    return {field: " ".join(messages) for field, messages in by_field.items()}


def program_dir(check: LaunchCheck) -> Path:
    return check.run_dir / f"1-{StageKind.CHECK}"


def carry_out(check: LaunchCheck, on_progress: Callable[[dict[str, Any]], object] | None) -> LaunchCheck:
    """Carry a claimed check to its end: finished (with problems or without), failed with the reason, or cancelled."""
    try:
        _settle(check, _outcome(check, on_progress))
    except StaleState:
        log.warning("Check %s was taken over by another worker; this one stops.", check.pk)
    except (checkpoints.ModelNotUsable, exports.ExportRefused, files.RunDirError) as error:
        _end(check, TaskState.FAILED, failure=str(error))
    except DATABASE_LOST as error:
        if not is_database_full(error):
            raise  # nothing can be written now: the reaper finds the row
        _end(check, TaskState.FAILED, failure=str(DatabaseFull()))
    except KeyboardInterrupt:
        _end(check, TaskState.CANCELLED)
        raise
    except Exception as error:
        log.exception("Check %s failed outside of its program.", check.pk)
        _end(check, TaskState.FAILED, failure=files.explain(error))
    check.refresh_from_db()
    return check


def _outcome(check: LaunchCheck, on_progress: Callable[[dict[str, Any]], object] | None) -> Outcome:
    if not check.beat(done=0, total=0, phase="writing the data"):
        return ClaimLost() if LaunchCheck.objects.get(pk=check.pk).claim != check.claim else Cancelled()
    checkpoints.check_present(check.base_policy.location)
    directory = program_dir(check)
    shutil.rmtree(directory, ignore_errors=True)  # what an earlier attempt found
    with kept_alive(check):
        data = write_data(round=check)
    files.write_stage(
        directory, round_plan.stage_file(StageKind.CHECK, recipe=check.recipe, seed=SEED, places=_places(check, data))
    )
    return run_program(
        task=check,
        argv=round_plan.program_of(StageKind.CHECK, directory, has_gpu=round_plan.has_gpu()),
        run_dir=directory,
        on_tick=_shown(on_progress),
    )


def _places(check: LaunchCheck, data: Path) -> Places:
    earlier = check.earlier()
    return Places(
        base_policy=check.base_policy.location,
        schedule_base=(earlier[0] if earlier else check).base_policy.location,
        data=data,
        caches=settings.VAR_DIR / "caches",
        run_dirs={StageKind.CHECK: program_dir(check)},
        demonstrations=check.demonstrations.location if check.demonstrations else "",
    )


def _shown(on_progress: Callable[[dict[str, Any]], object] | None) -> Callable[[dict[str, Any]], None] | None:
    if on_progress is None:
        return None

    def show(progress: dict[str, Any]) -> None:
        on_progress(progress)

    return show


def _settle(check: LaunchCheck, outcome: Outcome) -> None:
    match outcome:
        case processes.Finished(result=result):
            _end(check, TaskState.FINISHED, result=result)
        case processes.Failed(reason=reason):
            # Problems are what it was asked for: the program ends badly with them, for a round must stop there.
            if result := _found(check):
                _end(check, TaskState.FINISHED, result=result)
            else:
                _end(check, TaskState.FAILED, failure=reason)
        case Cancelled():
            _end(check, TaskState.CANCELLED)
        case WorkerStopping():
            check.hand_back()
        case ClaimLost():
            log.warning("Check %s was taken over by another worker; this one stops.", check.pk)
        case _:
            assert_never(outcome)


def _found(check: LaunchCheck) -> dict[str, Any] | None:
    try:
        result = json.loads((program_dir(check) / FOUND).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return result if isinstance(result, dict) and result.get("problems") else None


def _end(check: LaunchCheck, state: str, **changes: Any) -> None:
    check.end(state, phase="", **changes)
    shutil.rmtree(check.run_dir / "data", ignore_errors=True)
