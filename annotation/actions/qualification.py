"""Whether a member may do real work: decided by their own answers to the project's qualification set."""

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from annotation.actions.members import set_qualification
from annotation.models import (
    Assignment,
    AssignmentPurpose,
    AssignmentState,
    Judgment,
    Membership,
    Project,
    Purpose,
    Qualification,
    Role,
)
from annotation.rules.known import known_ranking, pairs_right


@transaction.atomic
def settle_qualification(*, project: Project, annotator: AbstractBaseUser) -> bool:
    """Pass or fail a member who has answered the whole qualification set; whether they may do real work.

    What was skipped counts as wrong. Nothing is decided while an item is open or not yet handed out.
    """
    # A manager may be deciding just now: their word, or ours if it came first, stays.
    membership = Membership.objects.select_for_update().filter(project=project, user=annotator.pk).first()
    if membership is None:
        return False
    if membership.qualification == Qualification.PENDING:
        score = _score(project, annotator)
        if score is None:
            return False
        right, total = score
        has_passed = right * 100 >= project.qualification_percent * total
        state = Qualification.PASSED if has_passed else Qualification.FAILED
        set_qualification(membership=membership, state=state, by=None)
    return membership.qualification in (Qualification.PASSED, Qualification.WAIVED)


def unqualified_at_work(project: Project) -> QuerySet[Membership]:
    """Annotators who have done work here without qualifying: they began before there was a qualification set."""
    done = Assignment.objects.filter(
        annotator=OuterRef("user"),
        comparison__project=project,
        purpose=AssignmentPurpose.WORK,
        state=AssignmentState.SUBMITTED,
    )
    waiting = project.memberships.filter(role=Role.ANNOTATOR, qualification=Qualification.PENDING)
    return waiting.filter(Exists(done)).select_related("user", "project").order_by("pk")


@transaction.atomic
def waive_for_who_works(*, project: Project, by: AbstractBaseUser) -> int:
    """Let those go on who worked before there was a qualification set; how many."""
    members = list(unqualified_at_work(project))
    for membership in members:
        set_qualification(membership=membership, state=Qualification.WAIVED, by=by)
    return len(members)


def _score(project: Project, annotator: AbstractBaseUser) -> tuple[int, int] | None:
    """Right pairs and all pairs over the set; None while it is not finished."""
    answers = _answers(project, annotator)
    asked = project.comparisons.filter(purpose=Purpose.QUALIFICATION, withdrawn_at=None)
    right = total = 0
    for comparison_id, stored in asked.values_list("pk", "known_ranking"):
        if comparison_id not in answers:
            return None
        given = answers[comparison_id]
        here, pairs = pairs_right(known_ranking(stored), known_ranking(given) if given else None)
        right, total = right + here, total + pairs
    return right, total


def _answers(project: Project, annotator: AbstractBaseUser) -> dict[int, list[list[int]] | None]:
    """Comparison -> the ranking given, None where it was skipped, for the items of this attempt."""
    closed = Assignment.objects.filter(
        comparison__project=project,
        annotator_id=annotator.pk,
        purpose=AssignmentPurpose.QUALIFICATION,
        state__in=[AssignmentState.SUBMITTED, AssignmentState.SKIPPED],
    )
    given = Judgment.objects.current().filter(assignment__in=closed)
    rankings = dict(given.values_list("assignment", "ranking"))
    return {comparison: rankings.get(pk) for pk, comparison in closed.values_list("pk", "comparison")}
