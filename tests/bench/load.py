"""Make large projects quickly: in sets of rows, and the same texts again from TEXTS comparisons on."""

import os
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.db import connection

from annotation import actions
from annotation.models import Project, Role
from sampling.models import ModelVersion, PromptSet, SamplingRun

TEXTS = 50_000  # prompts with two completions each
PARAGRAPH = (
    "Write down what **matters** first, then the rest:\n\n- what was asked, in one sentence;\n- what is known, with "
    "the source;\n- what is only a guess.\n\nA reader who knows nothing of it must be able to follow. "
)

# About 1 KB a text, so 3 KB a task, no two alike.
MAKE_TEXTS = """
WITH prompt AS (
    INSERT INTO sampling_prompt (prompt_set_id, messages, split, metadata, content_hash)
    SELECT %(prompts)s, jsonb_build_array(jsonb_build_object('role', 'user',
               'content', 'Question ' || n || E'.\n\n' || repeat(%(paragraph)s, 4))),
           'train', '{}', lpad(n::text, 64, '0')
    FROM generate_series(1, %(count)s) AS n
    RETURNING id
)
INSERT INTO sampling_completion
    (origin, run_id, prompt_id, model_version_id, index, text, tokens, finish_reason, created_at)
SELECT 'model', %(run)s, prompt.id, policy.id, 0, 'Answer of ' || prompt.id || E'.\n\n' || repeat(%(paragraph)s, 4),
       250, 'stop', now()
FROM prompt CROSS JOIN unnest(%(policies)s) AS policy(id)
"""

MAKE_COMPARISONS = """
WITH prompt AS (
    SELECT id, row_number() OVER (ORDER BY id) - 1 AS place FROM sampling_prompt WHERE prompt_set_id = %(prompts)s
),
made AS (
    INSERT INTO annotation_comparison
        (project_id, prompt_id, content_key, priority, "group", wanted, purpose, explanation, created_at)
    SELECT %(project)s, prompt.id, lpad(n::text, 64, '0'), 0, '', %(overlap)s, 'work', '', now()
    FROM generate_series(1, %(count)s) AS n JOIN prompt ON prompt.place = n %% %(texts)s
    ORDER BY n
    RETURNING id, prompt_id
),
shown AS (
    INSERT INTO annotation_comparison_completions (comparison_id, completion_id)
    SELECT made.id, completion.id FROM made JOIN sampling_completion AS completion USING (prompt_id)
)
INSERT INTO annotation_slot (comparison_id, project_id, number, priority, "group", is_filled, free_from)
SELECT made.id, %(project)s, number, 0, '', false, now()
FROM made CROSS JOIN generate_series(1, %(overlap)s) AS number
"""


# One open slot of each comparison becomes this annotator's answer; the others still wait for somebody else.
HAVE_ALL = """
WITH had AS (
    SELECT DISTINCT ON (comparison_id) id, comparison_id FROM annotation_slot
    WHERE project_id = %(project)s AND NOT is_filled ORDER BY comparison_id, number
),
filled AS (
    UPDATE annotation_slot AS slot SET is_filled = true FROM had WHERE slot.id = had.id
)
INSERT INTO annotation_assignment
    (id, state, purpose, slot_id, comparison_id, annotator_id, display_order, leased_until, created_at, skip_reason)
SELECT gen_random_uuid(), 'submitted', 'work', id, comparison_id, %(annotator)s, '{}', now(), now(), ''
FROM had
"""


@dataclass(frozen=True)
class SignedIn:
    """A user of the bench, with the cookie that a browser of theirs would have."""

    pk: int
    session: str


def make_texts(count: int) -> SamplingRun:
    prompts = PromptSet.objects.create(name="bench")
    run = SamplingRun.objects.create(name="bench", prompt_set=prompts)
    policies = [
        ModelVersion.objects.create(name=f"policy-{n}", role="policy", location=f"models/policy-{n}") for n in range(2)
    ]
    run.policies.set(policies)
    with connection.cursor() as cursor:
        cursor.execute(
            MAKE_TEXTS,
            {
                "prompts": prompts.pk, "run": run.pk, "count": count, "paragraph": PARAGRAPH,
                "policies": [policy.pk for policy in policies],
            },
        )  # fmt: skip
    return run


def make_project(run: SamplingRun, name: str, *, comparisons: int, texts: int, overlap: int = 3, **settings) -> Project:
    """Two completions in each comparison, open slots for ``overlap`` judgments of each."""
    project = actions.create_project(
        name=name, created_by=None, overlap=overlap, completions_per_comparison=2,
        guidelines="Prefer what is **true**, then what is short.", **settings,
    )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(
            MAKE_COMPARISONS,
            {
                "project": project.pk, "prompts": run.prompt_set_id, "overlap": overlap, "count": comparisons,
                "texts": texts,
            },
        )  # fmt: skip
    return project


def settle_tables() -> None:
    """What autovacuum would have done by the time that people come."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("CHECKPOINT")


def make_annotators(project: Project, count: int, name: str) -> list[SignedIn]:
    return [_annotator(project, f"{name}-{number}") for number in range(count)]


def _annotator(project: Project, name: str) -> SignedIn:
    user = User.objects.create(username=name, password="!")
    actions.add_member(project=project, user=user, role=Role.ANNOTATOR)
    session = SessionStore()
    session["_auth_user_id"] = str(user.pk)
    session["_auth_user_backend"] = "django.contrib.auth.backends.ModelBackend"
    session["_auth_user_hash"] = user.get_session_auth_hash()
    session.create()
    return SignedIn(pk=user.pk, session=session.session_key)


def make_annotator_who_had_all(project: Project, name: str) -> SignedIn:
    """Nothing is left for them, while every comparison may still wait for others."""
    user = _annotator(project, name)
    with connection.cursor() as cursor:
        cursor.execute(HAVE_ALL, {"project": project.pk, "annotator": user.pk})
        cursor.execute("VACUUM ANALYZE annotation_slot, annotation_assignment")
    return user


def size_of_database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_size_pretty(pg_database_size(current_database()))")
        return cursor.fetchone()[0]


def processor() -> str:
    for line in open("/proc/cpuinfo"):  # noqa: SIM115
        if line.startswith("model name"):
            return f"{os.cpu_count()} x {line.split(':', 1)[1].strip()}"
    return f"{os.cpu_count()} cores"
