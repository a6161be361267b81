"""How far an annotator is, for the page that they work on. Reads only.

Only of their own answers and of what managers opened: how many slots are open in the project would go down by one
with every answer but those to gold, and so tell which was gold.
"""

from collections.abc import Callable
from dataclasses import dataclass

from django.contrib.auth.models import AbstractBaseUser
from django.db import connection

from annotation.models import Project

# Counting stops here: the cost of the next page must not grow with the project, nor with what one has done.
COUNT_TO = 1_000
KEPT = 100_000  # facts that a process remembers
LOOK_AT = 3_000  # of one's newest answers, in whichever project: those of this one are among them, or too old to count

# Ordered so that each walks along an index and stops early: else the planner may read the whole table for a few rows.
# Gold and its like are counted as any other comparison, so that no sum can tell that there are some.
DONE = """
SELECT count(*) FILTER (WHERE is_here), count(*) FROM (
    SELECT comparison.project_id = %(project)s AS is_here
    FROM (
        SELECT comparison_id, created_at FROM annotation_assignment
        WHERE annotator_id = %(annotator)s AND state = 'submitted'
        ORDER BY created_at DESC LIMIT %(look_at)s
    ) AS mine
    JOIN annotation_comparison AS comparison ON comparison.id = mine.comparison_id
) AS newest
"""
TOTAL = """
SELECT count(*) FROM (SELECT 1 FROM annotation_comparison WHERE project_id = %(project)s LIMIT %(most)s) AS counted
"""


@dataclass(frozen=True)
class OwnProgress:
    """What an annotator sees beside the task. A figure that is capped means that many or more."""

    done: int
    total: int
    is_done_capped: bool
    is_capped: bool


def own_progress(*, project: Project, annotator: AbstractBaseUser) -> OwnProgress:
    done, is_done_capped = _counted("done", (project.pk, annotator.pk), _count_done)
    total, is_capped = _counted("total", (project.pk,), _count_total)
    return OwnProgress(done, total, is_done_capped, is_capped)


# What has reached COUNT_TO, which it never goes back from: it need not be counted again. Per process.
_full: set[tuple] = set()


def _counted(what: str, key: tuple[int, ...], count: Callable[..., tuple[int, bool]]) -> tuple[int, bool]:
    if (what, *key) in _full:
        return COUNT_TO, True
    number, is_capped = count(*key)
    if number >= COUNT_TO:
        if len(_full) > KEPT:
            _full.clear()
        _full.add((what, *key))
    return min(number, COUNT_TO), is_capped or number >= COUNT_TO


def _count_done(project_id: int, annotator_id: int) -> tuple[int, bool]:
    with connection.cursor() as cursor:
        cursor.execute(DONE, {"project": project_id, "annotator": annotator_id, "look_at": LOOK_AT})
        done, looked_at = cursor.fetchone()
    return done, looked_at >= LOOK_AT


def _count_total(project_id: int) -> tuple[int, bool]:
    with connection.cursor() as cursor:
        cursor.execute(TOTAL, {"project": project_id, "most": COUNT_TO})
        return cursor.fetchone()[0], False
