"""Everything that changes an import: it is made, looked through, brought in, cancelled, gone on with, taken out."""

import logging
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from sampling.curation.steps import BadStep, check
from sampling.importing import uploads
from sampling.importing.carrying_out import STOOD, execute
from sampling.importing.options import Options
from sampling.importing.undoing import BEFORE_UNDO
from sampling.importing.watching import Progress
from sampling.lifecycle import StaleState
from sampling.long_tasks import TaskState, announce_on_commit
from sampling.models import DataImport, Doing, PromptSet, SourceKind

__all__ = [
    "ImportFailed",
    "announce",
    "cancel",
    "change_options",
    "create_import",
    "execute",
    "go_on_now",
    "import_now",
    "retry",
    "start",
    "undo",
]

ANEW = {
    "attempt": 0, "started_at": None, "done": 0, "total": 0, "phase": "", "undone_at": None, "undone_by": None,
}  # fmt: skip
NOTHING_BROUGHT = {
    f"{name}_added": 0 for name in ("prompts", "completions", "comparisons", "judgments")
} | {"next_row": 0, "known_count": 0, "rejected_count": 0, "filtered_count": 0}  # fmt: skip

log = logging.getLogger(__name__)


class ImportFailed(Exception):
    """An import that was carried out here and now did not come to its end; the message says why."""


def create_import(
    *,
    what: str,
    prompt_set_name: str,
    source_kind: str = SourceKind.FILE,
    location: str = "",
    upload: BinaryIO | None = None,
    name: str = "",
    options: Options | None = None,
    created_by: Any = None,
    request_key: uuid.UUID | None = None,
    doing: str = Doing.LOOK,
    enqueue: bool = True,
) -> DataImport:
    """Make an import of what lies at ``location``, or of an ``upload``, which is kept; a worker is to look through it.

    The same ``request_key`` again gives the import that is there, if it is one of the same: else it is refused, so
    that nobody takes an earlier file for theirs. The prompt set is made where there is none. Raises ValidationError.
    """
    request_key = request_key or uuid.uuid4()
    if there := DataImport.objects.filter(request_key=request_key).first():
        return _the_same(there, what, prompt_set_name, location, created_by, uploads.hash_of(upload) if upload else "")
    options = options or Options()
    _check(what, options)
    if not location and upload is None:
        raise ValidationError({"location": "Say what is to be imported: a file, a directory, or a dataset of a hub."})
    data_import = DataImport(
        what=what,
        doing=doing,
        name=(name or Path(location).name or "upload")[:255],
        source_kind=source_kind,
        location=location,
        is_uploaded=upload is not None,
        options=options.as_json(),
        created_by=created_by,
        request_key=request_key,
    )
    kept = uploads.keep(upload, data_import) if upload is not None else None
    try:
        with transaction.atomic():
            data_import.prompt_set = _prompt_set(prompt_set_name, created_by)
            data_import.full_clean(exclude=["location", "options", "seen"], validate_unique=False)
            data_import.save()
            if kept:
                uploads.move(kept, data_import)
            if enqueue:
                announce_on_commit(data_import, announce=announce)
    except IntegrityError:  # the double click's other half was faster
        there = DataImport.objects.get(request_key=request_key)
        return _the_same(there, what, prompt_set_name, location, created_by, data_import.source_hash)
    finally:
        if kept:
            shutil.rmtree(kept.parent, ignore_errors=True)
    return data_import


def _the_same(
    there: DataImport, what: str, prompt_set_name: str, location: str, by: Any, uploaded_hash: str
) -> DataImport:
    """What an earlier request of this key made; raises ValidationError where that asked for something else."""
    source = there.source_hash if there.is_uploaded else there.location
    made = (there.what, there.prompt_set.name, there.created_by_id, source)
    if made != (what, prompt_set_name, getattr(by, "pk", None), uploaded_hash or location):
        raise ValidationError(
            f'This form was sent before: it made the import "{there.name}". Open a new form for another one.'
        )
    return there


def _prompt_set(name: str, created_by: Any) -> PromptSet:
    prompt_set = PromptSet.objects.filter(name=name).first()
    if prompt_set is None:
        PromptSet(name=name).full_clean(validate_unique=False)
        prompt_set, _ = PromptSet.objects.get_or_create(name=name, defaults={"created_by": created_by})
    return prompt_set


def _check(what: str, options: Options) -> None:
    """What is wrong however the source looks."""
    if what not in settings.IMPORT_STORES:
        raise ValidationError({"what": f'"{what}" cannot be imported. There are: {", ".join(settings.IMPORT_STORES)}.'})
    if not 0 <= options.eval_percent <= 100:
        raise ValidationError({"eval_percent": f"It is {options.eval_percent}; it must be between 0 and 100."})
    try:
        check(options.steps)
    except BadStep as bad:
        raise ValidationError({"steps": str(bad)}) from None


def change_options(*, data_import: DataImport, options: Options, enqueue: bool = True) -> DataImport:
    """Read the source in another way: it is looked through again. Raises ValidationError, or StaleState.

    Only while nothing of it is here: before it is brought in, after it was taken out, or where it brought nothing. The
    same options again, while they are being looked at, change nothing.
    """
    _check(data_import.what, options)
    with transaction.atomic():
        row = _locked(data_import)
        if row.doing == Doing.LOOK and row.state in (TaskState.QUEUED, TaskState.RUNNING):
            if row.options == options.as_json():
                return row
            if row.state == TaskState.QUEUED:
                DataImport.objects.filter(pk=row.pk).update(options=options.as_json())
                row.refresh_from_db()
                return row
            raise ValidationError("It is being looked through just now. Wait for that, or cancel it, and try again.")
        if not row.is_over:
            raise ValidationError("It is being worked on just now. Wait for that, or cancel it, and try again.")
        if has_stored(row):
            raise ValidationError(
                "It has been brought in already, at least in part, and is read to its end as it began. Undo it first."
            )
        row.put_back(doing=Doing.LOOK, options=options.as_json(), seen={}, **ANEW, **NOTHING_BROUGHT)
        if enqueue:
            announce_on_commit(row, announce=announce)
    return row


