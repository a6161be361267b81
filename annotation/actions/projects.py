"""Make projects and change their settings. Each change is put on record."""

from itertools import islice
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import F
from django.forms.models import model_to_dict
from django.utils.text import slugify

from annotation.actions.history import record
from annotation.actions.members import add_member
from annotation.models import GuidelinesVersion, Project, Role, Slot
from annotation.opening import BATCH, judgments_wanted, make_slots

# Columns that no settings form changes, or that are on record under another name.
NOT_SETTINGS = ("id", "slug", "guidelines_version", "created_by", "is_paused")


@transaction.atomic
def create_project(*, name: str, created_by: AbstractBaseUser | None, guidelines: str = "", **settings: Any) -> Project:
    """Make a project with these settings (columns of Project); whoever makes it becomes its manager."""
    project = Project.objects.create(name=name, slug=_free_slug(name), created_by=created_by, **settings)
    record(project=project, by=created_by, what="project", subject=name, after="made")
    if guidelines.strip():
        publish_guidelines(project=project, text=guidelines, by=created_by)
    if created_by is not None:
        add_member(project=project, user=created_by, role=Role.MANAGER, by=created_by)
    return project


def _free_slug(name: str) -> str:
    base = slugify(name)[:50] or "project"
    taken = set(Project.objects.filter(slug__startswith=base).values_list("slug", flat=True))
    # "new" would be the address of the form that makes a project.
    candidates = (base if n == 1 else f"{base}-{n}" for n in range(1, len(taken) + 3))
    return next(slug for slug in candidates if slug not in taken and slug != "new")


@transaction.atomic
def publish_guidelines(*, project: Project, text: str, by: AbstractBaseUser | None) -> GuidelinesVersion | None:
    """Put a new version into force; the one in force stays when nothing was changed."""
    text = text.replace("\r\n", "\n")
    current = Project.objects.select_for_update(of=["self"]).select_related("guidelines_version").get(pk=project.pk)
    if text == current.guidelines:
        return current.guidelines_version
    latest = project.guidelines_versions.first()
    number = latest.number + 1 if latest else 1
    version = GuidelinesVersion.objects.create(project=project, number=number, text=text, created_by=by)
    Project.objects.filter(pk=project.pk).update(guidelines_version=version)
    record(
        project=project, by=by, what="guidelines", subject="guidelines",
        before=current.guidelines_version and current.guidelines_version.number, after=number,
    )  # fmt: skip
    project.guidelines_version = version
    return version


@transaction.atomic
def save_settings(*, project: Project, by: AbstractBaseUser | None = None) -> Project:
    """Keep a project's changed settings and give each comparison as many slots as the overlap now asks for.

    A lower overlap takes away only slots that nobody ever held: no judgment and no lease is lost.
    """
    earlier = Project.objects.select_for_update().get(pk=project.pk)
    project.save()
    before, after = (model_to_dict(each, exclude=NOT_SETTINGS) for each in (earlier, project))
    for name in before:
        record(project=project, by=by, what="settings", subject=name, before=before[name], after=after[name])
    if (earlier.overlap, earlier.overlap_percent) != (project.overlap, project.overlap_percent):
        _fit_slots(project)
    return project


def _fit_slots(project: Project) -> None:
    comparisons = project.comparisons.work().order_by("pk").iterator(chunk_size=BATCH)
    while batch := list(islice(comparisons, BATCH)):
        for comparison in batch:
            comparison.wanted = judgments_wanted(project, comparison.content_key)
        project.comparisons.bulk_update(batch, ["wanted"])
        make_slots(batch)
    unheld = Slot.objects.filter(project=project, is_filled=False, assignments__isnull=True)
    unheld.filter(number__gt=F("comparison__wanted")).delete()


@transaction.atomic
def set_paused(*, project: Project, is_paused: bool, by: AbstractBaseUser | None = None) -> None:
    """While a project is paused nothing new is handed out; what is open may be finished."""
    record(project=project, by=by, what="pause", subject="paused", before=project.is_paused, after=is_paused)
    Project.objects.filter(pk=project.pk).update(is_paused=is_paused)
    project.is_paused = is_paused
