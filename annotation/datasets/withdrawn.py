"""What frozen snapshots hold of annotators whose work is withdrawn since: it stays in them, and they are marked.

An export's files never change. What was withdrawn since stands in a file beside them, WITHDRAWN.md, which is written
anew each time that somebody asks for it.
"""

from dataclasses import dataclass

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.template.loader import render_to_string

from annotation.models import DatasetSnapshot, Judgment, WithdrawnWork

MARK = "WITHDRAWN.md"


@dataclass(frozen=True)
class Withdrawn:
    """How much of a snapshot. Who they are is no business of the pages that show it."""

    annotators: int = 0
    judgments: int = 0

    def __bool__(self) -> bool:
        return bool(self.annotators)


def withdrawn_in(snapshot: DatasetSnapshot) -> Withdrawn:
    ids = list(WithdrawnWork.objects.values_list("annotator_id", flat=True))
    if not ids:
        return Withdrawn()
    found = _held_by(snapshot, ids)
    return Withdrawn(**found.aggregate(annotators=Count("annotator", distinct=True), judgments=Count("pk")))


def _held_by(snapshot: DatasetSnapshot, annotator_ids: list[int]) -> QuerySet[Judgment]:
    """Begins from the annotators, who are few, and looks each judgment of theirs up in the snapshot.

    With LIMIT, because a plain join or EXISTS lets the database read the snapshot's whole list instead.
    """
    held = DatasetSnapshot.judgments.through.objects.filter(datasetsnapshot=snapshot.pk, judgment=OuterRef("pk"))
    theirs = Judgment.objects.filter(annotator__in=annotator_ids).order_by()
    return theirs.annotate(held=Subquery(held.values("pk")[:1])).filter(held__isnull=False)


def mark_of(snapshot: DatasetSnapshot) -> bytes:
    """WITHDRAWN.md as it is now; empty where nothing is withdrawn."""
    withdrawn = withdrawn_in(snapshot)
    if not withdrawn:
        return b""
    return render_to_string("annotation/withdrawn.md", {"snapshot": snapshot, "withdrawn": withdrawn}).encode()


def snapshots_with(annotator: AbstractBaseUser) -> QuerySet[DatasetSnapshot]:
    """Those that hold a judgment of theirs, the newest first, with the number: ``theirs``."""
    held = DatasetSnapshot.judgments.through.objects.filter(judgment__annotator=annotator.pk)
    found = DatasetSnapshot.objects.filter(pk__in=held.values("datasetsnapshot")).defer("settings")
    theirs = Judgment.objects.filter(annotator=annotator.pk)
    counted = found.select_related("project").filter(judgments__in=theirs).annotate(theirs=Count("judgments"))
    return counted.order_by("-created_at")  # said again: with GROUP BY the model's own order does not hold
