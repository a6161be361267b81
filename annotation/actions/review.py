"""What a reviewer or a manager does with one comparison. What changes the project's work or data is put on record."""

import random
from datetime import timedelta

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from annotation.actions.history import record
from annotation.models import (
    Assignment,
    AssignmentPurpose,
    AssignmentState,
    Comparison,
    Flag,
    Purpose,
    Slot,
)
from annotation.queue import next_slot as queue
from annotation.queue import overlap

MAX_JUDGMENTS = 50  # of one comparison: as many as a project's overlap may be


class ReviewRefused(Exception):
    """What was asked cannot be done with this comparison now. The message is for the reviewer."""


@transaction.atomic
def open_review(*, comparison: Comparison, reviewer: AbstractBaseUser) -> Assignment:
    """The assignment in which this reviewer decides: a new one, or theirs again, held or submitted."""
    queue.one_at_a_time(annotator_id=reviewer.pk)
    comparison = locked(comparison)
    if comparison.purpose != Purpose.WORK:
        raise ReviewRefused("A comparison with a known answer is not decided: its answer is the known one.")
    if comparison.withdrawn_at:
        raise ReviewRefused("This comparison is withdrawn. Restore it, then decide.")
    reviews = Assignment.objects.filter(comparison=comparison, annotator=reviewer, purpose=AssignmentPurpose.REVIEW)
    # Whoever skipped their own review and comes back begins anew: one live review is all that there may be.
    reviews.filter(state=AssignmentState.SKIPPED).update(state=AssignmentState.EXPIRED)
    if earlier := reviews.exclude(state=AssignmentState.EXPIRED).first():
        return earlier
    order = list(comparison.completions.values_list("pk", flat=True))
    random.shuffle(order)
    return Assignment.objects.create(
        comparison=comparison,
        annotator=reviewer,
        purpose=AssignmentPurpose.REVIEW,
        display_order=order,
        leased_until=timezone.now() + timedelta(seconds=comparison.project.lease_seconds),
    )


@transaction.atomic
def withdraw(*, comparison: Comparison, reason: str, by: AbstractBaseUser) -> None:
    """Take a comparison out of the queue and out of the data. What was judged stays on record; twice is once."""
    comparison = locked(comparison)
    if comparison.withdrawn_at:
        return
    Comparison.objects.filter(pk=comparison.pk).update(withdrawn_at=Now())
    take_out_of_queue(comparison)
    _record(comparison, by, before="in use", after=f"withdrawn: {reason}")


@transaction.atomic
def restore(*, comparison: Comparison, reason: str, by: AbstractBaseUser) -> None:
    """Undo a withdrawal: its judgments count again, and as many as the project wants now are waited for."""
    comparison = locked(comparison)
    if not comparison.withdrawn_at:
        return
    Comparison.objects.filter(pk=comparison.pk).update(withdrawn_at=None)
    overlap.fit_one(comparison.pk)
    _record(comparison, by, before="withdrawn", after=f"restored: {reason}")


@transaction.atomic
def ask_for_judgments(*, comparison: Comparison, wanted: int, by: AbstractBaseUser) -> None:
    """Let the comparison have ``wanted`` judgments in all. Fewer than it is to have already is no change.

    No later change of the project's overlap makes it fewer than that.
    """
    comparison = locked(comparison)
    if comparison.purpose != Purpose.WORK or comparison.withdrawn_at:
        raise ReviewRefused("This comparison is not in the queue, so nobody would get it.")
    if wanted > MAX_JUDGMENTS:
        raise ReviewRefused(f"A comparison has at most {MAX_JUDGMENTS} judgments.")
    if wanted <= comparison.wanted:
        return
    before, comparison.wanted, comparison.wanted_at_least = comparison.wanted, wanted, wanted
    comparison.save(update_fields=["wanted", "wanted_at_least"])
    overlap.fit_one(comparison.pk)
    _record(comparison, by, before=f"{before} judgments wanted", after=f"{wanted} judgments wanted")


def resolve_flag(*, flag: Flag, resolution: str, by: AbstractBaseUser) -> bool:
    """Close a flag with a word to who raised it. False: somebody else was first, and their word stays."""
    resolved = Flag.objects.filter(pk=flag.pk, resolved_at__isnull=True).update(
        resolved_at=Now(), resolved_by=by, resolution=resolution[:1000]
    )
    flag.refresh_from_db()
    return bool(resolved)


def locked(comparison: Comparison) -> Comparison:
    """The comparison, fresh, and nobody can take, fill or let go a slot of it until the transaction ends.

    NO KEY: whoever is just writing an assignment refers to the comparison's key.
    """
    overlap.one_change_at_a_time(comparison.project_id)
    overlap.lock_slots(comparison.pk)
    fresh = Comparison.objects.select_for_update(no_key=True, of=["self"])
    return fresh.select_related("project").get(pk=comparison.pk)


def take_out_of_queue(comparison: Comparison) -> None:
    """Nobody gets it any more, and who holds it has lost it: their answer would count for nothing. For ``locked``."""
    held = Assignment.objects.filter(comparison=comparison, state=AssignmentState.HELD)
    held.update(state=AssignmentState.EXPIRED)
    unfilled = Slot.objects.filter(comparison=comparison, is_filled=False)
    unfilled.filter(assignments__isnull=True).delete()
    # What somebody skipped or let go stays on record. Free from now: nobody holds it, should it be opened again.
    unfilled.update(is_parked=True, free_from=Now())


def _record(comparison: Comparison, by: AbstractBaseUser, *, before: str, after: str) -> None:
    subject = f"comparison {comparison.pk}"
    record(project=comparison.project, by=by, what="comparison", subject=subject, before=before, after=after)
