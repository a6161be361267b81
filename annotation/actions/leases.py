"""Hand out comparisons, keep drafts, take back what was skipped."""

from datetime import datetime, timedelta
from random import SystemRandom
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import OuterRef, Subquery
from django.db.models.functions import Now
from django.utils import timezone

from annotation.actions.qualification import settle_qualification
from annotation.actions.refusals import LeaseLost, NotYours
from annotation.models import (
    Assignment,
    AssignmentPurpose,
    AssignmentState,
    Membership,
    Project,
    Qualification,
    Role,
    Slot,
)
from annotation.queue import next_slot as queue
from annotation.queue import overlap

# Not pseudo-random: whoever could foresee the draw could tell gold.
_draw = SystemRandom()


@transaction.atomic
def claim_next(
    *, project: Project, annotator: AbstractBaseUser, besides: Assignment | None = None
) -> Assignment | None:
    """The oldest that this annotator holds here, other than ``besides``; else the next one, leased to them.

    None when nothing is left. At most two are held at once: the one that is worked on (``besides``) and the one
    ahead of it.
    """
    held = queue.lock_and_held_by(project=project, annotator_id=annotator.pk)
    if any(besides is None or pk != besides.pk for pk in held):
        # Where a lease ran out, somebody may have taken the slot since it was read, without a lock, just above.
        renewed = queue.renew(project=project, annotator_id=annotator.pk)
        for pk in held:
            if pk in renewed and (besides is None or pk != besides.pk):
                return Assignment.objects.get(pk=pk)
    return None if project.is_paused else _hand_out(project, annotator)


def _hand_out(project: Project, annotator: AbstractBaseUser) -> Assignment | None:
    """Training comes first, then qualification, then work with gold mixed in."""
    standing = queue.standing_of(project=project, annotator_id=annotator.pk, is_staff=annotator.is_staff)
    if standing.role == Role.ANNOTATOR:
        match Qualification(standing.qualification):
            case Qualification.FAILED:
                return None
            case Qualification.PENDING:
                if first := _before_work(project, annotator, standing):
                    return first
                if standing.has_qualification_set and not settle_qualification(project=project, annotator=annotator):
                    return None
            case Qualification.PASSED if standing.training:
                return _give(project, annotator, standing.training, AssignmentPurpose.TRAINING)
            case Qualification.PASSED | Qualification.WAIVED:
                pass
    gold = standing.gold if _draw.random() * 100 < project.gold_percent else None
    # For gold too: so that it comes only while there is work, and is no sooner there.
    taken = queue.take_next(project=project, annotator_id=annotator.pk, standing=standing, instead=gold)
    if taken is None:
        return None
    if gold:
        return _give(project, annotator, gold, AssignmentPurpose.GOLD, (taken.given, taken.shown))
    return queue.assign(taken=taken, annotator_id=annotator.pk)


def _before_work(project: Project, annotator: AbstractBaseUser, standing: queue.Standing) -> Assignment | None:
    if standing.training:
        return _give(project, annotator, standing.training, AssignmentPurpose.TRAINING)
    if standing.qualifying:
        return _give(project, annotator, standing.qualifying, AssignmentPurpose.QUALIFICATION)
    return None


def _give(
    project: Project,
    annotator: AbstractBaseUser,
    comparison_id: int,
    purpose: AssignmentPurpose,
    known: tuple[int, list[list[int]]] | None = None,
) -> Assignment:
    given, shown = known or queue.shown_in(comparison_id)
    return queue.assign_known(
        comparison_id=comparison_id,
        given=given,
        shown=shown,
        purpose=purpose,
        annotator_id=annotator.pk,
        leased_until=timezone.now() + timedelta(seconds=project.lease_seconds),
    )


@transaction.atomic
def renew_lease(*, assignment: Assignment, annotator: AbstractBaseUser) -> datetime:
    """Hold for another lease whatever this annotator has open in the project: the page keeps one ahead.

    Raises LeaseLost when ``assignment`` is no longer theirs; then nothing is renewed.
    """
    if assignment.annotator_id != annotator.pk:
        raise NotYours(f"Assignment {assignment.pk} belongs to another annotator.")
    renewed = queue.renew(project=assignment.comparison.project, annotator_id=annotator.pk)
    assignment.refresh_from_db(fields=["state", "leased_until"])
    must_be_held(assignment)
    return renewed[assignment.pk]


def save_draft(*, assignment: Assignment, annotator: AbstractBaseUser, draft: dict[str, Any]) -> None:
    """Keep the answer as it stands. Raises LeaseLost when the slot is no longer this annotator's.

    Then the draft is kept all the same: should the comparison come back to them, it is there.
    """
    if assignment.annotator_id != annotator.pk:
        raise NotYours(f"Assignment {assignment.pk} belongs to another annotator.")
    open_or_lost = [AssignmentState.HELD, AssignmentState.EXPIRED]
    Assignment.objects.filter(pk=assignment.pk, state__in=open_or_lost).update(draft=draft)
    try:
        assignment.refresh_from_db(fields=["state", "draft"])
    except Assignment.DoesNotExist:
        raise LeaseLost("This comparison is not there any more. Go on with the next one.") from None
    must_be_held(assignment)


@transaction.atomic
def skip(*, assignment: Assignment, annotator: AbstractBaseUser, reason: str) -> None:
    """Give the slot back to others, where its judgment is still wanted. Skipping twice is skipping once."""
    overlap.lock_slots(assignment.comparison_id)
    assignment, _ = locked(assignment, annotator)
    if assignment.state == AssignmentState.SKIPPED:
        return
    must_be_held(assignment)
    assignment.move_to(AssignmentState.SKIPPED, skip_reason=reason[:200])
    Slot.objects.filter(pk=assignment.slot_id).update(free_from=Now())
    overlap.fit_one(assignment.comparison_id)


def locked(assignment: Assignment, annotator: AbstractBaseUser) -> tuple[Assignment, Project]:
    """The assignment, fresh and locked, and its project: the slot first, as in the queue, against deadlocks.

    With ``own_kind``: what kind of judge its annotator is, None without a membership.
    """
    if assignment.annotator_id != annotator.pk:
        raise NotYours(f"Assignment {assignment.pk} belongs to another annotator.")
    # Without a slot too (nothing has the number 0): gold takes as many queries as work.
    list(Slot.objects.select_for_update().filter(pk=assignment.slot_id or 0).values_list("pk"))
    kinds = Membership.objects.filter(project=OuterRef("comparison__project"), user=OuterRef("annotator"))
    found = Assignment.objects.select_for_update(of=("self",)).select_related("comparison__project")
    current = found.annotate(own_kind=Subquery(kinds.values("kind")[:1])).get(pk=assignment.pk)
    return current, current.comparison.project


def must_be_held(assignment: Assignment) -> None:
    match AssignmentState(assignment.state):
        case AssignmentState.HELD:
            return
        # Gold in the words of work: nobody is to tell the two apart.
        case AssignmentState.EXPIRED if assignment.purpose not in (AssignmentPurpose.WORK, AssignmentPurpose.GOLD):
            raise LeaseLost("This comparison was taken back by a manager. Go on with the next one.")
        case AssignmentState.EXPIRED:
            raise LeaseLost(
                "The reservation ran out and another annotator has this comparison now, or a manager took it back. "
                "Go on with the next one; what you see here stays until you leave the page."
            )
        case AssignmentState.SKIPPED:
            raise LeaseLost("You skipped this comparison, so it went back to the others. Go on with the next one.")
        case AssignmentState.SUBMITTED:
            raise LeaseLost("You have judged this comparison already. Open your judgment to correct it.")
