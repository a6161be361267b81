"""Which comparisons a reviewer sees, in which order, and what the list says of each. Reads only.

Comparisons by disagreement come from a window: those of the newest judgments, WINDOW comparisons at most. What
annotators disagree on is compared in Python, and a project may have millions of judgments; the list says so where there
is more, and goes on with what was judged before.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from annotation.models import (
    Assignment,
    AssignmentState,
    Comparison,
    Flag,
    JudgeKind,
    Judgment,
    Project,
    Purpose,
    Slot,
)
from annotation.rules.disagreement import Disagreement, disagreement_of

WINDOW = 3_000  # comparisons whose judgments are compared for one list
WINDOWS = 10  # that are looked through for the next disagreement
PAGE = 25
LAST_PAGE = 400  # an offset costs what it leaves out


KINDS_OF_JUDGES = {
    JudgeKind.PERSON.value: "people",
    JudgeKind.SIMULATED.value: "simulated annotators",
    JudgeKind.MODEL.value: "model judges",
    JudgeKind.IMPORTED.value: "imported annotators",
    "": "judges of any kind",
}


class State(StrEnum):
    OPEN = "open"
    COMPLETE = "complete"
    DISAGREEING = "disagreeing"
    FLAGGED = "flagged"
    SKIPPED = "skipped"
    DECIDED = "decided"
    WITHDRAWN = "withdrawn"


class Order(StrEnum):
    NEWEST = "newest"
    PRIORITY = "priority"
    DISAGREEMENT = "disagreement"


@dataclass(frozen=True)
class Filters:
    """What was asked for; empty: everything. ``kind``: whose judgments are compared, unasked those of people alone."""

    purpose: str = ""
    group: str = ""
    state: str = ""
    text: str = ""
    kind: str = JudgeKind.PERSON
    order: str = Order.NEWEST

    @property
    def is_by_disagreement(self) -> bool:
        return self.order == Order.DISAGREEMENT or self.state == State.DISAGREEING


@dataclass(frozen=True)
class Window:
    """Comparisons of the newest judgments before some judgment, most disagreement first."""

    found: list[tuple[int, Disagreement]]  # comparison id
    older: int | None  # the judgment before which more may be found; None at the end


@dataclass
class Row:
    """What the list says of one comparison."""

    comparison: Comparison
    judgments: int = 0  # given here
    imported: int = 0
    decisions: int = 0
    flags: int = 0
    skips: int = 0
    disagreement: Disagreement = field(default_factory=Disagreement)


def matching(project: Project, filters: Filters) -> QuerySet[Comparison]:
    """The project's comparisons that pass every filter but "disagreeing", which the database does not know."""
    chosen = project.comparisons.all()
    if filters.purpose:
        chosen = chosen.filter(purpose=filters.purpose)
    if filters.group:
        chosen = chosen.filter(group=filters.group)
    if filters.text:
        chosen = chosen.filter(prompt__messages__icontains=filters.text)
    if filters.state:
        chosen = chosen.filter(is_in(State(filters.state)))
    return chosen


def is_in(state: State) -> Q:
    """Of what is disagreeing only what the database knows: that it is work."""
    mine = {"comparison": OuterRef("pk")}
    still_open = Exists(Slot.objects.open().filter(**mine))
    match state:
        case State.OPEN:
            return Q(still_open, purpose=Purpose.WORK, withdrawn_at__isnull=True)
        case State.COMPLETE:
            return Q(~still_open, purpose=Purpose.WORK, withdrawn_at__isnull=True)
        case State.DISAGREEING:
            return Q(purpose=Purpose.WORK, withdrawn_at__isnull=True)
        case State.FLAGGED:
            return Q(Exists(Flag.objects.filter(**mine, resolved_at__isnull=True)))
        case State.SKIPPED:
            return Q(Exists(Assignment.objects.filter(**mine, state=AssignmentState.SKIPPED)))
        case State.DECIDED:
            return Q(_decided())
        case State.WITHDRAWN:
            return Q(withdrawn_at__isnull=False)


def _decided() -> Exists:
    return Exists(Judgment.objects.filter(comparison=OuterRef("pk"), is_decision=True))


def in_order(chosen: QuerySet[Comparison], order: str, page: int) -> tuple[list[int], bool]:
    """The ids on this page (1 ...), newest or most urgent first, and whether there are more."""
    start = (page - 1) * PAGE
    ordered = chosen.order_by("-priority", "-pk") if order == Order.PRIORITY else chosen.order_by("-pk")
    ids = list(ordered.values_list("pk", flat=True)[start : start + PAGE + 1])
    return ids[:PAGE], len(ids) > PAGE


