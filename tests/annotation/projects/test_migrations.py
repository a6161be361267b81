"""An installation of the first release comes over with its data."""

import uuid
from datetime import UTC, datetime

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

FIRST = [("annotation", "0001_initial"), ("sampling", "0003_limits_of_sampling_runs")]


def migrate(targets):
    executor = MigrationExecutor(connection)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # no table is altered while its rows wait for a check
    executor.migrate(targets)
    return MigrationExecutor(connection).loader.project_state(targets).apps


BEFORE_PARKING = [("annotation", "0004_judgments_by_time")]


def test_slots_that_were_set_aside_until_the_year_9999_are_parked(db):
    old = migrate(BEFORE_PARKING).get_model
    project = old("annotation", "Project").objects.create(name="Kept", slug="kept", overlap=1)
    prompt_set = old("sampling", "PromptSet").objects.create(name="questions")
    prompt = old("sampling", "Prompt").objects.create(prompt_set=prompt_set, messages=[], content_hash="0" * 64)
    comparison = old("annotation", "Comparison").objects.create(project=project, prompt=prompt, content_key="0" * 64)
    for number, free_from in enumerate([timezone.now(), datetime(9999, 1, 1, tzinfo=UTC)], start=1):
        old("annotation", "Slot").objects.create(
            project=project, comparison=comparison, number=number, free_from=free_from
        )
    new = migrate(MigrationExecutor(connection).loader.graph.leaf_nodes()).get_model
    slots = new("annotation", "Slot").objects.order_by("number")
    assert list(slots.values_list("is_parked", flat=True)) == [False, True]
    assert all(slot.free_from <= timezone.now() for slot in slots)


@pytest.fixture
def first_release(db):
    """The tables as the first release made them; the test's transaction takes it all back."""
    return migrate(FIRST)


def test_a_project_of_the_first_release_keeps_its_guidelines_its_scale_and_its_judgments(first_release):
    old = first_release.get_model
    user = old("auth", "User").objects.create(username="alice")
    Project = old("annotation", "Project")
    kept = Project.objects.create(
        name="Kept", slug="kept", guidelines="Be *kind*.", overlap=3, ask_strength=True, created_by=user
    )
    plain = Project.objects.create(name="Plain", slug="plain", guidelines="", overlap=1, ask_strength=False)
    prompt_set = old("sampling", "PromptSet").objects.create(name="questions")
    prompt = old("sampling", "Prompt").objects.create(prompt_set=prompt_set, messages=[], content_hash="0" * 64)
    comparison = old("annotation", "Comparison").objects.create(project=kept, prompt=prompt, content_key="0" * 64)
    slot = old("annotation", "Slot").objects.create(
        project=kept, comparison=comparison, number=1, is_filled=True, free_from=timezone.now()
    )
    assignment = old("annotation", "Assignment").objects.create(
        slot=slot, comparison=comparison, annotator=user, display_order=[2, 1], state="submitted",
        leased_until=timezone.now(),
    )  # fmt: skip
    judgment = old("annotation", "Judgment").objects.create(
        comparison=comparison, annotator=user, assignment=assignment, kind="person", ranking=[[1], [2]],
        strengths=["better"], revision=1, request_key=uuid.uuid4(),
    )  # fmt: skip

    leaves = MigrationExecutor(connection).loader.graph.leaf_nodes()
    new = migrate(leaves).get_model

    project = new("annotation", "Project").objects.get(pk=kept.pk)
    version = project.guidelines_version
    assert (version.number, version.text, version.created_by_id) == (1, "Be *kind*.", user.pk)
    assert (project.strength_scale, project.overlap, project.overlap_percent) == ("llama2", 3, 100)
    bare = new("annotation", "Project").objects.get(pk=plain.pk)
    assert (bare.strength_scale, bare.guidelines_version) == ("none", None)
    assert new("annotation", "Comparison").objects.get().wanted == 3
    assert new("annotation", "Assignment").objects.get().purpose == "work"
    found = new("annotation", "Judgment").objects.get()
    assert (found.pk, found.ranking, found.marks, found.is_decision) == (judgment.pk, [[1], [2]], {}, False)
