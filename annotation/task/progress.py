"""How far an annotator is, for the page that they work on. Reads only."""

from dataclasses import dataclass

from django.contrib.auth.models import AbstractBaseUser
from django.db import connection

from annotation.models import Project

# Counting stops here: the cost of the next page must not grow with the project, nor with what one has done.
COUNT_TO = 1_000

# Ordered so that each walks along an index and stops early: else the planner may read the whole table for a few rows.
# Gold and its like are counted as any other comparison, so that no sum can tell that there are some.
COUNTS = """
SELECT
    (SELECT count(*) FROM (
        SELECT 1 FROM annotation_assignment AS mine
        JOIN annotation_comparison AS comparison ON comparison.id = mine.comparison_id
        WHERE mine.annotator_id = %(annotator)s AND mine.state = 'submitted' AND comparison.project_id = %(project)s
        ORDER BY mine.created_at DESC LIMIT %(most)s) AS done),
    (SELECT count(*) FROM (
        SELECT 1 FROM annotation_comparison WHERE project_id = %(project)s LIMIT %(most)s) AS total),
    (SELECT count(*) FROM (
        SELECT 1 FROM annotation_slot WHERE project_id = %(project)s AND NOT is_filled
        ORDER BY project_id, "group", priority DESC, number, id LIMIT %(most)s) AS open)
"""


@dataclass(frozen=True)
class OwnProgress:
    """What an annotator sees beside the task. Each figure stops at COUNT_TO: then it means that many or more."""

    done: int
    total: int
    open: int

    @property
    def is_capped(self) -> bool:
        return self.total == COUNT_TO

    @property
    def is_done_capped(self) -> bool:
        return self.done == COUNT_TO

    @property
    def is_open_capped(self) -> bool:
        return self.open == COUNT_TO


def own_progress(*, project: Project, annotator: AbstractBaseUser) -> OwnProgress:
    with connection.cursor() as cursor:
        cursor.execute(COUNTS, {"project": project.pk, "annotator": annotator.pk, "most": COUNT_TO})
        return OwnProgress(*cursor.fetchone())