def window(chosen: QuerySet[Comparison], kind: str, before: int | None = None) -> Window:
    """The comparisons that were judged last, before the judgment ``before``, by how far annotators disagree."""
    judged = _by_annotators(kind).filter(comparison__in=chosen.order_by())
    if before is not None:
        newer = _by_annotators(kind).filter(comparison=OuterRef("comparison"), pk__gte=before)
        judged = judged.filter(~Exists(newer), pk__lt=before)
    newest = list(judged.order_by("-pk").values_list("pk", "comparison_id")[:WINDOW])
    compared = disagreements({comparison for _, comparison in newest}, kind)
    return Window(
        found=sorted(compared.items(), key=by_disagreement),
        older=newest[-1][0] if len(newest) == WINDOW else None,
    )


def in_window(chosen: QuerySet[Comparison], filters: Filters, looked_at: Window) -> list[int]:
    """The comparisons of a window, as they were asked for: those that disagree or all, in which order."""
    only = filters.state == State.DISAGREEING
    found = [pk for pk, disagreement in looked_at.found if disagreement.differing or not only]
    match Order(filters.order):
        case Order.DISAGREEMENT:
            return found
        case Order.NEWEST:
            return sorted(found, reverse=True)
        case Order.PRIORITY:
            priorities = dict(chosen.filter(pk__in=found).values_list("pk", "priority"))
            return sorted(found, key=lambda pk: (-priorities.get(pk, 0), -pk))


def by_disagreement(found: tuple[int, Disagreement]) -> tuple[float, int]:
    """Most disagreement first, and of the same the newest."""
    return -found[1].share, -found[0]


def disagreements(comparisons: Iterable[int], kind: str) -> dict[int, Disagreement]:
    """How far the annotators of each of these comparisons disagree; those with fewer than two are in it with none."""
    comparisons = set(comparisons)
    # Not current(): the planner takes a join to what is missing for one row, and then reads the whole table.
    superseded = Exists(Judgment.objects.filter(supersedes=OuterRef("pk")))
    rows = _by_annotators(kind).filter(~superseded, comparison__in=comparisons).order_by("comparison_id")
    found = dict.fromkeys(comparisons, Disagreement())
    for pk, judged in groupby(rows.values_list("comparison_id", "ranking"), key=lambda row: row[0]):
        found[pk] = disagreement_of(ranking for _, ranking in judged)
    return found


def next_disagreement(project: Project, kind: str, after: int | None = None) -> int | None:
    """The undecided comparison on which annotators disagree most; ``after`` one, the next in that order.

    Window by window, the newest judgments first, WINDOWS of them at most.
    """
    undecided = matching(project, Filters(state=State.DISAGREEING)).filter(~_decided() | Q(pk=after))
    is_passed = after is None
    before = None
    for _ in range(WINDOWS):
        looked_at = window(undecided, kind, before)
        for pk, disagreement in looked_at.found:
            if is_passed and disagreement.differing and pk != after:
                return pk
            is_passed = is_passed or pk == after
        if looked_at.older is None:
            break
        before = looked_at.older
    # It was none of those that were looked at: from the beginning.
    return None if is_passed else next_disagreement(project, kind)


def rows(comparisons: Sequence[int], kind: str) -> list[Row]:
    """What the list says of these comparisons, in their order."""
    found = Comparison.objects.select_related("prompt").in_bulk(comparisons)
    of = {pk: Row(found[pk]) for pk in comparisons if pk in found}
    for pk, share in disagreements(of, kind).items():
        of[pk].disagreement = share
    counted: dict[int, Counter] = defaultdict(Counter)
    judged = Judgment.objects.current().filter(comparison__in=of).order_by()
    columns = ("comparison_id", "is_decision", "kind")
    for pk, is_decision, given, count in judged.values_list(*columns).annotate(n=Count("pk")):
        here = "imported" if given == JudgeKind.IMPORTED else "judgments"
        counted[pk]["decisions" if is_decision else here] += count
    skipped = Assignment.objects.filter(comparison__in=of, state=AssignmentState.SKIPPED)
    flagged = Flag.objects.filter(comparison__in=of, resolved_at__isnull=True)
    for name, queryset in {"skips": skipped, "flags": flagged}.items():
        for pk, count in queryset.order_by().values_list("comparison_id").annotate(n=Count("pk")):
            counted[pk][name] = count
    for pk, counts in counted.items():
        for name, count in counts.items():
            setattr(of[pk], name, count)
    return list(of.values())


def _by_annotators(kind: str) -> QuerySet[Judgment]:
    """All revisions: which comparisons were judged last does not depend on what superseded what."""
    judgments = Judgment.objects.by_annotators()
    return judgments.filter(kind=kind) if kind else judgments
