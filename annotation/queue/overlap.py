"""Fit the slots of comparisons to the judgments that they want: of one comparison, or of a large project in steps.

Called by actions. Fitted, a comparison of the queue has as many slots open or filled as it wants judgments, and one
that is out of the queue has none open; what is beside that and has a history is parked. Doing it again does nothing.
The order of locks is the same as everywhere: slots by id, comparisons by id, assignments. It can be kept only while no
slots are made meanwhile: so whoever makes or takes away slots does it ``one_change_at_a_time``.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction

from annotation import advisory_locks
from annotation.models import Assignment, Project, Slot

STEP = 20_000  # comparisons: about a second on a small machine
MANY = 50_000  # more comparisons than this are fitted step by step, not while somebody waits for a form

IN_QUEUE = "comparison.purpose = 'work' AND comparison.withdrawn_at IS NULL"
ONE = "comparison.id = %(comparison)s"
STRETCH = "comparison.project_id = %(project)s AND comparison.id > %(after)s AND comparison.id <= %(until)s"

# The share is drawn as opening.judgments_wanted draws it, by the comparison's own hash: tests hold the two together.
# What an import brought is judged already: it waits for no judgment of ours but those that somebody asked for.
WANTED = """greatest(comparison.wanted_at_least, CASE
        WHEN comparison.data_import_id IS NOT NULL THEN 0
        WHEN ('x' || substr(comparison.content_key, 1, 8))::bit(32)::bigint %% 100 < %(percent)s THEN %(overlap)s
        ELSE 1 END)"""

# Whose slots a new overlap may park, delete or open: they are not to be taken, filled or let go meanwhile.
LOCK_SLOTS = f"""
SELECT slot.id
FROM annotation_slot AS slot JOIN annotation_comparison AS comparison ON comparison.id = slot.comparison_id
WHERE {STRETCH} AND {IN_QUEUE} AND NOT slot.is_filled
  AND EXISTS (
      SELECT 1 FROM annotation_slot AS odd
      WHERE odd.comparison_id = comparison.id AND (odd.number > {WANTED} OR odd.is_parked)
  )
ORDER BY slot.id
FOR UPDATE OF slot
"""  # noqa: S608 - constants above, here and below

# Also of what is out of the queue: should it come back, it is to want what the project wants then. Slots are made for
# what changed only: a comparison that wants as many as before costs one look.
WANT = f"""
WITH changed AS (
    SELECT comparison.id FROM annotation_comparison AS comparison
    WHERE {STRETCH} AND comparison.wanted <> {WANTED}
    ORDER BY comparison.id
    FOR NO KEY UPDATE
),
comparison AS (
    UPDATE annotation_comparison AS comparison SET wanted = {WANTED} FROM changed WHERE comparison.id = changed.id
    RETURNING comparison.*
)
"""  # noqa: S608
MAKE_SLOTS = """
INSERT INTO annotation_slot (comparison_id, project_id, number, priority, "group", is_filled, is_parked, free_from)
SELECT comparison.id, comparison.project_id, number, comparison.priority, comparison."group", false, false,
       statement_timestamp()
FROM {comparisons} CROSS JOIN LATERAL generate_series(1, comparison.wanted) AS number
WHERE {which}
ON CONFLICT (comparison_id, number) DO NOTHING
"""

# First come the slots that are filled, then those that are held, then by number: as many as are wanted stay, and the
# rest is too many. What nobody ever had is deleted. What somebody skipped, let go or still holds stays on record,
# parked, until it is wanted again; who holds one may answer, but nobody gets it after them.
TRIM = """
WITH placed AS (
    SELECT slot.id, slot.is_parked, earlier.was_taken,
           row_number() OVER (
               PARTITION BY slot.comparison_id
               ORDER BY slot.is_filled DESC, earlier.is_held DESC, slot.number
           ) > comparison.wanted AS is_surplus
    FROM annotation_comparison AS comparison
    JOIN annotation_slot AS slot ON slot.comparison_id = comparison.id
    CROSS JOIN LATERAL (
        SELECT count(*) > 0 AS was_taken, coalesce(bool_or(state = 'held'), false) AS is_held
        FROM annotation_assignment WHERE slot_id = slot.id
    ) AS earlier
    WHERE {which}
),
deleted AS (
    DELETE FROM annotation_slot AS slot USING placed
    WHERE slot.id = placed.id AND NOT slot.is_filled AND placed.is_surplus AND NOT placed.was_taken
)
UPDATE annotation_slot AS slot SET is_parked = placed.is_surplus
FROM placed
WHERE slot.id = placed.id AND NOT slot.is_filled AND placed.is_parked <> placed.is_surplus
  AND (placed.was_taken OR NOT placed.is_surplus)
