"""What changes in annotation: projects, members, leases and judgments. Every write goes through here."""

import uuid
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.utils.text import slugify

from annotation import queue
from annotation.models import (
    Assignment,
    AssignmentState,
    JudgeKind,
    Judgment,
    Membership,
    Project,
    Role,
    Slot,
)
from annotation.opening import BATCH, OpenedComparisons, make_slots, open_comparisons
from annotation.ranking import Ranking, RankingError, check_covers

__all__ = ["OpenedComparisons", "open_comparisons"]  # the rest is defined here


class AnswerRefused(Exception):
    """An answer, a draft or a skip that cannot be kept. The message is for the annotator."""


class LeaseLost(AnswerRefused):
    """The slot went to somebody else, or the assignment was closed before the answer came."""


class NotYours(AnswerRefused):
    """Only the annotator who holds an assignment may answer it."""


class KeyReused(AnswerRefused):
    """The request key belongs to another judgment."""


# Projects and members


@transaction.atomic
def create_project(
    *,
    name: str,
    overlap: int,
    created_by: AbstractBaseUser | None,
    guidelines: str = "",
    allow_ties: bool = True,
    ask_strength: bool = True,
    lease_seconds: int = 600,
) -> Project:
    """Make a project; whoever makes it becomes its manager."""
    project = Project.objects.create(
        name=name,
        slug=_free_slug(name),
        overlap=overlap,
        guidelines=guidelines,
        allow_ties=allow_ties,
        ask_strength=ask_strength,
        lease_seconds=lease_seconds,
        created_by=created_by,
    )
    if created_by is not None:
        add_member(project=project, user=created_by, role=Role.MANAGER)
    return project


def _free_slug(name: str) -> str:
    base = slugify(name)[:50] or "project"
    taken = set(Project.objects.filter(slug__startswith=base).values_list("slug", flat=True))
    # "new" would be the address of the form that makes a project.
    candidates = (base if n == 1 else f"{base}-{n}" for n in range(1, len(taken) + 3))
    return next(slug for slug in candidates if slug not in taken and slug != "new")


def add_member(*, project: Project, user: AbstractBaseUser, role: str, kind: str = JudgeKind.PERSON) -> Membership:
    """Add a member, or change the role and the kind of one."""
    return Membership.objects.update_or_create(
        project=project, user=user, defaults={"role": Role(role), "kind": JudgeKind(kind)}
    )[0]


def remove_member(*, project: Project, user: AbstractBaseUser) -> None:
    """Take a membership away. Judgments stay; what was held comes back when its lease ends."""
    Membership.objects.filter(project=project, user=user).delete()


@transaction.atomic
def save_settings(*, project: Project) -> Project:
    """Keep a project's changed settings and give each comparison as many slots as the overlap now asks for.

    A lower overlap takes away only slots that nobody ever held: no judgment and no lease is lost.
    """
    project.save()
    slots = Slot.objects.filter(project=project)
    slots.filter(number__gt=project.overlap, is_filled=False, assignments__isnull=True).delete()
    comparisons = project.comparisons.values_list("pk", "priority").iterator(chunk_size=BATCH)
    while batch := list(islice(comparisons, BATCH)):
        make_slots(project, batch)
    return project


def set_paused(*, project: Project, is_paused: bool) -> None:
    """While a project is paused nothing new is handed out; what is open may be finished."""
    Project.objects.filter(pk=project.pk).update(is_paused=is_paused)
    project.is_paused = is_paused


# Leases


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
    assignment, slot = _locked(assignment, annotator)
    _must_be_held(assignment)
    until = Now() + timedelta(seconds=slot.project.lease_seconds)
    Slot.objects.filter(pk=slot.pk).update(free_from=until)
    slot.refresh_from_db(fields=["free_from"])
    Assignment.objects.filter(pk=assignment.pk).update(leased_until=slot.free_from)
    return slot.free_from


