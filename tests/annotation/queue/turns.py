"""What annotators do in the tests of the queue."""

import uuid

from annotation import actions
from annotation.models import Comparison


def claim(project, annotator, **more):
    return actions.claim_next(project=project, annotator=annotator, **more)


def answer(assignment, *, right=True):
    """Submit the known answer, or its reverse."""
    groups = assignment.comparison.known_ranking or [[pk] for pk in assignment.display_order]
    return actions.submit_judgment(
        assignment=assignment, annotator=assignment.annotator, request_key=uuid.uuid4(),
        answer=actions.Answer([tuple(group) for group in (groups if right else groups[::-1])]),
    )  # fmt: skip


def make_known(purpose, comparisons):
    """Give these comparisons a known answer: they leave the queue."""
    for comparison in comparisons:
        ids = comparison.completions.order_by("pk").values_list("pk", flat=True)
        Comparison.objects.filter(pk=comparison.pk).update(purpose=purpose, known_ranking=[[pk] for pk in ids])
        comparison.slots.all().delete()
