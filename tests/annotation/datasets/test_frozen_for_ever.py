"""Whatever happens after a snapshot is frozen, it is the same: its hash, and every byte of its rows."""

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from annotation.actions.withdrawals import withdraw_work
from annotation.datasets import hashing
from annotation.datasets.choice import Choice
from annotation.datasets.exports import ExportRefused, write_export
from annotation.datasets.freezing import freeze
from annotation.models import GuidelinesVersion, JudgeKind, Judgment
from annotation.rules.aggregation import Aggregation
from sampling.models import ModelVersion, Prompt, PromptSet
from tests.annotation.judged import judge, make_comparison, make_project, make_user

NAMES = ("alice", "bob", "charlie")
RANKINGS = ([[0], [1]], [[1], [0]], [[0, 1]])


@pytest.fixture
def project(db):
    project = make_project()
    project.guidelines_version = GuidelinesVersion.objects.create(project=project, number=1, text="Be fair.")
    project.save()
    return project


def judged_newly(project, number):
    name = f"annotator-{number}-{uuid.uuid4().hex[:6]}"
    judge(project.comparisons.order_by("pk")[number % project.comparisons.count()], name, RANKINGS[number % 3])


def corrected(project, number):
    found = list(Judgment.objects.current().filter(comparison__project=project, is_decision=False).order_by("pk"))
    first = found[number % len(found)]
    judge(first.comparison, first.annotator.username, RANKINGS[number % 3], supersedes=first)


def decided(project, number):
    comparison = project.comparisons.order_by("pk")[number % project.comparisons.count()]
    judge(comparison, f"rita-{uuid.uuid4().hex[:6]}", RANKINGS[number % 3], is_decision=True)


def withdrawn(project, number):
    withdraw_work(annotator=make_user(NAMES[number % 3]), reason="Asked for.")


def comparison_withdrawn(project, number):
    comparison = project.comparisons.order_by("pk")[number % project.comparisons.count()]
    type(comparison).objects.filter(pk=comparison.pk).update(withdrawn_at=timezone.now())


def split_otherwise_in_another_set(project, number):
    prompt = Prompt.objects.filter(comparisons__project=project).order_by("pk")[number % project.comparisons.count()]
    other = "train" if prompt.split == "eval" else "eval"
    copy = Prompt(messages=prompt.messages, split=other, content_hash=prompt.content_hash)
    copy.prompt_set = PromptSet.objects.create(name=uuid.uuid4().hex)
    copy.save()


def edited(project, number):
    comparison = project.comparisons.order_by("pk")[number % project.comparisons.count()]
    judge(comparison, f"editor-{uuid.uuid4().hex[:6]}", [[2], [0], [1]], edit="Better.")


def renamed(project, number):
    ModelVersion.objects.update(name=f"version {number}")
    project.name, project.allow_ties, project.preset = f"Project {number}", False, ""
    project.guidelines_version = GuidelinesVersion.objects.create(
        project=project, number=project.guidelines_versions.count() + 1, text=f"Be quick, {number}."
    )
    project.save()


def frozen_again(project, number):
    choice = Choice(f"later-{uuid.uuid4().hex[:8]}", (project.pk,), tuple(JudgeKind.values))
    freeze(choice=choice, project=project)


LATER = [
    judged_newly, corrected, decided, withdrawn, comparison_withdrawn, split_otherwise_in_another_set, edited, renamed,
    frozen_again,
]  # fmt: skip


def rows_of(snapshot, folder):
    """Every byte of the rows and of the card beside them."""
    found = {}
    for layout in ("trl_preference", "rankings"):
        for rows in ("judgment", "majority"):
            directory = folder / f"{layout}-{rows}-{uuid.uuid4().hex}"
            try:
                export = write_export(
                    snapshot=snapshot, directory=directory, rows=rows, layout=layout,
                    has_rationales=layout == "rankings",
                )  # fmt: skip
            except ExportRefused as refusal:  # all of it is tied: then there is no row, and never will be
                found[layout, rows] = str(refusal)
            else:
                found[layout, rows] = {path.name: path.read_bytes() for path in export.files}
    return found


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    before=st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=8),
    later=st.lists(st.tuples(st.sampled_from(LATER), st.integers(0, 7)), min_size=1, max_size=6),
    aggregation=st.sampled_from(list(Aggregation)),
)
@pytest.mark.slow
def test_whatever_happens_later_its_hash_and_its_rows_stay(project, tmp_path, before, later, aggregation):
    from django.db import transaction

    with transaction.atomic():
        comparisons = [
            make_comparison(project, ["Yes.", "No."], question=f"Question {n}?", split="eval" if n == 3 else "train")
            for n in range(4)
        ]
        for name, number, ranking in dict.fromkeys(before):
            if not comparisons[number].judgments.filter(annotator=make_user(name)).exists():
                judge(
                    comparisons[number], name, RANKINGS[ranking], rationale=f"Because {name}.",
                    guidelines_version=project.guidelines_version, created_at=timezone.now() - timedelta(days=number),
                )  # fmt: skip
        choice = Choice("june", (project.pk,), ("person",), aggregation=aggregation)
        snapshot = freeze(choice=choice, project=project)
        content_hash, counts = snapshot.content_hash, snapshot.counts
        rows = rows_of(snapshot, tmp_path)
        for happens, number in later:
            happens(project, number)
        snapshot.refresh_from_db()
        assert (snapshot.content_hash, snapshot.counts) == (content_hash, counts)
        assert hashing.settings_hash(snapshot.settings) == content_hash
        assert rows_of(snapshot, tmp_path) == rows
        transaction.set_rollback(True)
