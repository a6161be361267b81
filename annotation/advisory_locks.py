"""PostgreSQL's advisory locks that annotation takes: one family for each thing of which there is to be one at a time.

A lock has a two-part key, the family and the id of a row; it is held until the transaction ends.
"""

from enum import IntEnum

from django.db import connection


class Family(IntEnum):
    """Any numbers that nobody else uses as the first part of a key here."""

    CLAIMS = 7301  # of an annotator: their other tabs wait
    REPORT = 7302  # of a project: a worker computes it
    COMPLETED = 7304  # of a comparison: whoever gives its last judgment sees all the others
    SLOTS = 7303  # of a project: a manager or a reviewer makes slots or takes them away


def key_of(row_id: int) -> int:
    """The second part of a key, which has 32 bits."""
    return row_id % 2**31


def wait_for(family: Family, row_id: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [family, key_of(row_id)])


def try_for(family: Family, row_id: int) -> bool:
    """Whether it was free, and is held now."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [family, key_of(row_id)])
        return cursor.fetchone()[0]


def is_held(family: Family, row_id: int) -> bool:
    """Whether somebody holds it at this moment. Looked up and not tried: whoever tries holds it for a moment."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND classid = %s AND objid = %s"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))",
            [family, key_of(row_id)],
        )
        return cursor.fetchone()[0]
