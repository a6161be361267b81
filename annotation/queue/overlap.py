"""Fit the slots of open comparisons to a project's overlap, in sets of rows: a project may have a million.

Called by actions. A step is one statement of writing and one of deleting over a stretch of comparisons, so that
a large project can be fitted in many short transactions; each can be repeated and does nothing the second time.
"""

from datetime import UTC, datetime

from django.db import connection

from annotation.models import Project

# The lease of a slot that nobody is to have: review.py sets slots aside in the same way.
PARKED = datetime(9999, 1, 1, tzinfo=UTC)
STEP = 20_000  # comparisons: about a second on a small machine
MANY = 50_000  # more comparisons than this are fitted step by step, not while somebody waits for a form

# The share is drawn as opening.judgments_wanted draws it, by the comparison's own hash: tests hold the two together.
WANTED = """
    CASE WHEN ('x' || substr(content_key, 1, 8))::bit(32)::bigint %% 100 < %(percent)s THEN %(overlap)s ELSE 1 END
"""

# Of what changed only: a comparison that has its slots already costs one look.
FIT = f"""
WITH fitted AS (
    UPDATE annotation_comparison
    SET wanted = {WANTED}
    WHERE project_id = %(project)s AND id > %(after)s AND id <= %(until)s
      AND purpose = 'work' AND withdrawn_at IS NULL AND wanted <> {WANTED}
    RETURNING id, wanted, priority, "group"
)
INSERT INTO annotation_slot (comparison_id, project_id, number, priority, "group", is_filled, free_from)
SELECT fitted.id, %(project)s, number, fitted.priority, fitted."group", false, statement_timestamp()
FROM fitted CROSS JOIN LATERAL generate_series(1, fitted.wanted) AS number
ON CONFLICT (comparison_id, number) DO NOTHING
"""  # noqa: S608 - both parts are constants above

# Comparisons that may have more open slots than they still want, or that have some set aside. (No alias "slot": each
# statement below has its own.)
AFFECTED = """
    SELECT comparison.id, comparison.wanted
    FROM annotation_comparison AS comparison
    WHERE comparison.project_id = %(project)s AND comparison.id > %(after)s AND comparison.id <= %(until)s
      AND comparison.purpose = 'work' AND comparison.withdrawn_at IS NULL
      AND EXISTS (
          SELECT 1 FROM annotation_slot AS odd
          WHERE odd.comparison_id = comparison.id AND (odd.number > comparison.wanted OR odd.free_from = %(parked)s)
      )
"""

# So that nobody takes one while they are counted; in the queue's order, against deadlocks.
LOCK = f"""
SELECT slot.id FROM annotation_slot AS slot JOIN ({AFFECTED}) AS affected ON affected.id = slot.comparison_id
WHERE NOT slot.is_filled
ORDER BY slot.id
FOR UPDATE OF slot
"""  # noqa: S608 - a constant above

# As many open slots stay as judgments are missing beside those given and those being worked on: no judgment and no
# lease is lost, and none too many is asked for. What nobody ever had is deleted; what somebody skipped or let go stays
# on record and is set aside, until it is wanted again.
TAKE_AWAY = f"""
WITH counted AS (
    SELECT slot.id, slot.comparison_id, slot.number, slot.free_from, affected.wanted,
           EXISTS (SELECT 1 FROM annotation_assignment AS earlier WHERE earlier.slot_id = slot.id) AS was_taken,
           slot.is_filled OR EXISTS (
               SELECT 1 FROM annotation_assignment AS held WHERE held.slot_id = slot.id AND held.state = 'held'
           ) AS is_taken
    FROM annotation_slot AS slot JOIN ({AFFECTED}) AS affected ON affected.id = slot.comparison_id
),
placed AS (
    SELECT counted.*,
           row_number() OVER (PARTITION BY comparison_id, is_taken ORDER BY number)
           + count(*) FILTER (WHERE is_taken) OVER (PARTITION BY comparison_id) AS place
    FROM counted
),
gone AS (
    DELETE FROM annotation_slot AS slot USING placed
    WHERE slot.id = placed.id AND NOT placed.is_taken AND placed.place > placed.wanted AND NOT placed.was_taken
)
UPDATE annotation_slot AS slot
SET free_from = CASE WHEN placed.place > placed.wanted THEN %(parked)s ELSE statement_timestamp() END
FROM placed
WHERE slot.id = placed.id AND NOT placed.is_taken
  AND CASE WHEN placed.place > placed.wanted THEN placed.was_taken ELSE placed.free_from = %(parked)s END
"""  # noqa: S608 - a constant above


def fit_step(project: Project, *, after: int = 0, step: int = STEP) -> int | None:
    """Fit the next ``step`` comparisons behind the one with id ``after``; the last one's id, None behind the end."""
    until = project.comparisons.filter(pk__gt=after).order_by("pk").values_list("pk", flat=True)[:step]
    last = max(until, default=None)
    if last is None:
        return None
    values = {
        "project": project.pk, "after": after, "until": last,
        "overlap": project.overlap, "percent": project.overlap_percent, "parked": PARKED,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(FIT, values)
        cursor.execute(LOCK, values)
        cursor.execute(TAKE_AWAY, values)
    return last


def fit_all(project: Project) -> None:
    """Every comparison of the project, in the caller's transaction."""
    after: int | None = 0
    while after is not None:
        after = fit_step(project, after=after)
