"""The queue: find, lease and hand out the next free slot. Called inside a transaction by actions.

One statement finds a slot, leases it and returns it, and its cost is a short walk along the index of open slots:
whatever else is in the project does not matter. Who may annotate, and what becomes of an answer, is not known here.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser
from django.db import connection
from django.utils.crypto import salted_hmac

from annotation.models import (
    Assignment,
    Membership,
    Project,
    Purpose,
    Qualification,
    Role,
    Slot,
)
from annotation.queue import sql as queue_sql
from annotation.rules.display_order import display_order

# The first half of the two-part key of PostgreSQL's advisory locks; the second is the annotator.
LOCK_FAMILY = 7301


@dataclass(frozen=True)
class Bookmark:
    """Where in the order of open slots an annotator has come to."""

    priority: int
    number: int
    slot: int


@dataclass(frozen=True)
class Standing:
    """What is known of an annotator before the next slot is looked for. ``role`` is None without a membership."""

    role: str | None
    qualification: str | None
    groups: list[str] | None  # whose comparisons they may take; None: of every group
    bookmark: Bookmark | None  # None: begin at the beginning
    training: int | None  # the next comparison of this purpose that they have not had
    qualifying: int | None
    gold: int | None
    has_qualification_set: bool


@dataclass(frozen=True)
class TakenSlot:
    slot_id: int
    number: int
    comparison_id: int
    leased_until: datetime
    begun: UUID | None  # an assignment of theirs that was lost with a draft of this same comparison
    shown: list[list[int]]  # completion and policy, of this comparison or of the one that is given instead


def one_at_a_time(*, annotator_id: int) -> None:
    """Let this annotator's other tabs wait until this transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [LOCK_FAMILY, annotator_id % 2**31])


def held_by(*, project: Project, annotator_id: int) -> list[UUID]:
    """What this annotator has open in this project, oldest first. It stays theirs until somebody else takes it.

    Reviews are not among them: they are opened one by one, from their comparisons.
    """
    with connection.cursor() as cursor:
        cursor.execute(queue_sql.HELD, [annotator_id, project.pk])
        return [pk for (pk,) in cursor]


def renew(*, project: Project, annotator_id: int) -> dict[UUID, datetime]:
    """Hold all of that for another lease: assignment -> until when. Without those that were just lost."""
    parameters = {"project": project.pk, "annotator": annotator_id, "lease": project.lease_seconds}
    with connection.cursor() as cursor:
        cursor.execute(queue_sql.LOCK_HELD_SLOTS, parameters)
        slots = [pk for (pk,) in cursor]
        # Another statement, which sees what became of them while the first one waited.
        cursor.execute(queue_sql.RENEW_HELD, {**parameters, "slots": slots})
        return dict(cursor.fetchall())


def standing_of(*, project: Project, annotator_id: int, is_staff: bool) -> Standing:
    parameters = {
        "project": project.pk, "annotator": annotator_id, "restart": queue_sql.RESTART_SECONDS, "any_group": is_staff,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(queue_sql.STANDING, parameters)
        role, qualification, groups, priority, number, slot, is_fresh, *known, has_set = cursor.fetchone()
    return Standing(
        role=role,
        qualification=qualification,
        groups=None if role is None and is_staff else ["", *(groups or ())],
        bookmark=Bookmark(priority, number, slot) if is_fresh else None,
        training=known[0],
        qualifying=known[1],
        gold=known[2],
        has_qualification_set=has_set,
    )


def take_next(
    *, project: Project, annotator_id: int, standing: Standing, instead: int | None = None
) -> TakenSlot | None:
    """Lease the next free slot; None when there is none for this annotator.

    An annotator far ahead of the others does not walk over all that they have judged each time: what the first
    ``HEAD`` open slots do not give is looked for behind their newest one, and from the beginning when nothing is
    there, and once in ``RESTART_SECONDS``. So what others give back in between may wait for them that long, and
    further annotators get it before. ``instead``: take nothing, and return what this other comparison shows.
    """
    parameters = {
        "project": project.pk, "annotator": annotator_id, "groups": standing.groups,
        "lease": project.lease_seconds, "instead": instead,
    }  # fmt: skip
    walks = queue_sql.FROM_THE_BEGINNING
    if standing.bookmark:
        walks = queue_sql.FROM_THE_BOOKMARK
        parameters |= vars(standing.bookmark)
    with connection.cursor() as cursor:
        for walk in walks:
            cursor.execute(queue_sql.take_next(walk, any_group=standing.groups is None), parameters)
            if row := cursor.fetchone():
                return TakenSlot(*row[:-1], shown=json.loads(row[-1]))
    return None


def assign(*, taken: TakenSlot, annotator_id: int) -> Assignment:
    """Write the lease down, with the slot's order of display.

    Who had begun this comparison and lost it goes on where they were: with their draft, in the order they know.
    """
    draft, order = None, []
    if taken.begun:
        draft, order = Assignment.objects.values_list("draft", "display_order").get(pk=taken.begun)
    return Assignment.objects.create(
        slot_id=taken.slot_id,
        comparison_id=taken.comparison_id,
        annotator_id=annotator_id,
        display_order=order or _order(taken.shown, taken.comparison_id, turn=taken.number - 1),
        leased_until=taken.leased_until,
        draft=draft,
    )


def assign_known(
    *, comparison_id: int, shown: list[list[int]], purpose: str, annotator_id: int, leased_until: datetime
) -> Assignment:
    """Give a comparison that everybody judges: without a slot, in an order that differs between annotators."""
    return Assignment.objects.create(
        comparison_id=comparison_id,
        annotator_id=annotator_id,
        purpose=purpose,
        display_order=_order(shown, comparison_id, turn=annotator_id),
        leased_until=leased_until,
    )


def shown_in(comparison_id: int) -> list[list[int]]:
    """Completion and policy, for the balance of the order."""
    with connection.cursor() as cursor:
        cursor.execute(queue_sql.SHOWN, [comparison_id])
        return json.loads(cursor.fetchone()[0])


def _order(shown: list[list[int]], comparison_id: int, *, turn: int) -> list[int]:
    return display_order(shown, comparison=comparison_id, turn=turn, secret=_secret())


class NothingLeft(StrEnum):
    """Why there is nothing to rank."""

    PAUSED = "paused"
    FAILED = "failed"  # the qualification
    QUALIFYING = "qualifying"  # an item of the set is still open, on another page
    NOTHING_OPENED = "nothing opened"
    WITH_OTHERS = "with others"  # held, judged or skipped already, or for another group
    DONE = "done"


def why_nothing(*, project: Project, annotator: AbstractBaseUser) -> NothingLeft:
    """For the page, when there was nothing to hand out."""
    membership = Membership.objects.filter(project=project, user=annotator.pk, role=Role.ANNOTATOR).first()
    qualification = membership.qualification if membership else Qualification.WAIVED
    if project.is_paused:
        return NothingLeft.PAUSED
    if qualification == Qualification.FAILED:
        return NothingLeft.FAILED
    if qualification == Qualification.PENDING and project.comparisons.filter(purpose=Purpose.QUALIFICATION).exists():
        return NothingLeft.QUALIFYING
    if Slot.objects.filter(project=project, is_filled=False).exists():
        return NothingLeft.WITH_OTHERS
    return NothingLeft.DONE if project.comparisons.work().exists() else NothingLeft.NOTHING_OPENED


@lru_cache(maxsize=1)
def _secret() -> bytes:
    return salted_hmac("annotation.rules.display_order", "", algorithm="sha256").digest()
