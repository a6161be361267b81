"""The queue: find, lease and hand out the next free slot. Called inside a transaction by actions.

One statement takes a slot, so that its cost is one walk along the index of open slots: whatever else is in
the project does not matter. Who may annotate, and what becomes of an answer, is not known here.
"""

import random
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from annotation.models import Assignment, AssignmentState, Comparison, Project

# The first half of the two-part key of PostgreSQL's advisory locks; the second is the annotator.
LOCK_FAMILY = 7301

# SKIP LOCKED: whoever comes second takes the next slot instead of waiting for the first. The subselect leaves
# out what this annotator holds, has judged or has skipped. Time is the database's everywhere: one clock.
TAKE_NEXT = """
WITH candidate AS (
    SELECT slot.id
    FROM annotation_slot AS slot
    WHERE slot.project_id = %(project)s
      AND NOT slot.is_filled
      AND slot.free_from <= statement_timestamp()
      AND NOT EXISTS (
          SELECT 1 FROM annotation_assignment AS mine
          WHERE mine.comparison_id = slot.comparison_id
            AND mine.annotator_id = %(annotator)s
            AND mine.state <> 'expired'
      )
    ORDER BY slot.priority DESC, slot.number, slot.id
    FOR UPDATE SKIP LOCKED
    LIMIT 1
)
UPDATE annotation_slot AS slot
SET free_from = statement_timestamp() + make_interval(secs => %(lease)s)
FROM candidate
WHERE slot.id = candidate.id
RETURNING slot.id, slot.comparison_id, slot.free_from
"""


@dataclass(frozen=True)
class TakenSlot:
    slot_id: int
    comparison_id: int
    free_from: datetime


def one_at_a_time(*, annotator_id: int) -> None:
    """Let this annotator's other tabs wait until this transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [LOCK_FAMILY, annotator_id % 2**31])


def held_by(*, project: Project, annotator_id: int) -> Assignment | None:
    """What this annotator has open in this project. It stays theirs until somebody else takes the slot."""
    return (
        Assignment.objects.filter(
            annotator_id=annotator_id,
            state=AssignmentState.HELD,
            comparison__project=project,
        )
        .select_related("slot")
        .order_by("created_at")
        .first()
    )


def take_next(*, project: Project, annotator_id: int) -> TakenSlot | None:
    """Lease the next free slot; None when there is none for this annotator."""
    with connection.cursor() as cursor:
        cursor.execute(TAKE_NEXT, {"project": project.pk, "annotator": annotator_id, "lease": project.lease_seconds})
        row = cursor.fetchone()
    return TakenSlot(*row) if row else None


def assign(*, taken: TakenSlot, annotator_id: int) -> Assignment:
    """Write the lease down, with an order of display drawn for this assignment alone."""
    # Whoever let their lease run out on this slot has now lost it to somebody.
    Assignment.objects.filter(slot_id=taken.slot_id, state=AssignmentState.HELD).update(state=AssignmentState.EXPIRED)
    shown = Comparison.completions.through.objects.filter(comparison_id=taken.comparison_id)
    order = list(shown.values_list("completion_id", flat=True))
    random.shuffle(order)  # kept with the assignment, so that position bias can be measured
    return Assignment.objects.create(
        slot_id=taken.slot_id,
        comparison_id=taken.comparison_id,
        annotator_id=annotator_id,
        display_order=order,
        leased_until=taken.free_from,
    )
