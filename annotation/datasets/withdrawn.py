"""What frozen snapshots hold of annotators whose work is withdrawn since: it stays in them, and they are marked."""

from dataclasses import dataclass

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Count, QuerySet

from annotation.models import DatasetSnapshot, Judgment, WithdrawnWork


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
    found = snapshot.judgments.filter(annotator__in=ids).order_by()
    return Withdrawn(**found.aggregate(annotators=Count("annotator", distinct=True), judgments=Count("pk")))


def snapshots_with(annotator: AbstractBaseUser) -> QuerySet[DatasetSnapshot]:
    """Those that hold a judgment of theirs, the newest first, with the number: ``theirs``."""
    held = DatasetSnapshot.judgments.through.objects.filter(judgment__annotator=annotator.pk)
    found = DatasetSnapshot.objects.filter(pk__in=held.values("datasetsnapshot")).defer("settings")
    theirs = Judgment.objects.filter(annotator=annotator.pk)
    return found.select_related("project").filter(judgments__in=theirs).annotate(theirs=Count("judgments"))
