"""Put a change on record: who, of what, from what to what. Called inside the transaction that makes the change."""

from typing import Any

from django.contrib.auth.models import AbstractBaseUser

from annotation.models import Project, ProjectChange


def record(
    *, project: Project, by: AbstractBaseUser | None, what: str, subject: str, before: Any = None, after: Any = None
) -> None:
    """``before`` and ``after`` are plain JSON; None where there was or is nothing. ``by`` None: a command."""
    if before == after:
        return
    ProjectChange.objects.create(project=project, who=by, what=what, subject=subject[:200], before=before, after=after)
