"""The short way to a snapshot, for commands, the demo and tests: one project's judgments of these kinds, nothing else
chosen. What it does is in freezing.py."""

import uuid
from collections.abc import Callable, Iterable

from django.contrib.auth.models import AbstractBaseUser

from annotation.datasets.freezing import Choice, freeze
from annotation.models import DatasetSnapshot, Project


def freeze_snapshot(
    *,
    project: Project,
    name: str,
    kinds: Iterable[str],
    created_by: AbstractBaseUser | None = None,
    request_key: uuid.UUID | None = None,
    on_progress: Callable[[], object] | None = None,
) -> DatasetSnapshot:
    """Freeze the current judgments of these kinds. Raises SnapshotRefused as freezing.freeze does."""
    return freeze(
        choice=choice_of(project, kinds, name),
        project=project,
        created_by=created_by,
        request_key=request_key,
        on_progress=on_progress,
    )


def choice_of(project: Project, kinds: Iterable[str], name: str = "snapshot") -> Choice:
    return Choice(name=name, project_ids=(project.pk,), kinds=tuple(kinds))
