"""The queue: find, lease and hand out the next free slot. Called inside a transaction by actions.

One statement finds a slot, leases it and returns it, and its cost is a short walk along the index of open slots. No
claim looks at more than a fixed number of them. Who may annotate, and what becomes of an answer, is not known here.
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

from annotation import advisory_locks
from annotation.models import (
    Assignment,
    Membership,
    Project,
    Purpose,
    Qualification,
    Role,
    Slot,
)
from annotation.queue import sql, whereabouts
from annotation.queue.whereabouts import Place, Whereabouts
from annotation.rules.display_order import display_order


@dataclass(frozen=True)
class Standing:
    """What is known of an annotator before the next slot is looked for. ``role`` is None without a membership."""

    role: str | None
    qualification: str | None
    groups: list[str] | None  # whose comparisons they may take; None: of every group
    newest: Place | None  # of the slot that they were given last
    training: int | None  # the next comparison of this purpose that they have not had
    qualifying: int | None
    gold: int | None
    has_qualification_set: bool


@dataclass(frozen=True)
class TakenSlot:
    place: Place
    comparison_id: int
    leased_until: datetime
    begun: UUID | None  # an assignment of theirs that was lost with a draft of this same comparison
    given: int  # how often the comparison that is shown was handed out before
    shown: list[list[int]]  # completion and policy, of this comparison or of the one that is given instead


def one_at_a_time(*, annotator_id: int) -> None:
    """Let this annotator's other tabs wait until this transaction ends."""
    advisory_locks.wait_for(advisory_locks.Family.CLAIMS, annotator_id)


def lock_and_held_by(*, project: Project, annotator_id: int) -> list[UUID]:
    """The same, and what they have open here, oldest first.

    It stays theirs until somebody else takes it. Reviews are not among them: they are opened one by one, from their
    comparisons.
    """
    with connection.cursor() as cursor:
        # Three statements, one way to the database and back. The last one sees what the one before waited for.
        parameters = {"family": advisory_locks.Family.CLAIMS, "key": advisory_locks.key_of(annotator_id)}
        cursor.execute(sql.LOCK_AND_HELD, {**parameters, "annotator": annotator_id, "project": project.pk})
        while cursor.nextset():
            pass
        return [pk for (pk,) in cursor]


def renew(*, project: Project, annotator_id: int) -> dict[UUID, datetime]:
    """Hold all of that for another lease: assignment -> until when. Without those that were just lost."""
    parameters = {"project": project.pk, "annotator": annotator_id, "lease": project.lease_seconds}
    with connection.cursor() as cursor:
        cursor.execute(sql.LOCK_HELD_SLOTS, parameters)
        slots = [pk for (pk,) in cursor]
        # Another statement, which sees what became of them while the first one waited.
        cursor.execute(sql.RENEW_HELD, {**parameters, "slots": slots})
        return dict(cursor.fetchall())


def standing_of(*, project: Project, annotator_id: int, is_staff: bool) -> Standing:
    parameters = {"project": project.pk, "annotator": annotator_id, "any_group": is_staff}
    with connection.cursor() as cursor:
        cursor.execute(sql.STANDING, parameters)
        role, qualification, groups, *newest, training, qualifying, gold, has_set = cursor.fetchone()
    return Standing(
        role=role,
        qualification=qualification,
        groups=None if role is None and is_staff else ["", *(groups or ())],
        newest=Place(*newest) if newest[-1] else None,
        training=training,
        qualifying=qualifying,
        gold=gold,
        has_qualification_set=has_set,
    )


def take_next(
    *, project: Project, annotator_id: int, standing: Standing, instead: int | None = None
) -> TakenSlot | None:
    """Lease the next free slot; None when none was found for this annotator.

    Nearly always it is among the first ``HEAD`` open slots. Where those are all this annotator's own, or with others,
    the claim goes on at their frontier; and once a minute or so a pass from the beginning looks, window by window,
    for what came back behind it. No claim looks at more than ``LOOKS`` windows: who has had a million comparisons
    that still wait for others does not pay for them each time. What was not reached then (``is_unfinished``) is next
    time's. ``instead``: take nothing, and return what this other comparison shows.
    """
    look = _Look(project, annotator_id, standing, instead)
    where = whereabouts.of(project.pk, annotator_id)
    where.is_unfinished = False
    if taken := look.take(sql.EVERYWHERE, whereabouts.HEAD):
        return taken
    head_end = look.end_of(sql.EVERYWHERE, whereabouts.HEAD)
    if head_end is None:  # that was all
        where.ahead, where.behind = None, None
        return None
    looks = whereabouts.LOOKS
    if where.is_due():
        # One window while there is work ahead: the pass may take its time.
        if taken := _look_behind(look, where, head_end, 1):
            return taken
        looks -= 1
    where.ahead = where.ahead or standing.newest or head_end
    taken, left = _look_on(look, where, looks)
    if taken or not left:
        where.is_unfinished = not taken
        return taken
    if where.is_due():  # nothing ahead: nobody waits for the rest of what lies behind
        taken = _look_behind(look, where, head_end, left)
        where.is_unfinished = not taken and where.behind is not None
    return taken


