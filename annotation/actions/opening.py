"""Give a project work, and put on record who did."""

from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from annotation.actions.history import record
from annotation.models import Project
from annotation.queue import opening
from annotation.queue.opening import OpenedComparisons


@transaction.atomic
def open_comparisons(*, project: Project, by: AbstractBaseUser | None = None, **chosen: Any) -> OpenedComparisons:
    """Open the comparisons that were ``chosen``: see annotation.queue.opening.open_comparisons."""
    result = opening.open_comparisons(project=project, **chosen)
    if result.opened:
        more = {name: chosen[name] for name in ("k", "priority", "group") if chosen.get(name)}
        record(project=project, by=by, what="opening", subject=f"{result.opened} comparisons", after=more)
    return result
