"""The queue's statements (queue.py), and how much of the index each looks at."""

from typing import NamedTuple

HEAD = 200  # open slots that are looked through from the beginning, each time
RESTART_SECONDS = 120  # how long an annotator who is further ahead may miss what came back behind them

# SKIP LOCKED: whoever comes second takes the next slot instead of waiting for the first. The subselect leaves
# out what this annotator holds, has judged or has skipped. Time is the database's everywhere: one clock.
# A group of comparisons is a stretch of the index of its own: one walk in each, then the best of them.
# Whoever let their lease run out on the slot has now lost it. With ``instead``, everything is done but nothing is
# taken, so that a comparison of known answer, given ``instead``, takes as long to come as any other.
TAKE_NEXT = """
WITH RECURSIVE {allowed},
candidate AS (
    SELECT best.id
    FROM allowed CROSS JOIN LATERAL (
        SELECT slot.id, slot.priority, slot.number
        FROM {slots}
        WHERE slot.project_id = %(project)s
          AND slot."group" = allowed."group"
          AND NOT slot.is_filled
          AND slot.free_from <= statement_timestamp()
          AND {place}
          AND NOT EXISTS (
              SELECT 1 FROM annotation_assignment AS mine
              WHERE mine.comparison_id = slot.comparison_id
                AND mine.annotator_id = %(annotator)s
                AND mine.state <> 'expired'
          )
        ORDER BY {order}
        LIMIT 1
        FOR UPDATE OF slot SKIP LOCKED
    ) AS best
    ORDER BY best.priority DESC, best.number, best.id
    LIMIT 1
),
lost AS (
    UPDATE annotation_assignment AS late
    SET state = 'expired'
    FROM candidate
    WHERE late.slot_id = candidate.id AND late.state = 'held' AND %(instead)s IS NULL
)
UPDATE annotation_slot AS slot
SET free_from = statement_timestamp()
    + CASE WHEN %(instead)s IS NULL THEN make_interval(secs => %(lease)s) ELSE interval '0' END
FROM candidate
WHERE slot.id = candidate.id
RETURNING slot.id, slot.number, slot.comparison_id, statement_timestamp() + make_interval(secs => %(lease)s),
    (SELECT earlier.id FROM annotation_assignment AS earlier
     WHERE earlier.comparison_id = slot.comparison_id AND earlier.annotator_id = %(annotator)s
       AND earlier.state = 'expired' AND earlier.draft IS NOT NULL
     ORDER BY earlier.created_at DESC LIMIT 1),
    (SELECT {pairs} FROM annotation_comparison_completions AS shown
     JOIN sampling_completion AS completion ON completion.id = shown.completion_id
     WHERE shown.comparison_id = coalesce(%(instead)s, slot.comparison_id))
"""

# Completion and policy: for the balance of the order, never for the page.
PAIRS = "jsonb_agg(jsonb_build_array(completion.id, completion.model_version_id))"

ALLOWED_GROUPS = """allowed AS (SELECT unnest(%(groups)s::varchar[]) AS "group")"""

# Each group that has open slots, by jumping along the index from one to the next.
ALL_GROUPS = """
allowed AS (
    (SELECT "group" FROM annotation_slot
     WHERE project_id = %(project)s AND NOT is_filled ORDER BY "group" LIMIT 1)
  UNION ALL
    SELECT (SELECT slot."group" FROM annotation_slot AS slot
            WHERE slot.project_id = %(project)s AND NOT slot.is_filled AND slot."group" > allowed."group"
            ORDER BY slot."group" LIMIT 1)
    FROM allowed WHERE allowed."group" IS NOT NULL
)"""


class Walk(NamedTuple):
    """One way along the index: from where, over which slots, in what order."""

    slots: str
    place: str
    order: str = "slot.priority DESC, slot.number, slot.id"


ALL_SLOTS = "annotation_slot AS slot"
# In the head's order, which is the same, so that the planner need not fetch all of them to find the first.
FIRST_SLOTS = Walk(
    f"""(
            SELECT id, priority, number FROM annotation_slot
            WHERE project_id = %(project)s AND "group" = allowed."group" AND NOT is_filled
            ORDER BY priority DESC, number, id
            LIMIT {HEAD}
        ) AS head JOIN annotation_slot AS slot ON slot.id = head.id""",  # noqa: S608 - a number of ours
    "true",
    "head.priority DESC, head.number, head.id",
)
FROM_THE_BEGINNING = [Walk(ALL_SLOTS, "true")]
# For an annotator who has come this far already. What stands before their newest slot was theirs, or with others.
FROM_THE_BOOKMARK = [
    FIRST_SLOTS,
    Walk(ALL_SLOTS, "slot.priority = %(priority)s AND (slot.number, slot.id) > (%(number)s, %(slot)s)"),
    Walk(ALL_SLOTS, "slot.priority < %(priority)s"),
    *FROM_THE_BEGINNING,
]


