"""How far a project is, how fast it goes, and who works on it: reads for the managers' page and the start page.

What is counted over all of a large project's rows takes a second or two, so the figures of such a project are kept
for a while, for all who look: in each web process, which is enough, since no decision is made by them.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.core.cache import cache
from django.db.models import Count, Max, Q, QuerySet
from django.db.models.functions import Trunc
from django.utils import timezone

from annotation.models import (
    Assignment,
    AssignmentState,
    Flag,
    JudgeKind,
    Judgment,
    Membership,
    Project,
    Purpose,
)
from annotation.projects.pace import Pace, pace_of
from sampling.charts import BarChart, bar_chart

MANY = 50_000  # comparisons: fewer are counted anew each time
KEPT = 60  # seconds
KEPT_LONG = 600  # what nobody watches by the minute
MANY_OF_ONES_OWN = 10_000  # judgments of one person
DAYS, HOURS = 14, 48  # what a plot shows: days, or hours where all was given within them
PACE_DAYS = 7


@dataclass(frozen=True)
class Counts:
    """``wanted`` judgments in all, ``filled`` and ``open`` ones, at ``at``; work only.

    ``imported`` judgments were given elsewhere: nobody waited for them, and they are no part of the others.
    """

    comparisons: int
    filled: int
    open: int
    at: datetime
    imported: int = 0

    @property
    def wanted(self) -> int:
        return self.filled + self.open

    @property
    def percent(self) -> int:
        return 100 * self.filled // self.wanted if self.wanted else 0


@dataclass(frozen=True)
class Card:
    """A project on the start page."""

    project: Project
    counts: Counts
    done_by_you: int
    your_role: str

    @property
    def has_work(self) -> bool:
        """Whether anybody at all may still be handed something: only then is annotating what comes next."""
        return bool(self.counts.open) and not self.project.is_paused


@dataclass(frozen=True)
class Plot:
    chart: BarChart
    words: str


def counts_of(project: Project) -> Counts:
    return _kept(project, "counts", lambda: _count(project))


def _count(project: Project) -> Counts:
    work = project.comparisons.work()
    # What was judged before it became gold, or was withdrawn, is done for nothing. Such comparisons are few.
    out = project.comparisons.exclude(purpose=Purpose.WORK, withdrawn_at__isnull=True).order_by()
    filled = project.slots.filter(is_filled=True)
    return Counts(
        comparisons=work.count(),
        filled=filled.count() - filled.filter(comparison__in=out.values("pk")).count(),
        open=project.slots.open().count(),
        at=timezone.now(),
        imported=_kept(project, "imported", lambda: _imported(project), KEPT_LONG),
    )


def _imported(project: Project) -> int:
    """Current judgments of work that imports brought."""
    # The index of imports' judgments, by import: few, and none where nothing was ever imported.
    brought = Judgment.objects.filter(data_import__isnull=False, comparison__in=project.comparisons.work().order_by())
    return brought.current().count()


def is_large(project: Project) -> bool:
    return project.comparisons.order_by()[: MANY + 1].count() > MANY


def _kept(project: Project, name: str, read: Callable[[], Any], seconds: int = KEPT) -> Any:
    if not is_large(project):
        return read()
    return cache.get_or_set(f"overview:{name}:{project.pk}", read, seconds)


def cards(projects: Iterable[Project], user: AbstractBaseUser) -> list[Card]:
    """The projects of the start page, with how far each is and what this user has done in it."""
    projects = list(projects)
    done = _done_by(user)
    roles = dict(Membership.objects.filter(user=user, project__in=projects).values_list("project", "role"))
    return [
        Card(project, counts_of(project), done.get(project.pk, 0), roles.get(project.pk, "")) for project in projects
    ]


def _done_by(user: AbstractBaseUser) -> dict[int, int]:
    """How many comparisons this user has judged, by project."""
    key = f"overview:done:{user.pk}"
    if (kept := cache.get(key)) is not None:
        return kept
    mine = Assignment.objects.filter(annotator=user, state=AssignmentState.SUBMITTED)
    done = dict(mine.order_by().values_list("comparison__project").annotate(Count("pk")))
    if sum(done.values()) > MANY_OF_ONES_OWN:
        cache.set(key, done, KEPT)
    return done


def working_now(project: Project) -> QuerySet:
    """Who holds an assignment whose lease has not run out."""
    # One partial index holds every held assignment of work, and nothing else: few, however large the project.
    return (
        Assignment.objects.filter(state=AssignmentState.HELD, slot__project=project, leased_until__gt=timezone.now())
        .order_by()
        .values("annotator__username")
        .annotate(held=Count("pk"))
        .order_by("annotator__username")
    )


def by_annotator(project: Project) -> list[dict[str, Any]]:
    """One row per annotator and kind: how many judgments, how many corrections, the newest one. Of who judged here."""
    return _kept(project, "annotators", lambda: list(_by_annotator(project)), KEPT_LONG)


def _by_annotator(project: Project) -> QuerySet:
    return (
        Judgment.objects.filter(comparison__project=project, comparison__purpose=Purpose.WORK)
        .exclude(kind=JudgeKind.IMPORTED)
        .order_by()
        .values("annotator", "annotator__username", "kind")
        .annotate(
            judgments=Count("pk", filter=Q(revision=1)),
            corrections=Count("pk", filter=Q(revision__gt=1)),
            newest=Max("created_at"),
        )
        .order_by("kind", "-judgments", "annotator__username")
    )


def skipped(project: Project) -> int:
    found = Assignment.objects.filter(comparison__project=project, state=AssignmentState.SKIPPED)
    return _kept(project, "skipped", found.count, KEPT_LONG)


def known_answers(project: Project) -> dict[str, int]:
    """How many comparisons have a known answer, by purpose."""
    known = project.comparisons.exclude(purpose=Purpose.WORK).filter(withdrawn_at__isnull=True)
    return dict(known.order_by().values_list("purpose").annotate(Count("pk")))


def open_flags(project: Project) -> int:
    return Flag.objects.filter(comparison__project=project, resolved_at__isnull=True).count()


def given_by_hour(project: Project) -> list[tuple[datetime, int]]:
    """Judgments of work in each hour (UTC) of the plot's days; corrections and imported ones are left out."""
    today = timezone.now().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    first_day = today - timedelta(days=DAYS - 1)

    def of_earlier_days() -> list[tuple[datetime, int]]:
        return _given_by_hour(project, first_day, today)

    # A day that is over does not change: who corrects an answer later adds no judgment.
    earlier = _kept(project, f"hours:{today:%Y%m%d}", of_earlier_days, 86_400)
    return earlier + _kept(project, "today", lambda: _given_by_hour(project, today, today + timedelta(days=2)))


