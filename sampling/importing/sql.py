"""The statements by which an import keeps prompts and completions: a batch each, and what is there already stays.

As SQL because only ON CONFLICT with RETURNING says which rows are new while somebody else inserts the same ones. The
rows go in as one JSON value: two thirds of the time of arrays of text, which psycopg quotes item by item.
"""

import json
from typing import Any

from django.db import connection
from django.db.backends.utils import CursorWrapper

INSERT_PROMPTS = """
    INSERT INTO sampling_prompt (prompt_set_id, data_import_id, messages, split, metadata, content_hash)
    SELECT %s, %s, messages, split, metadata, content_hash
    FROM json_to_recordset(%s::json) AS new (messages jsonb, split text, metadata jsonb, content_hash text)
    ON CONFLICT (prompt_set_id, content_hash) DO NOTHING
    RETURNING content_hash, id
"""
FIND_PROMPTS = """
    SELECT content_hash, id FROM sampling_prompt WHERE prompt_set_id = %s AND content_hash = ANY(%s)
"""
INSERT_COMPLETIONS = """
    INSERT INTO sampling_completion
        (origin, data_import_id, prompt_id, index, text, finish_reason, written_by_model, import_key, created_at)
    SELECT 'imported', %s, prompt_id, index, text, finish_reason, writer, import_key, now()
    FROM json_to_recordset(%s::json)
        AS new (prompt_id bigint, index smallint, text text, finish_reason text, writer text, import_key text)
    ON CONFLICT (prompt_id, import_key) WHERE origin = 'imported' DO NOTHING
    RETURNING prompt_id, import_key, id
"""
FIND_COMPLETIONS = """
    SELECT completion.prompt_id, completion.import_key, completion.id
    FROM unnest(%s::bigint[], %s::text[]) AS wanted (prompt_id, import_key)
    JOIN sampling_completion AS completion
        ON completion.prompt_id = wanted.prompt_id AND completion.import_key = wanted.import_key
    WHERE completion.origin = 'imported'
"""


def as_rows(rows: list[dict[str, Any]]) -> str:
    """What json_to_recordset reads: objects with its columns' names."""
    return json.dumps(rows, ensure_ascii=False)


def fetched(statement: str, parameters: list[Any]) -> list[tuple[Any, ...]]:
    """All rows that a statement gives, inside the caller's transaction."""
    cursor: CursorWrapper
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall()