def _look_on(look: "_Look", where: Whereabouts, looks: int) -> tuple[TakenSlot | None, int]:
    """From the frontier on, which moves with it; what was found, and how many looks are left (0: not at the end)."""
    while looks:
        taken, end = look.window_from(where.ahead)
        looks -= 1
        if taken:
            where.ahead = taken.place
            return taken, looks
        if end is None:
            return None, max(looks, 1)
        where.ahead = end
    return None, 0


def _look_behind(look: "_Look", where: Whereabouts, head_end: Place, looks: int) -> TakenSlot | None:
    """Go on with the pass over what lies before the frontier, or begin one; it ends where the frontier is."""
    where.behind = where.behind or head_end
    for _ in range(looks):
        taken, end = look.window_from(where.behind)
        if taken:
            where.behind = taken.place
            return taken
        if end is None or (where.ahead and not end.is_before(where.ahead)):
            where.passed()
            return None
        where.behind = end
    return None


class _Look:
    """One claim's looks at the open slots."""

    def __init__(self, project: Project, annotator_id: int, standing: Standing, instead: int | None) -> None:
        self.any_group = standing.groups is None
        self.parameters = {
            "project": project.pk, "annotator": annotator_id, "groups": standing.groups,
            "lease": project.lease_seconds, "instead": instead,
        }  # fmt: skip

    def window_from(self, place: Place) -> tuple[TakenSlot | None, Place | None]:
        """What was found in the window that begins at ``place``, and where the window ends; None at the very end."""
        for which in (sql.FROM_HERE, sql.BELOW_HERE):
            if taken := self.take(which, whereabouts.WINDOW, place):
                return taken, None
            # What was filled meanwhile makes it end further on: what is passed over so, the next pass finds.
            if end := self.end_of(which, whereabouts.WINDOW, place):
                return None, end
        return None, None

    def take(self, which: str, window: int, place: Place | None = None) -> TakenSlot | None:
        if row := self._row(sql.take_next(which, any_group=self.any_group), window, place):
            slot, number, priority, *more, shown = row
            return TakenSlot(Place(priority, number, slot), *more, shown=json.loads(shown))
        return None

    def end_of(self, which: str, window: int, place: Place | None = None) -> Place | None:
        row = self._row(sql.window_end(which, any_group=self.any_group), window, place)
        return Place(*row) if row else None

    def _row(self, statement: str, window: int, place: Place | None) -> tuple | None:
        with connection.cursor() as cursor:
            cursor.execute(statement, self.parameters | {"window": window} | (place._asdict() if place else {}))
            return cursor.fetchone()


def assign(*, taken: TakenSlot, annotator_id: int) -> Assignment:
    """Write the lease down, with the slot's order of display.

    Who had begun this comparison and lost it goes on where they were: with their draft, in the order they know.
    """
    draft, order = None, []
    if taken.begun:
        draft, order = Assignment.objects.values_list("draft", "display_order").get(pk=taken.begun)
    return Assignment.objects.create(
        slot_id=taken.place.slot,
        comparison_id=taken.comparison_id,
        annotator_id=annotator_id,
        display_order=order or _order(taken.shown, taken.comparison_id, turn=taken.place.number - 1),
        leased_until=taken.leased_until,
        draft=draft,
    )


def assign_known(
    *, comparison_id: int, given: int, shown: list[list[int]], purpose: str, annotator_id: int, leased_until: datetime
) -> Assignment:
    """Give a comparison that everybody judges: without a slot. ``given`` to so many before, each in the next order."""
    return Assignment.objects.create(
        comparison_id=comparison_id,
        annotator_id=annotator_id,
        purpose=purpose,
        display_order=_order(shown, comparison_id, turn=given),
        leased_until=leased_until,
    )


def shown_in(comparison_id: int) -> tuple[int, list[list[int]]]:
    """How often it was handed out before; completion and policy of what it shows, for the balance of the order."""
    with connection.cursor() as cursor:
        cursor.execute(sql.SHOWN, {"comparison": comparison_id})
        given, shown = cursor.fetchone()
        return given, json.loads(shown)


def _order(shown: list[list[int]], comparison_id: int, *, turn: int) -> list[int]:
    return display_order(shown, comparison=comparison_id, turn=turn, secret=_secret())


class NothingLeft(StrEnum):
    """Why there is nothing to rank."""

    PAUSED = "paused"
    FAILED = "failed"  # the qualification
    QUALIFYING = "qualifying"  # an item of the set is still open, on another page
    NOTHING_OPENED = "nothing opened"
    LOOKING = "looking"  # there is more than one claim looks through: the next one goes on
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
    if whereabouts.of(project.pk, annotator.pk).is_unfinished:
        return NothingLeft.LOOKING
    if Slot.objects.open().filter(project=project).exists():
        return NothingLeft.WITH_OTHERS
    return NothingLeft.DONE if project.comparisons.work().exists() else NothingLeft.NOTHING_OPENED


@lru_cache(maxsize=1)
def _secret() -> bytes:
    return salted_hmac("annotation.rules.display_order", "", algorithm="sha256").digest()
