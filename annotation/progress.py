"""How far a project is. Reads only."""

from dataclasses import dataclass

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Count, F, IntegerField, Max, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from annotation.models import Assignment, AssignmentState, Judgment, Membership, Project, Slot

# Counting stops here on the page that people work on: its cost must not grow with the project.
COUNT_TO = 10_000


@dataclass(frozen=True)
class OwnProgress:
    """What an annotator sees beside the task. ``total`` and ``open`` stop at COUNT_TO."""

    done: int
    total: int
    open: int

    @property
    def is_capped(self) -> bool:
        return self.total == COUNT_TO


def own_progress(*, project: Project, annotator: AbstractBaseUser) -> OwnProgress:
    done = Assignment.objects.filter(annotator=annotator, state=AssignmentState.SUBMITTED, comparison__project=project)
    return OwnProgress(
        done=done.count(),
        total=project.comparisons.order_by()[:COUNT_TO].count(),
        open=Slot.objects.filter(project=project, is_filled=False)[:COUNT_TO].count(),
    )


@dataclass(frozen=True)
class ProjectProgress:
    comparisons: int
    wanted: int  # judgments that the project waits for in all
    filled: int
    held: int  # being worked on now
    skipped: int

    @property
    def open(self) -> int:
        return self.wanted - self.filled


def project_progress(project: Project) -> ProjectProgress:
    slots = Slot.objects.filter(project=project).aggregate(
        wanted=Count("pk"),
        filled=Count("pk", filter=Q(is_filled=True)),
        held=Count("pk", filter=Q(is_filled=False, free_from__gt=timezone.now())),
    )
    return ProjectProgress(
        comparisons=project.comparisons.count(),
        skipped=Assignment.objects.filter(comparison__project=project, state=AssignmentState.SKIPPED).count(),
        **slots,
    )


def with_progress(projects: QuerySet[Project], annotator: AbstractBaseUser) -> QuerySet[Project]:
    """Each project with ``wanted``, ``filled``, ``done_by_you`` and ``your_role``, for a list of cards."""
    slots = Slot.objects.filter(project=OuterRef("pk"))
    mine = Assignment.objects.filter(
        comparison__project=OuterRef("pk"), annotator=annotator, state=AssignmentState.SUBMITTED
    )
    return projects.annotate(
        wanted=_count(slots, "project"),
        filled=_count(slots.filter(is_filled=True), "project"),
        done_by_you=_count(mine, "comparison__project"),
        your_role=Subquery(Membership.objects.filter(project=OuterRef("pk"), user=annotator).values("role")[:1]),
    )


def _count(rows: QuerySet, group: str) -> Coalesce:
    counted = rows.order_by().values(group).annotate(n=Count("pk")).values("n")
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)


def by_annotator(project: Project) -> QuerySet:
    """One row per annotator and kind: how many judgments, how many corrections, the newest one."""
    return (
        Judgment.objects.filter(comparison__project=project)
        .order_by()
        .values("annotator__username", "kind")
        .annotate(
            judgments=Count("pk", filter=Q(superseded_by__isnull=True)),
            corrections=Count("pk", filter=Q(supersedes__isnull=False)),
            newest=Max("created_at"),
            name=F("annotator__username"),
        )
        .order_by("kind", "-judgments", "name")
    )