def start(*, data_import: DataImport, enqueue: bool = True) -> DataImport:
    """Bring it in as it was looked through. The second of two clicks finds it begun, and changes nothing.

    Also goes on with one that was to be taken out and was not, or brings it in again after that.
    Raises ValidationError while it is looked through, where that did not come to its end, or found nothing to bring.
    """
    with transaction.atomic():
        row = _locked(data_import)
        if row.doing == Doing.IMPORT and row.undone_at is None:
            return row
        if not row.is_over:
            raise ValidationError("It is being worked on just now. Wait for that, or cancel it, and try again.")
        if not row.options.get("format"):
            raise ValidationError("No format is known for its rows. Choose one, and look through it again.")
        if row.doing == Doing.LOOK:
            _check_looked(row)
        anew = NOTHING_BROUGHT if row.doing == Doing.LOOK or row.undone_at else {}
        row.put_back(doing=Doing.IMPORT, **ANEW, **anew)
        if enqueue:
            announce_on_commit(row, announce=announce)
    return row


def _check_looked(row: DataImport) -> None:
    """That the options which it has now were looked through, and that something would come of them."""
    if row.state != TaskState.FINISHED:
        raise ValidationError(
            "It was not looked through to the end as it is to be read now. Look again; then import it."
        )
    if row.seen.get("records", {}).get(row.what, 1) == 0:
        raise ValidationError(
            f"The look found no {row.what} in it, so there is nothing to import. Choose another format or other "
            "columns, and look again."
        )


def has_stored(row: DataImport) -> bool:
    """Whether anything that it added is here."""
    kinds = ("prompts", "completions", "comparisons", "judgments")
    return row.undone_at is None and any(getattr(row, f"{kind}_added") for kind in kinds)


def cancel(*, data_import: DataImport) -> DataImport:
    """Ask for an end, within seconds. What is brought in already stays: go on with it, or undo it."""
    data_import.request_cancel()
    return data_import


def retry(*, data_import: DataImport, enqueue: bool = True) -> DataImport:
    """Queue again what failed or was cancelled; it goes on where it stopped. Raises StaleState for anything else."""
    with transaction.atomic():
        row = _locked(data_import)
        if row.state not in (TaskState.FAILED, TaskState.CANCELLED):
            raise StaleState(row, TaskState.QUEUED)
        row.retry()
        if enqueue:
            announce_on_commit(row, announce=announce)
    return row


def undo(*, data_import: DataImport, by: Any = None, enqueue: bool = True) -> DataImport:
    """Queue it to be taken out, whole or not at all. The second of two clicks changes nothing.

    Where that is refused, it stands again as it did, with the reason as its failure.
    Raises ValidationError while it is worked on, or where nothing of it was brought in.
    """
    with transaction.atomic():
        row = _locked(data_import)
        if row.undone_at or (row.doing == Doing.UNDO and not row.is_over):
            return row
        if row.doing == Doing.LOOK:
            raise ValidationError("Nothing of it was brought in, so there is nothing to undo.")
        if not row.is_over:
            raise ValidationError("It is being brought in just now. Cancel that first; then undo it.")
        stood = {BEFORE_UNDO: {name: getattr(row, name) for name in STOOD}} if row.doing == Doing.IMPORT else {}
        seen = row.seen | stood
        row.put_back(doing=Doing.UNDO, seen=seen, **ANEW | {"undone_by": by})
        if enqueue:
            announce_on_commit(row, announce=announce)
    return row


def _locked(data_import: DataImport) -> DataImport:
    return DataImport.objects.select_for_update(no_key=True, of=["self"]).get(pk=data_import.pk)


def announce(data_import: DataImport) -> None:
    """Tell the workers that an import waits for them."""
    from sampling.tasks import run_import  # tasks call actions, so not at the top

    run_import.delay(data_import.pk)


# --- here and now, without a worker -----------------------------------------------------------------------------


def import_now(*, on_progress: Callable[[Progress], object] | None = None, **asked: Any) -> DataImport:
    """Bring something in, in this process: for commands, the demo and tests. ``asked``: as for `create_import`.

    Raises ImportFailed, whose words say why; Ctrl-C ends it as cancelled and is raised again. Then `go_on_now`.
    """
    data_import = create_import(**asked, doing=Doing.IMPORT, enqueue=False)
    if data_import.state == TaskState.FINISHED:  # the same request key again
        return data_import
    return go_on_now(data_import=data_import, on_progress=on_progress)


def go_on_now(*, data_import: DataImport, on_progress: Callable[[Progress], object] | None = None) -> DataImport:
    """Go on with an import, or whatever else is to be done with it, in this process. Raises ImportFailed.

    StaleState is raised where another process is at it, or nothing is left to do.
    """
    data_import.refresh_from_db()
    if data_import.state == TaskState.FINISHED:  # which may be queued again, for the next thing to be done
        raise StaleState(data_import, TaskState.QUEUED)
    data_import.reclaim()
    execute(data_import=data_import, on_progress=on_progress)
    if data_import.state != TaskState.FINISHED or data_import.failure:  # an undo that was refused
        raise ImportFailed(data_import.failure or f"The import was {data_import.get_state_display()}.")
    return data_import
