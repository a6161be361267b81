"""Hand out comparisons, keep drafts, take back what was skipped."""

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models.functions import Now

from annotation import queue
from annotation.actions.refusals import LeaseLost, NotYours
from annotation.models import Assignment, AssignmentState, Project, Slot


@transaction.atomic
def claim_next(*, project: Project, annotator: AbstractBaseUser) -> Assignment | None:
    """What this annotator holds, else the next free slot, leased to them; None when nothing is left."""
    queue.one_at_a_time(annotator_id=annotator.pk)
    held = queue.held_by(project=project, annotator_id=annotator.pk)
    if held is not None:
        # Where the lease ran out, somebody may have taken the slot since it was read, without a lock, just above.
        with suppress(LeaseLost):
            renew_lease(assignment=held, annotator=annotator)
            return held
    if project.is_paused:
        return None
    taken = queue.take_next(project=project, annotator_id=annotator.pk)
    return queue.assign(taken=taken, annotator_id=annotator.pk) if taken else None


@transaction.atomic
def renew_lease(*, assignment: Assignment, annotator: AbstractBaseUser) -> datetime:
    """Hold the slot for another lease. Raises LeaseLost when it is no longer this annotator's."""
    assignment, project = locked(assignment, annotator)
    must_be_held(assignment)
    until = Now() + timedelta(seconds=project.lease_seconds)
    Assignment.objects.filter(pk=assignment.pk).update(leased_until=until)
    assignment.refresh_from_db(fields=["leased_until"])
    Slot.objects.filter(pk=assignment.slot_id).update(free_from=assignment.leased_until)
    return assignment.leased_until


def save_draft(*, assignment: Assignment, annotator: AbstractBaseUser, draft: dict[str, Any]) -> None:
    """Keep the answer as it stands. Raises LeaseLost when the slot is no longer this annotator's."""
    if assignment.annotator_id != annotator.pk:
        raise NotYours(f"Assignment {assignment.pk} belongs to another annotator.")
    if not Assignment.objects.filter(pk=assignment.pk, state=AssignmentState.HELD).update(draft=draft):
        assignment.refresh_from_db()
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
        Slot.objects.select_for_update().get(pk=assignment.slot_id)
    project = Project.objects.select_related("guidelines_version").get(comparisons=assignment.comparison_id)
    return Assignment.objects.select_for_update().get(pk=assignment.pk), project


def must_be_held(assignment: Assignment) -> None:
    match AssignmentState(assignment.state):
        case AssignmentState.HELD:
            return
        case AssignmentState.EXPIRED:
            raise LeaseLost(
                "The reservation ran out and another annotator has this comparison now. "
                "Go on with the next one; what you see here stays until you leave the page."
            )
        case AssignmentState.SKIPPED:
            raise LeaseLost("You skipped this comparison, so it went back to the others. Go on with the next one.")
        case AssignmentState.SUBMITTED:
            raise LeaseLost("You have judged this comparison already. Open your judgment to correct it.")
