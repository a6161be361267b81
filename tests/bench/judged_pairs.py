"""Makes a project of pairs that are judged already, by the million: rows of SQL, no two texts alike."""

import random

from django.contrib.auth.models import User
from django.db import connection

from annotation.datasets.snapshots import freeze_snapshot
from annotation.models import DatasetSnapshot, Project
from sampling.models import DataImport, PromptSet

ANNOTATORS = 20
TEXTS, WORDS = 64, 600  # texts to cut pieces from, and words in each

# A prompt of about 250 characters and two completions of 200 to 800 each, cut from one of many texts at another place
# for each number; the number itself makes them unique.
MAKE = """
WITH numbers AS (SELECT generate_series(1, %(count)s) AS n),
prompt AS (
    INSERT INTO sampling_prompt (prompt_set_id, messages, split, metadata, content_hash, data_import_id)
    SELECT %(prompts)s, jsonb_build_array(jsonb_build_object('role', 'user', 'content',
               'Question ' || n || ': '
               || substr((%(texts)s::text[])[1 + n %% 64], (1 + n::bigint * 7919 %% 2000)::int,
                         (100 + n::bigint * 31 %% 300)::int))),
           CASE WHEN n %% 20 = 0 THEN 'eval' ELSE 'train' END,
           jsonb_build_object('language', 'en', 'category', 'open question', 'number', n),
           encode(sha256((%(prompts)s || ' ' || n)::bytea), 'hex'), %(import)s
    FROM numbers ORDER BY n
    RETURNING id
),
side AS (
    INSERT INTO sampling_completion
        (origin, prompt_id, index, text, finish_reason, created_at, data_import_id, written_by_model, import_key)
    SELECT 'imported', prompt.id, place,
           substr((%(texts)s::text[])[(1 + (prompt.id * 5 + place * 17) %% 64)::int],
                  (1 + (prompt.id * 2 + place) * 104729 %% 2000)::int,
                  (200 + (prompt.id * 2 + place) * 131 %% 600)::int) || prompt.id,
           'stop', now(), %(import)s, 'policy-' || place, place::text
    FROM prompt CROSS JOIN generate_series(0, 1) AS place
    RETURNING id, prompt_id
),
comparison AS (
    INSERT INTO annotation_comparison
        (project_id, prompt_id, content_key, priority, "group", wanted, purpose, explanation, created_at,
         data_import_id)
    SELECT %(project)s, id, lpad(id::text, 64, '0'), 0, '', 0, 'work', '', now(), %(import)s FROM prompt ORDER BY id
    RETURNING id, prompt_id
),
shown AS (
    INSERT INTO annotation_comparison_completions (comparison_id, completion_id)
    SELECT comparison.id, side.id FROM comparison JOIN side USING (prompt_id)
),
pair AS (
    SELECT comparison.id, min(side.id) AS low, max(side.id) AS high
    FROM comparison JOIN side USING (prompt_id) GROUP BY comparison.id
)
INSERT INTO annotation_judgment
    (comparison_id, annotator_id, data_import_id, source, kind, is_decision, ranking, strengths, marks, all_bad,
     rationale, revision, request_key, created_at)
SELECT id, (%(annotators)s::int[])[1 + id %% %(annotator_count)s], %(import)s, '{}', 'imported', false,
       CASE WHEN id %% 3 = 0 THEN jsonb_build_array(jsonb_build_array(high), jsonb_build_array(low))
            ELSE jsonb_build_array(jsonb_build_array(low), jsonb_build_array(high)) END,
       jsonb_build_array((ARRAY['significantly_better', 'better', 'slightly_better'])[1 + id %% 3]),
       '{}', false, 'It answers the question.', 1, gen_random_uuid(),
       '2026-06-01'::timestamptz + id * interval '1 second'
FROM pair ORDER BY id
"""


def make(count: int, name: str) -> Project:
    project = Project.objects.create(name=name, slug=name, overlap=1)
    prompts = PromptSet.objects.create(name=name)
    data_import = DataImport.objects.create(
        what="judgments", prompt_set=prompts, name=name, location=name, state="finished"
    )
    annotators = [User.objects.get_or_create(username=f"annotator-{n}")[0].pk for n in range(ANNOTATORS)]
    with connection.cursor() as cursor:
        cursor.execute(
            MAKE,
            {
                "count": count, "prompts": prompts.pk, "project": project.pk, "import": data_import.pk,
                "texts": texts(), "annotators": annotators, "annotator_count": ANNOTATORS,
            },
        )  # fmt: skip
    return project


def texts() -> list[str]:
    """Words that are no words, with marks, line breaks and some of other scripts: it compresses about as prose does."""
    draw = random.Random(17)
    letters = ["".join(draw.choices("etaoinshrdlu", k=draw.randint(2, 9))) for _ in range(3000)]
    words = [*letters, "**key**", "“so”", "für", "잼은", "2019,", "3.60.", "`x = 1`", "\n\n", "\n- "]
    return [" ".join(draw.choices(words, k=WORDS)) for _ in range(TEXTS)]


def settle_tables() -> None:
    """What autovacuum would have done by the time that somebody freezes."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE)")


def freeze(project: Project) -> DatasetSnapshot:
    return freeze_snapshot(project=project, name="june", kinds=["imported"])


def size_of_database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_size_pretty(pg_database_size(current_database()))")
        return cursor.fetchone()[0]
