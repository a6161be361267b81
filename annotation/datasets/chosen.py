"""Which judgments a choice means now, in the tables: the queryset, counts of it, and why there is none."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.db.models import Count, Exists, Max, OuterRef, Q, QuerySet, Sum

from annotation.datasets.choice import Choice
from annotation.models import JudgeKind, Judgment, Project, WithdrawnWork
from sampling.models import Split


@dataclass(frozen=True)
class Available:
    """What would be frozen now."""

    judgments: int
    comparisons: int
    annotators: int
    comparisons_train: int
    comparisons_eval: int
    decisions: int
    prompts_train: int
    prompts_eval: int


def to_freeze(choice: Choice) -> QuerySet[Judgment]:
    """The newest revision of each judgment of work that the choice means.

    The kind of a reviewer counts as well: a person's decision is in no snapshot of simulated judgments. So does the day
    on which a decision was given.
    """
    found = Judgment.objects.current().of_work().filter(_of_choice(choice))
    if choice.reviewed_only:
        decided = Judgment.objects.current().of_work().filter(_of_choice(choice), is_decision=True)
        found = found.filter(Exists(decided.filter(comparison=OuterRef("comparison"))))
    return found.order_by("pk")


def available(choice: Choice) -> Available:
    """Counts of it. By comparison first: counting distinct values of a million rows would sort them several times."""
    found = to_freeze(choice).order_by()
    by_comparison = found.values("comparison").annotate(
        judgments=Count("pk"),
        decisions=Count("pk", filter=Q(is_decision=True)),
        # One value for all judgments of a comparison.
        prompt=Max("comparison__prompt"),
        split=Max("comparison__prompt__split"),
    )
    is_train, is_eval = Q(split=Split.TRAIN), Q(split=Split.EVAL)
    counts = by_comparison.aggregate(
        all_judgments=Sum("judgments", default=0),
        comparisons=Count("comparison"),
        comparisons_train=Count("comparison", filter=is_train),
        comparisons_eval=Count("comparison", filter=is_eval),
        all_decisions=Sum("decisions", default=0),
        prompts_train=Count("prompt", distinct=True, filter=is_train),
        prompts_eval=Count("prompt", distinct=True, filter=is_eval),
    )
    return Available(
        judgments=counts.pop("all_judgments"),
        decisions=counts.pop("all_decisions"),
        annotators=found.values("annotator").distinct().count(),
        **counts,
    )


def by_kind(project_ids: Iterable[int]) -> dict[str, int]:
    """Judgments that could be frozen, by the kind of judge."""
    found = Judgment.objects.current().of_work().filter(comparison__project__in=list(project_ids)).order_by()
    return dict(found.values_list("kind").annotate(Count("pk")))


def why_nothing(choice: Choice) -> str:
    """Why a choice means no judgment, and what to choose instead."""
    projects = list(Project.objects.filter(pk__in=choice.project_ids).order_by("name"))
    names = " and ".join(f'"{project}"' for project in projects)
    where = f"Project{'s' if len(projects) > 1 else ''} {names} {'have' if len(projects) > 1 else 'has'}"
    asked = " or ".join(JudgeKind(kind).label for kind in choice.kinds)
    found = by_kind(choice.project_ids)
    if any(found.get(kind) for kind in choice.kinds):
        return f"{where} judgments by a {asked}, but none is left: {_what_leaves_nothing(choice)}"
    if others := [f"{found[kind]} by kind {kind}" for kind in JudgeKind.values if found.get(kind)]:
        it = "They have" if len(projects) > 1 else "It has"
        return f"{where} no judgment by a {asked}. {it} {' and '.join(others)}: ask for that kind."
    if withdrawn := _withdrawn(choice):
        return (
            f"{where} no judgment by a {asked}: those of {withdrawn} {'was' if withdrawn == 1 else 'were'} withdrawn. "
            "Annotate anew, or take a withdrawal back."
        )
    return f"{where} no judgment by a {asked}. Annotate first."


def _of_choice(choice: Choice) -> Q:
    condition = Q(comparison__project__in=choice.project_ids, kind__in=choice.kinds)
    if choice.since:
        condition &= Q(created_at__gte=_midnight(choice.since))
    if choice.until:
        condition &= Q(created_at__lt=_midnight(choice.until + timedelta(days=1)))
    return condition


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


def _what_leaves_nothing(choice: Choice) -> str:
    given = (
        Judgment.objects.current().of_work().filter(comparison__project__in=choice.project_ids, kind__in=choice.kinds)
    )
    if choice.since or choice.until:
        newest, oldest = given.order_by("-created_at")[0], given.order_by("created_at")[0]
        if not given.filter(_of_choice(choice)).exists():
            return (
                f"they are from {oldest.created_at:%Y-%m-%d} to {newest.created_at:%Y-%m-%d}, outside of the days that "
                "were chosen. Choose others."
            )
    return "no comparison of them has been decided by a reviewer. Let others in, or have some reviewed first."


def _withdrawn(choice: Choice) -> int:
    """How many annotators' judgments would be there, had they not been withdrawn."""
    return (
        WithdrawnWork.objects.filter(
            annotator__judgments__comparison__project__in=choice.project_ids,
            annotator__judgments__kind__in=choice.kinds,
        )
        .distinct()
        .count()
    )
