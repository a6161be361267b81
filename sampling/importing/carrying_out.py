"""What a worker does with an import: claims it, does what is to be done, and ends it."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, assert_never

from sampling.curation.steps import BadStep
from sampling.engine.run_dir import explain
from sampling.importing import hiding
from sampling.importing.bringing_in import bring_in
from sampling.importing.looking import look
from sampling.importing.options import Options
from sampling.importing.preparing import check_unchanged
from sampling.importing.stores import CannotImport, CannotUndo
from sampling.importing.undoing import BEFORE_UNDO, take_out
from sampling.importing.watching import Progress, Stop, Watch, watched
from sampling.intake.sources import SourceUnusable
from sampling.lifecycle import StaleState
from sampling.long_tasks import TaskState
from sampling.models import DataImport, Doing
from sampling.processes import Failed, Finished
from sampling.program_runs import (
    DATABASE_LOST,
    Cancelled,
    ClaimLost,
    DatabaseFull,
    Outcome,
    end_by,
    is_database_full,
    worker_stopping,
)

STOOD = ("state", "failure", "done", "total")

EXPLAINED = (CannotImport, CannotUndo, SourceUnusable, BadStep)  # their words are for people

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Refused:
    """An undo that may not be, and changed nothing."""

    reason: str


def execute(*, data_import: DataImport, on_progress: Callable[[Progress], object] | None = None) -> DataImport:
    """Claim an import, do what it waits for, and end it.

    Raises StaleState when another worker holds it already. A failure is stored in the row, not raised; Ctrl-C ends it
    as cancelled and is raised again. A worker that ends hands it back, queued as it was.
    """
    if worker_stopping.is_set():
        return data_import
    data_import.take()
    try:
        outcome = _outcome(data_import, on_progress or (lambda progress: None))
    except DATABASE_LOST as error:
        if not is_database_full(error):
            raise  # nothing can be written now: the reaper finds the row, and the next worker goes on from it
        outcome = Failed(str(DatabaseFull()))
    except KeyboardInterrupt:
        _end(data_import, Cancelled())
        raise
    _end(data_import, outcome)
    return data_import


def _outcome(data_import: DataImport, on_progress: Callable[[Progress], object]) -> Outcome | Refused:
    try:
        with watched(data_import, on_progress) as watch:
            _do(data_import, watch)
    except Stop as stop:
        return stop.outcome
    except CannotUndo as error:
        return Refused(str(error))
    except EXPLAINED as error:
        return Failed(str(error))
    except DATABASE_LOST:
        raise
    except StaleState:
        return ClaimLost()
    except Exception as error:
        log.exception("Import %s failed", data_import.pk)
        return Failed(explain(error))
    return Finished({})


def _do(data_import: DataImport, watch: Watch) -> None:
    match Doing(data_import.doing):
        case Doing.LOOK:
            source_hash = check_unchanged(data_import, watch)
            options = look(data_import, watch, partial(_keep_seen, data_import))
            _keep(data_import, options=options.as_json(), source_hash=source_hash)
        case Doing.IMPORT:
            bring_in(data_import, watch)
        case Doing.UNDO:
            take_out(data_import, watch)
        case other:
            assert_never(other)


def _keep_seen(data_import: DataImport, seen: dict[str, Any]) -> None:
    _keep(data_import, seen=hiding.seen_without_names(seen, hiding.columns_of_names(data_import.options)))


def _keep(data_import: DataImport, **seen: Any) -> None:
    mine = DataImport.objects.filter(pk=data_import.pk, claim=data_import.claim, state=TaskState.RUNNING)
    if not mine.update(**seen):
        raise Stop(ClaimLost())


def look_now(data_import: DataImport, on_progress: Callable[[Progress], object]) -> tuple[dict[str, Any], Options]:
    """What a look at an unsaved import sees. Nothing is written."""
    seen: dict[str, Any] = {}
    watch = Watch(data_import, on_progress=on_progress)
    options = look(data_import, watch, seen.update)
    return seen, options


def _end(data_import: DataImport, outcome: Outcome | Refused) -> None:
    def finish() -> None:
        if isinstance(outcome, Refused):
            _stand_as_before(data_import, outcome.reason)
        elif data_import.state == TaskState.RUNNING:  # an undo has ended it together with what it deleted
            data_import.end(TaskState.FINISHED, phase="")

    # A refused undo has come to its end too: it stands as before.
    end_by(data_import, Finished({}) if isinstance(outcome, Refused) else outcome, finish=finish)


def _stand_as_before(data_import: DataImport, reason: str) -> None:
    """After an undo that was refused: imported, or as far as it had come, and the reason said."""
    stood = data_import.seen.get(BEFORE_UNDO, {})
    seen = {key: value for key, value in data_import.seen.items() if key != BEFORE_UNDO}
    data_import.end(
        stood.get("state", TaskState.FINISHED),
        failure=" ".join(filter(None, [f"It was not undone. {reason}", stood.get("failure", "")])),
        doing=Doing.IMPORT, undone_by=None, phase="", seen=seen, done=stood.get("done", 0), total=stood.get("total", 0),
    )  # fmt: skip