def take_next(walk: Walk, *, any_group: bool) -> str:
    allowed = ALL_GROUPS if any_group else ALLOWED_GROUPS
    return TAKE_NEXT.format(allowed=allowed, pairs=PAIRS, **walk._asdict())


# A member's rights, how far they have come, and which comparisons with a known answer they have not had.
STANDING = """
SELECT membership.role, membership.qualification, membership.groups,
       newest.priority, newest.number, newest.id, coalesce(newest.is_fresh, false),
       known.training, known.qualification, known.gold,
       EXISTS (SELECT 1 FROM annotation_comparison WHERE project_id = %(project)s AND purpose = 'qualification'
                                                     AND withdrawn_at IS NULL)
FROM (SELECT) AS nothing
LEFT JOIN annotation_membership AS membership
       ON membership.project_id = %(project)s AND membership.user_id = %(annotator)s
LEFT JOIN LATERAL (
    SELECT slot.priority, slot.number, slot.id,
           div(extract(epoch FROM latest.created_at)::bigint + latest.annotator_id, %(restart)s)
           = div(extract(epoch FROM statement_timestamp())::bigint + latest.annotator_id, %(restart)s) AS is_fresh
    FROM (
        SELECT slot_id, created_at, annotator_id FROM annotation_assignment
        WHERE annotator_id = %(annotator)s ORDER BY created_at DESC LIMIT 20
    ) AS latest
    JOIN annotation_slot AS slot ON slot.id = latest.slot_id
    WHERE slot.project_id = %(project)s
    ORDER BY latest.created_at DESC
    LIMIT 1
) AS newest ON true
LEFT JOIN LATERAL (
    SELECT (array_agg(unseen.id ORDER BY unseen.priority DESC, unseen.id)
            FILTER (WHERE unseen.purpose = 'training'))[1] AS training,
           (array_agg(unseen.id ORDER BY unseen.priority DESC, unseen.id)
            FILTER (WHERE unseen.purpose = 'qualification'))[1] AS qualification,
           (array_agg(unseen.id ORDER BY random())
            FILTER (WHERE unseen.purpose = 'gold'
                      AND (unseen."group" = '' OR %(any_group)s OR unseen."group" = ANY(membership.groups))))[1] AS gold
    FROM annotation_comparison AS unseen
    WHERE unseen.project_id = %(project)s AND unseen.purpose <> 'work' AND unseen.withdrawn_at IS NULL
      AND NOT EXISTS (
          SELECT 1 FROM annotation_assignment AS mine
          WHERE mine.comparison_id = unseen.id AND mine.annotator_id = %(annotator)s AND mine.state <> 'expired'
      )
) AS known ON true
"""

SHOWN = f"""
SELECT {PAIRS} FROM annotation_comparison_completions AS shown
JOIN sampling_completion AS completion ON completion.id = shown.completion_id
WHERE shown.comparison_id = %s
"""  # noqa: S608 - a constant above

# The order: what was opened first.
HELD = """
SELECT assignment.id
FROM annotation_assignment AS assignment
JOIN annotation_comparison AS comparison ON comparison.id = assignment.comparison_id
WHERE assignment.annotator_id = %s AND assignment.state = 'held' AND assignment.purpose <> 'review'
  AND comparison.project_id = %s
ORDER BY assignment.created_at, assignment.id
"""

# The slots first and in one order, as everywhere: against deadlocks.
LOCK_HELD_SLOTS = """
SELECT slot.id
FROM annotation_slot AS slot
JOIN annotation_assignment AS assignment ON assignment.slot_id = slot.id
WHERE assignment.annotator_id = %(annotator)s AND assignment.state = 'held' AND slot.project_id = %(project)s
ORDER BY slot.id
FOR UPDATE OF slot
"""
RENEW_HELD = """
WITH renewed AS (
    UPDATE annotation_assignment AS assignment
    SET leased_until = statement_timestamp() + make_interval(secs => %(lease)s)
    FROM annotation_comparison AS comparison
    WHERE comparison.id = assignment.comparison_id AND comparison.project_id = %(project)s
      AND assignment.annotator_id = %(annotator)s AND assignment.state = 'held'
      AND (assignment.slot_id IS NULL OR assignment.slot_id = ANY(%(slots)s))
    RETURNING assignment.id, assignment.slot_id, assignment.leased_until
),
leased AS (
    UPDATE annotation_slot AS slot SET free_from = renewed.leased_until FROM renewed WHERE slot.id = renewed.slot_id
)
SELECT id, leased_until FROM renewed
"""
