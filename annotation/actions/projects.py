"""Make projects and change their settings."""

from itertools import islice

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils.text import slugify

from annotation.actions.members import add_member
from annotation.models import Project, Role, Slot
from annotation.opening import BATCH, make_slots


@transaction.atomic
def create_project(
    *,
    name: str,
    overlap: int,
    created_by: AbstractBaseUser | None,
    guidelines: str = "",
    allow_ties: bool = True,
    ask_strength: bool = True,
    lease_seconds: int = 600,
) -> Project:
    """Make a project; whoever makes it becomes its manager."""
    project = Project.objects.create(
        name=name,
        slug=_free_slug(name),
        overlap=overlap,
        guidelines=guidelines,
        allow_ties=allow_ties,
        ask_strength=ask_strength,
        lease_seconds=lease_seconds,
        created_by=created_by,
    )
    if created_by is not None:
        add_member(project=project, user=created_by, role=Role.MANAGER)
    return project


def _free_slug(name: str) -> str:
    base = slugify(name)[:50] or "project"
    taken = set(Project.objects.filter(slug__startswith=base).values_list("slug", flat=True))
    # "new" would be the address of the form that makes a project.
    candidates = (base if n == 1 else f"{base}-{n}" for n in range(1, len(taken) + 3))
    return next(slug for slug in candidates if slug not in taken and slug != "new")


@transaction.atomic
def save_settings(*, project: Project) -> Project:
    """Keep a project's changed settings and give each comparison as many slots as the overlap now asks for.

    A lower overlap takes away only slots that nobody ever held: no judgment and no lease is lost.
    """
    project.save()
    slots = Slot.objects.filter(project=project)
    slots.filter(number__gt=project.overlap, is_filled=False, assignments__isnull=True).delete()
    comparisons = project.comparisons.values_list("pk", "priority").iterator(chunk_size=BATCH)
    while batch := list(islice(comparisons, BATCH)):
        make_slots(project, batch)
    return project


def set_paused(*, project: Project, is_paused: bool) -> None:
    """While a project is paused nothing new is handed out; what is open may be finished."""
    Project.objects.filter(pk=project.pk).update(is_paused=is_paused)
    project.is_paused = is_paused