"""
# In a step, only those that have a slot too many, or one that may be wanted again.
HAS_ODD_SLOTS = """EXISTS (
    SELECT 1 FROM annotation_slot AS odd
    WHERE odd.comparison_id = comparison.id AND (odd.number > comparison.wanted OR odd.is_parked)
)"""

FIT_ONE = [
    MAKE_SLOTS.format(comparisons="annotation_comparison AS comparison", which=f"{ONE} AND {IN_QUEUE}"),
    TRIM.format(which=f"{ONE} AND {IN_QUEUE}"),
]
FIT_STRETCH = [
    LOCK_SLOTS,
    WANT + MAKE_SLOTS.format(comparisons="comparison", which=IN_QUEUE),
    TRIM.format(which=f"{STRETCH} AND {IN_QUEUE} AND {HAS_ODD_SLOTS}"),
]


def one_change_at_a_time(project_id: int) -> None:
    """Let what others change about this project's slots wait until this transaction ends. Annotators do not wait."""
    advisory_locks.wait_for(advisory_locks.Family.SLOTS, project_id)


def lock_slots(comparison_id: int) -> None:
    """Nobody takes, fills or lets go a slot of this comparison until the transaction ends."""
    list(Slot.objects.select_for_update().filter(comparison=comparison_id).order_by("pk").values_list("pk"))


def fit_one(comparison_id: int) -> None:
    """Fit one comparison to the number of judgments that it wants, which stands in its row; behind ``lock_slots``."""
    with connection.cursor() as cursor:
        for statement in FIT_ONE:
            cursor.execute(statement, {"comparison": comparison_id})


class SlotIsParked(Exception):
    """An answer for a slot that is one too many, from somebody who had begun before it was."""


def fill(slot_id: int | None) -> None:
    """The judgment of this slot is given; None: of no slot. Raises SlotIsParked; then answer within ``unparked``."""
    # A statement without a slot too (nothing has the number 0): gold takes as many as work.
    filled = Slot.objects.filter(pk=slot_id or 0, is_parked=False).update(is_filled=True)
    if slot_id and not filled:
        raise SlotIsParked


@contextmanager
def unparked(assignment: Assignment) -> Iterator[None]:
    """For the transaction in which a parked slot is filled after all: then another one of its comparison is too many.

    A transaction of its own, since all of the comparison's slots are to be locked before the one that is filled.
    """
    with transaction.atomic():
        lock_slots(assignment.comparison_id)
        Slot.objects.filter(pk=assignment.slot_id).update(is_parked=False)
        yield
        fit_one(assignment.comparison_id)


def fit_step(project: Project, *, after: int = 0, step: int = STEP) -> int | None:
    """Fit the next ``step`` comparisons behind the one with id ``after``; the last one's id, None behind the end.

    How many judgments each wants is reckoned anew, by the project's overlap. A step is a few statements, so that a
    large project can be fitted in many short transactions.
    """
    one_change_at_a_time(project.pk)
    until = project.comparisons.filter(pk__gt=after).order_by("pk").values_list("pk", flat=True)[:step]
    last = max(until, default=None)
    if last is None:
        return None
    values = {
        "project": project.pk, "after": after, "until": last,
        "overlap": project.overlap, "percent": project.overlap_percent,
    }  # fmt: skip
    with connection.cursor() as cursor:
        for statement in FIT_STRETCH:
            cursor.execute(statement, values)
    return last


def fit_all(project: Project) -> None:
    """Every comparison of the project, in the caller's transaction."""
    after: int | None = 0
    while after is not None:
        after = fit_step(project, after=after)
