"""Which versions and rounds learned from work that has been withdrawn since, looked up for a whole list at once."""

from django.db.models import Exists, OuterRef, QuerySet

from annotation.models import Judgment, WithdrawnWork
from training.lineage import judgments
from training.models import TrainingRound


def versions() -> frozenset[int]:
    """The ids of those that learned from a withdrawn judgment, or came of one that did."""
    if not WithdrawnWork.objects.exists():
        return frozenset()
    withdrawn = Judgment.objects.filter(annotator__withdrawn_work__isnull=False)
    return frozenset(learned.version.pk for learned in judgments.learned_from(withdrawn))


def marked(rounds: QuerySet[TrainingRound]) -> QuerySet[TrainingRound]:
    """Adds ``has_withdrawn``: somebody whose judgments are in its snapshot has withdrawn their work since."""
    withdrawn = WithdrawnWork.objects.filter(annotator__judgments__snapshots=OuterRef("snapshot"))
    return rounds.annotate(has_withdrawn=Exists(withdrawn))
