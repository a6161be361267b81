"""What is kept of imports for some days only: uploaded files, and looks at what was never brought in.

An uploaded file stays while its import may be gone on with, or brought in again another way; then it goes, for it may
name people, and what came of it is in the database.
"""

import logging
import re
import shutil
import time
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import ProtectedError, Q
from django.utils import timezone

from sampling.importing.actions import has_stored
from sampling.long_tasks import TaskState
from sampling.models import DataImport, Doing, PromptSet

KEPT = timedelta(days=30)  # after an import's end
KEPT_UNDONE = timedelta(days=1)  # long enough to read it in another way
KEPT_ARRIVING = timedelta(days=1)  # of an upload that broke off when its process ended
MADE_TOGETHER = timedelta(minutes=1)  # a prompt set and the import that made it: one transaction
NAMED = re.compile(r"(?P<pk>\d+)-[0-9a-f]{8}")

log = logging.getLogger(__name__)


def forget_old() -> None:
    _forget_files()
    looks = DataImport.objects.filter(doing=Doing.LOOK, finished_at__lt=timezone.now() - KEPT)
    for pk in list(looks.exclude(state__in=[TaskState.QUEUED, TaskState.RUNNING]).values_list("pk", flat=True)):
        forget(pk)


def _forget_files() -> None:
    """A folder without a row may be another database's over the same data folder, and stays."""
    folder = settings.VAR_DIR / "imports"
    for path in list(folder.iterdir()) if folder.is_dir() else []:
        if path.name.startswith("arriving-"):
            if path.stat().st_mtime < time.time() - KEPT_ARRIVING.total_seconds():
                shutil.rmtree(path, ignore_errors=True)
        elif found := NAMED.fullmatch(path.name):
            _forget_file(int(found["pk"]), path.name)


@transaction.atomic
def _forget_file(pk: int, folder_name: str) -> None:
    """Locked, so that nobody goes on with it at this moment."""
    over = ~Q(state__in=[TaskState.QUEUED, TaskState.RUNNING])
    now = timezone.now()
    old = Q(finished_at__lt=now - KEPT) | Q(undone_at__lt=now - KEPT_UNDONE)
    row = DataImport.objects.select_for_update(no_key=True, of=["self"]).filter(over & old, pk=pk).first()
    if row and row.folder_name == folder_name:
        shutil.rmtree(row.folder, ignore_errors=True)
        log.info("The uploaded file of import %s is deleted.", pk)


def forget(pk: int) -> bool:
    """Delete an import of which nothing is here, its file, and the prompt set that it made, if nobody used that.

    Whether it is gone.
    """
    try:
        with transaction.atomic():
            rows = DataImport.objects.select_for_update(of=["self"]).select_related("prompt_set")
            row = rows.filter(pk=pk).first()
            if row is None or not row.is_over or has_stored(row) or row.undone_at:
                return False
            folder = row.folder
            row.delete()
            _forget_set(row.prompt_set, row)
            transaction.on_commit(lambda: shutil.rmtree(folder, ignore_errors=True), robust=True)
    except ProtectedError:  # something names it
        return False
    return True


def _forget_set(prompt_set: PromptSet, row: DataImport) -> None:
    is_made_by_it = timedelta(0) <= row.created_at - prompt_set.created_at < MADE_TOGETHER
    if not is_made_by_it or prompt_set.prompts.exists():
        return
    try:
        with transaction.atomic():
            prompt_set.delete()
    except ProtectedError:  # another import, a run or filters are of it
        log.info('The prompt set "%s" is used, and stays.', prompt_set)
