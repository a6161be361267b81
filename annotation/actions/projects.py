"""Make projects and change their settings. Each change is put on record."""

from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import QuerySet
from django.forms.models import model_to_dict
from django.utils.text import slugify

from annotation.actions.history import record
from annotation.actions.members import add_member
from annotation.models import Comparison, GuidelinesVersion, Project, ProjectChange, Role, Slot
from annotation.queue import overlap

# Columns that no settings form changes, or that are on record under another name.
NOT_SETTINGS = ("id", "slug", "guidelines_version", "created_by", "is_paused")
# How the record says that a new overlap is carried out step by step.
FITTING, UNDER_WAY, DONE = "number of judgments of each comparison", "being fitted", "fitted"


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
    locked = Project.objects.select_for_update(no_key=True, of=["self"])
    current = locked.select_related("guidelines_version").get(pk=project.pk)
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

    A lower overlap loses no judgment and no lease: what is being worked on may still be answered, so that for a while
    a comparison can come to have more judgments than it wants, but nothing more is handed out of it. Where there are
    very many comparisons that is only begun here, and carried out by ``fit_some``.
    """
    # No key: leases and judgments go on meanwhile.
    earlier = Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    before, after = (model_to_dict(each, exclude=NOT_SETTINGS) for each in (earlier, project))
    project.save(update_fields=list(after))  # not what somebody else may have changed since it was read: a pause
    for name in before:
        record(project=project, by=by, what="settings", subject=name, before=before[name], after=after[name])
    if (earlier.overlap, earlier.overlap_percent) != (project.overlap, project.overlap_percent):
        if project.comparisons.order_by()[: overlap.MANY + 1].count() > overlap.MANY:
            record(project=project, by=by, what="overlap", subject=FITTING, after=UNDER_WAY)
        else:
            overlap.fit_all(project)
            if is_fitting(project):  # an earlier one, that nobody carried out
                record(project=project, by=by, what="overlap", subject=FITTING, before=UNDER_WAY, after=DONE)
    return project


def is_fitting(project: Project) -> bool:
    """Whether a new overlap does not hold for every comparison yet. The record says so: there is no other flag."""
    newest = ProjectChange.objects.filter(project=project, what="overlap", subject=FITTING).first()
    return newest is not None and newest.after == UNDER_WAY


@transaction.atomic
def fit_some(*, project: Project, after: int, by: AbstractBaseUser | None = None) -> int | None:
    """Fit a stretch of a large project's comparisons to its overlap; where the next one begins, None when done.

    Each stretch is a short transaction, so nobody waits for a lock; doing one twice does no harm.
    """
    last = overlap.fit_step(project, after=after)
    if last is None and is_fitting(project):
        record(project=project, by=by, what="overlap", subject=FITTING, before=UNDER_WAY, after=DONE)
    return last


@transaction.atomic
def set_priority(*, comparisons: QuerySet[Comparison], priority: int, by: AbstractBaseUser | None = None) -> int:
    """Let these comparisons come sooner (higher) or later. How many were changed, over all their projects."""
    if not -1000 <= priority <= 1000:
        raise ValueError(f"A priority of {priority} is out of range. Use -1000 to 1000; 0 is the usual one.")
    changed = 0
    for project in Project.objects.filter(pk__in=comparisons.order_by().values("project")).order_by("pk"):
        overlap.one_change_at_a_time(project.pk)
        chosen = Comparison.objects.filter(pk__in=comparisons.order_by().values("pk"), project=project)
        others = chosen.exclude(priority=priority)
        before = sorted(set(others.values_list("priority", flat=True)))
        named = list(others.order_by("pk").values_list("pk", flat=True)[:2])
        count = _give_priority(others, priority)
        if count:
            record(
                project=project, by=by, what="priority",
                subject=f"comparison {named[0]}" if count == 1 else f"{count} comparisons",
                before=before[0] if len(before) == 1 else before, after=priority,
            )  # fmt: skip
        changed += count
    return changed


def _give_priority(comparisons: QuerySet[Comparison], priority: int) -> int:
    """Slots by id, then comparisons by id: the order of locks that holds everywhere."""
    slots = Slot.objects.filter(comparison__in=comparisons.order_by().values("pk"), is_filled=False)
    list(slots.select_for_update().order_by("pk").values_list("pk"))
    list(comparisons.select_for_update(no_key=True).order_by("pk").values_list("pk"))
    slots.update(priority=priority)
    return comparisons.update(priority=priority)


@transaction.atomic
def set_paused(*, project: Project, is_paused: bool, by: AbstractBaseUser | None = None) -> None:
    """While a project is paused nothing new is handed out; what is open may be finished. Twice is once."""
    if Project.objects.filter(pk=project.pk, is_paused=not is_paused).update(is_paused=is_paused):
        record(project=project, by=by, what="pause", subject="paused", before=not is_paused, after=is_paused)
    project.is_paused = is_paused
