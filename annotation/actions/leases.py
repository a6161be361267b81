"""Hand out comparisons, keep drafts, take back what was skipped."""

from datetime import datetime, timedelta
from random import SystemRandom
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from annotation.actions.qualification import settle_qualification
from annotation.actions.refusals import LeaseLost, NotYours
from annotation.models import Assignment, AssignmentPurpose, AssignmentState, Project, Qualification, Role, Slot
from annotation.queue import next_slot as queue

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
    queue.one_at_a_time(annotator_id=annotator.pk)
    held = queue.held_by(project=project, annotator_id=annotator.pk)
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
        return _give(project, annotator, gold, AssignmentPurpose.GOLD, taken.shown)
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
    shown: list[list[int]] | None = None,
) -> Assignment:
    return queue.assign_known(
        comparison_id=comparison_id,
        shown=shown or queue.shown_in(comparison_id),
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
    assignment.refresh_from_db(fields=["state", "draft"])
    must_be_held(assignment)


@transaction.atomic
def skip(*, assignment: Assignment, annotator: AbstractBaseUser, reason: str) -> None:
    """Give the slot back to others. Skipping twice is skipping once."""
    assignment, _ = locked(assignment, annotator)
    if assignment.state == AssignmentState.SKIPPED:
        return
    must_be_held(assignment)
    assignment.move_to(AssignmentState.SKIPPED, skip_reason=reason[:200])
    Slot.objects.filter(pk=assignment.slot_id).update(free_from=Now())


def locked(assignment: Assignment, annotator: AbstractBaseUser) -> tuple[Assignment, Project]:
    """The assignment, fresh and locked, and its project: the slot first, as in the queue, against deadlocks."""
    if assignment.annotator_id != annotator.pk:
        raise NotYours(f"Assignment {assignment.pk} belongs to another annotator.")
    if assignment.slot_id:
        Slot.objects.select_for_update().values_list("pk").get(pk=assignment.slot_id)
    project = Project.objects.get(comparisons=assignment.comparison_id)
    return Assignment.objects.select_for_update().get(pk=assignment.pk), project


def must_be_held(assignment: Assignment) -> None:
    match AssignmentState(assignment.state):
        case AssignmentState.HELD:
            return
        case AssignmentState.EXPIRED if assignment.slot_id is None:
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