def save_draft(*, assignment: Assignment, annotator: AbstractBaseUser, draft: dict[str, Any]) -> None:
    """Keep the answer as it stands. Raises LeaseLost when the slot is no longer this annotator's."""
    if assignment.annotator_id != annotator.pk:
        raise NotYours(f"Assignment {assignment.pk} belongs to another annotator.")
    if not Assignment.objects.filter(pk=assignment.pk, state=AssignmentState.HELD).update(draft=draft):
        assignment.refresh_from_db()
        _must_be_held(assignment)


@transaction.atomic
def skip(*, assignment: Assignment, annotator: AbstractBaseUser, reason: str) -> None:
    """Give the slot back to others. Skipping twice is skipping once."""
    assignment, slot = _locked(assignment, annotator)
    if assignment.state == AssignmentState.SKIPPED:
        return
    _must_be_held(assignment)
    assignment.move_to(AssignmentState.SKIPPED, skip_reason=reason[:200])
    Slot.objects.filter(pk=slot.pk).update(free_from=Now())


def _locked(assignment: Assignment, annotator: AbstractBaseUser) -> tuple[Assignment, Slot]:
    """The assignment and its slot, fresh and locked: the slot first, as in the queue, against deadlocks."""
    if assignment.annotator_id != annotator.pk:
        raise NotYours(f"Assignment {assignment.pk} belongs to another annotator.")
    slot = Slot.objects.select_for_update(of=["self"]).select_related("project").get(pk=assignment.slot_id)
    return Assignment.objects.select_for_update().get(pk=assignment.pk), slot


def _must_be_held(assignment: Assignment) -> None:
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


# Judgments


def submit_judgment(
    *,
    assignment: Assignment,
    annotator: AbstractBaseUser,
    ranking: Sequence[Sequence[int]],
    strengths: Sequence[str],
    request_key: uuid.UUID,
    seconds_spent: float | None = None,
    rationale: str = "",
) -> Judgment:
    """Keep a ranking (groups of completion ids, best first) and fill the slot, in one transaction.

    The same ``request_key`` again returns the first judgment. An assignment that was submitted before gets a
    new revision that supersedes the old one. Raises RankingError or AnswerRefused; then nothing is written.
    """
    try:
        with transaction.atomic():
            locked, slot = _locked(assignment, annotator)
            # After the lock: a repeated request waited there for the first one to end.
            if earlier := Judgment.objects.filter(request_key=request_key, assignment=locked).first():
                return earlier
            checked = _checked(slot.project, locked, ranking, strengths)
            judgment = _judge(locked, checked, request_key, seconds_spent, rationale)
    except IntegrityError as error:
        if "request_key" in str(error):  # the key of somebody else's judgment: a forged or broken request
            raise KeyReused("Another answer used this key. Reload the page and send it again.") from error
        raise
    assignment.refresh_from_db()
    return judgment


def _checked(project: Project, assignment: Assignment, groups, strengths) -> Ranking:
    ranking = Ranking(tuple(map(tuple, groups)), tuple(strengths) if project.ask_strength else ())
    check_covers(ranking, assignment.display_order)
    if ranking.has_ties and not project.allow_ties:
        raise RankingError("This project has no ties. Give each completion a place of its own.")
    return ranking


def _judge(assignment: Assignment, ranking: Ranking, request_key, seconds_spent, rationale) -> Judgment:
    previous = None
    if assignment.state == AssignmentState.SUBMITTED:
        previous = assignment.judgments.current().get()
    else:
        _must_be_held(assignment)
        assignment.move_to(AssignmentState.SUBMITTED, draft=None)
        Slot.objects.filter(pk=assignment.slot_id).update(is_filled=True)
    membership = Membership.objects.filter(project__slots=assignment.slot_id, user=assignment.annotator_id).first()
    return Judgment.objects.create(
        comparison_id=assignment.comparison_id,
        annotator_id=assignment.annotator_id,
        assignment=assignment,
        kind=membership.kind if membership else JudgeKind.PERSON,
        ranking=[list(group) for group in ranking.groups],
        strengths=[str(strength) for strength in ranking.strengths],
        rationale=rationale,
        seconds_spent=seconds_spent,
        revision=previous.revision + 1 if previous else 1,
        supersedes=previous,
        request_key=request_key,
    )
