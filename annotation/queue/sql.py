"""The queue's statements (next_slot.py). Each looks at one window of the open slots: so many, from some place on."""

# SKIP LOCKED: whoever comes second takes the next slot instead of waiting for the first. The subselect leaves
# out what this annotator holds, has judged or has skipped: one look into an index for each slot of the window. (As NOT
# EXISTS it may be planned as a join that reads all that they ever had.) Time is the database's everywhere: one clock.
# A group of comparisons is a stretch of the index of its own: one walk in each, then the best of them.
# Whoever let their lease run out on the slot has now lost it. With ``instead``, everything is done but nothing is
# taken, so that a comparison of known answer, given ``instead``, takes as long to come as any other.
TAKE_NEXT = """
WITH RECURSIVE {allowed},
candidate AS (
    SELECT best.id
    FROM allowed CROSS JOIN LATERAL (
        SELECT slot.id, slot.priority, slot.number
        FROM ({window}) AS seen JOIN annotation_slot AS slot ON slot.id = seen.id
        WHERE slot.project_id = %(project)s
          AND slot."group" = allowed."group"
          AND NOT slot.is_filled AND NOT slot.is_parked
          AND slot.free_from <= statement_timestamp()
          AND seen.free_from <= statement_timestamp()
          AND (
              SELECT mine.id FROM annotation_assignment AS mine
              WHERE mine.comparison_id = seen.comparison_id
                AND mine.annotator_id = %(annotator)s
                AND mine.state <> 'expired'
              LIMIT 1
          ) IS NULL
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
RETURNING slot.id, slot.number, slot.priority, slot.comparison_id,
    statement_timestamp() + make_interval(secs => %(lease)s),
    (SELECT earlier.id FROM annotation_assignment AS earlier
     WHERE earlier.comparison_id = slot.comparison_id AND earlier.annotator_id = %(annotator)s
       AND earlier.state = 'expired' AND earlier.draft IS NOT NULL
     ORDER BY earlier.created_at DESC LIMIT 1),
    (SELECT count(*) FROM annotation_assignment AS given
     WHERE given.comparison_id = coalesce(%(instead)s, slot.comparison_id)),
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
     WHERE project_id = %(project)s AND NOT is_filled AND NOT is_parked ORDER BY "group" LIMIT 1)
  UNION ALL
    SELECT (SELECT slot."group" FROM annotation_slot AS slot
            WHERE slot.project_id = %(project)s AND NOT slot.is_filled AND NOT slot.is_parked
              AND slot."group" > allowed."group"
            ORDER BY slot."group" LIMIT 1)
    FROM allowed WHERE allowed."group" IS NOT NULL
)"""


# In the order of the index. The outer order is the same, so that the planner need not fetch all to find the first.
WINDOW = """
    SELECT id, priority, number, comparison_id, free_from FROM annotation_slot
    WHERE project_id = %(project)s AND "group" = allowed."group" AND NOT is_filled AND NOT is_parked AND {place}
    ORDER BY priority DESC, number, id
"""

# Places. One walk along the index cannot go from a slot over the end of its priority: two can.
EVERYWHERE = "true"
FROM_HERE = "priority = %(priority)s AND (number, id) >= (%(number)s, %(slot)s)"
BELOW_HERE = "priority < %(priority)s"

# Where a window ends that holds as many as it may; of several groups the one that did not come as far as the others.
WINDOW_END = """
WITH RECURSIVE {allowed}
SELECT last.priority, last.number, last.id
FROM allowed CROSS JOIN LATERAL ({window} OFFSET %(window)s - 1 LIMIT 1) AS last
ORDER BY last.priority DESC, last.number, last.id
LIMIT 1
"""


def take_next(place: str, *, any_group: bool) -> str:
    return TAKE_NEXT.format(
        allowed=ALL_GROUPS if any_group else ALLOWED_GROUPS,
        pairs=PAIRS,
        window=f"{WINDOW.format(place=place)} LIMIT %(window)s",
        # Of one priority this is the window's own order; were the priority named, all of it would be sorted first.
        order="seen.number, seen.id" if place == FROM_HERE else "seen.priority DESC, seen.number, seen.id",
    )


def window_end(place: str, *, any_group: bool) -> str:
    return WINDOW_END.format(allowed=ALL_GROUPS if any_group else ALLOWED_GROUPS, window=WINDOW.format(place=place))


# A member's rights, how far they have come, and which comparisons with a known answer they have not had. Of gold, what
# was opened nearest to the work that they had last: work comes in that order, and what does not would stand out.
STANDING = """
SELECT membership.role, membership.qualification, membership.groups,
       newest.priority, newest.number, newest.id,
       known.training, known.qualification, known.gold,
       EXISTS (SELECT 1 FROM annotation_comparison WHERE project_id = %(project)s AND purpose = 'qualification'
                                                     AND withdrawn_at IS NULL)
FROM (SELECT) AS nothing
LEFT JOIN annotation_membership AS membership
       ON membership.project_id = %(project)s AND membership.user_id = %(annotator)s
LEFT JOIN LATERAL (
    SELECT slot.priority, slot.number, slot.id, slot.comparison_id
    FROM (
        SELECT slot_id, created_at FROM annotation_assignment
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
           (array_agg(unseen.id ORDER BY abs(unseen.id - coalesce(newest.comparison_id, 0)))
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
SELECT (SELECT count(*) FROM annotation_assignment AS given WHERE given.comparison_id = %(comparison)s),
    (SELECT {PAIRS} FROM annotation_comparison_completions AS shown
     JOIN sampling_completion AS completion ON completion.id = shown.completion_id
     WHERE shown.comparison_id = %(comparison)s)
"""  # noqa: S608 - a constant above

# The order: what was opened first.
# Nobody waits for the disk: a lease that is lost because the machine fails within the same second is taken anew, and
# an answer, which is waited for, takes the lease that it was given under to the disk with it.
LOCK_AND_HELD = """
SET LOCAL synchronous_commit = off;
SELECT pg_advisory_xact_lock(%(family)s, %(key)s);
SELECT assignment.id
FROM annotation_assignment AS assignment
JOIN annotation_comparison AS comparison ON comparison.id = assignment.comparison_id
WHERE assignment.annotator_id = %(annotator)s AND assignment.state = 'held' AND assignment.purpose <> 'review'
  AND comparison.project_id = %(project)s
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