def _given_by_hour(project: Project, since: datetime, until: datetime) -> list[tuple[datetime, int]]:
    given = Judgment.objects.filter(
        created_at__gte=since, created_at__lt=until, revision=1, is_decision=False,
        comparison__project=project, comparison__purpose=Purpose.WORK, data_import__isnull=True,
    ).order_by()  # fmt: skip
    by_hour = given.annotate(hour=Trunc("created_at", "hour", tzinfo=UTC)).values_list("hour").annotate(Count("pk"))
    return list(by_hour.order_by("hour"))


def plot(given: list[tuple[datetime, int]], now: datetime) -> Plot | None:
    """Bars by hour where everything was given within two days, else by day; None without a judgment."""
    if not given:
        return None
    this_hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    start = given[0][0]
    if this_hour - start < timedelta(hours=HOURS):
        count = max(12, int((this_hour - start) / timedelta(hours=1)) + 1)
        hours = [this_hour - timedelta(hours=back) for back in reversed(range(count))]
        by_hour = dict(given)
        bars = [(f"{hour:%H}:00", by_hour.get(hour, 0)) for hour in hours]
        title, words = "Judgments by hour", f"the last {count} hours, UTC"
    else:
        today = this_hour.date()
        days = [today - timedelta(days=back) for back in reversed(range(DAYS))]
        by_day = dict.fromkeys(days, 0)
        for hour, number in given:
            by_day[hour.date()] = by_day.get(hour.date(), 0) + number
        bars = [(f"{day.day} {day:%b}", by_day[day]) for day in days]
        title, words = "Judgments by day", f"the last {DAYS} days, UTC"
    return Plot(bar_chart(title, bars), words)


def pace(given: list[tuple[datetime, int]], open_judgments: int, now: datetime) -> Pace | None:
    return pace_of(given, open_judgments, now, days=PACE_DAYS)
