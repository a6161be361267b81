"""An import of judgments is taken out as a whole, or not at all, with the names of what stands in the way."""

from unittest.mock import patch

import pytest
from django.contrib.auth.models import User
from django.db import transaction

from annotation import actions
from annotation.actions import review
from annotation.datasets.snapshots import freeze_snapshot
from annotation.models import (
    Comparison,
    JudgeKind,
    Judgment,
    Project,
    ProjectReport,
    Purpose,
    Role,
    WithdrawnWork,
)
from sampling.importing.stores import CannotUndo
from sampling.models import Completion, Prompt
from tests.annotation.importing.bring import an_import, bring, prefers, record, take_out
from tests.annotation.judged import judge, make_project

pytestmark = pytest.mark.django_db
ROWS = [record(prefers(0, 1, annotator="dora"), prefers(1, 0), question=f"Question {n}?") for n in range(3)]


@pytest.fixture
def project(db):
    return make_project()


@pytest.fixture
def brought(project):
    data_import = an_import(project)
    bring(data_import, ROWS)
    return data_import


def everything():
    kinds = (Prompt, Completion, Comparison, Judgment, User, Comparison.completions.through)
    return {kind.__name__: set(kind.objects.values_list("pk", flat=True)) for kind in kinds}


def test_an_import_that_nothing_came_of_is_taken_out_without_a_trace(project, bob):
    before = everything()
    data_import = an_import(project)
    bring(
        data_import,
        [*ROWS, record(prefers(0, 1, annotator="dora", day=1)), record(prefers(1, 0, annotator="dora", day=2))],
    )
    take_out(data_import)
    assert everything() == before
    assert bring(data_import, ROWS).judgments == 6  # and may be brought in again


def test_what_an_earlier_import_brought_stays(project, brought):
    before = everything()
    second = an_import(project, "second")
    bring(second, [*ROWS, record(prefers(0, 1, annotator="erik")), record(prefers(0, 1, annotator="dora", day=2))])
    take_out(second)
    assert everything() == before


def test_judgments_that_joined_a_comparison_of_ours_go_and_the_comparison_stays(project, bob):
    actions.add_member(project=project, user=bob, role=Role.ANNOTATOR)
    bring(an_import(make_project("Another")), ROWS)
    actions.open_comparisons(project=project, completions=Completion.objects.all(), k=2)
    before = everything()
    data_import = an_import(project)
    bring(data_import, ROWS)
    actions.claim_next(project=project, annotator=bob)
    take_out(data_import)
    assert everything() == before
    assert project.slots.count() == 9


def test_a_project_that_the_import_made_goes_with_it_unless_it_is_used(alice, bob):
    for name, is_used in (("Unused", False), ("Used", True)):
        data_import = an_import(None, new_project=name)
        data_import.created_by = alice
        bring(data_import, ROWS)
        if is_used:
            actions.add_member(project=Project.objects.get(name=name), user=bob, role=Role.ANNOTATOR)
        take_out(data_import)
        assert Project.objects.filter(name=name).exists() == is_used
        assert not Comparison.objects.exists()
        bring(data_import, ROWS)  # again, into a project of the same name
        assert Project.objects.get(name=name).comparisons.count() == 3
        take_out(data_import)


def test_a_pseudonym_whose_work_is_withdrawn_stays_withdrawn(project, brought):
    annotator = Judgment.objects.first().annotator
    WithdrawnWork.objects.create(annotator=annotator, reason="asked for")
    take_out(brought)
    assert User.objects.filter(username__startswith="imported-").get() == annotator


def test_new_figures_are_asked_for(project, brought, django_capture_on_commit_callbacks):
    ProjectReport.objects.create(project=project)
    with patch("annotation.tasks.compute_report.delay") as asked, django_capture_on_commit_callbacks(execute=True):
        take_out(brought)
    asked.assert_called_once()


# --- shared with other imports --------------------------------------------------------------------------------------


def judged_by(name: str) -> list:
    return [record(prefers(0, 1, annotator=name), question=f"Question {n}?") for n in range(2)]


def two_that_share(project):
    """Of one comparison each has the row, and both have a judgment of both: each needs something of the other's."""
    first, second = an_import(project, "first.jsonl"), an_import(project, "second.jsonl")
    bring(first, judged_by("dora")[:1])
    bring(second, judged_by("erik"))
    bring(first, judged_by("dora"))
    assert [each.comparisons.count() for each in (first, second)] == [1, 1]
    return first, second


@pytest.mark.parametrize("goes", [0, 1], ids=["the first", "the second"])
def test_what_two_imports_share_stays_as_the_others(project, goes):
    both = two_that_share(project)
    take_out(both[goes])
    stays = both[1 - goes]
    for kind, count in ((Prompt, 2), (Completion, 4), (Comparison, 2), (Judgment, 2)):
        assert set(kind.objects.values_list("data_import", flat=True)) == {stays.pk}
        assert kind.objects.count() == count
    stays.refresh_from_db()  # counted where it was handed over: a prompt, its two completions and their comparison
    assert (stays.prompts_added, stays.completions_added, stays.comparisons_added) == (1, 2, 1)
    take_out(stays)
    assert not Prompt.objects.exists()
    assert not Judgment.objects.exists()


def test_two_that_have_revised_each_other_can_both_be_undone(project):
    first, second = an_import(project, "first.jsonl"), an_import(project, "second.jsonl")

    def says(data_import, number: int, *ranking: int, day: int) -> None:
        bring(data_import, [record(prefers(*ranking, annotator="dora", day=day), question=f"Question {number}?")])

    says(first, 0, 0, 1, day=1)
    says(second, 0, 1, 0, day=2)
    says(second, 1, 0, 1, day=1)
    says(first, 1, 1, 0, day=2)
    take_out(first)
    # Question 0: the first's word stays under the second's, which revises it. Question 1: its revision is gone.
    kept = Judgment.objects.order_by("comparison", "revision").values_list("data_import", "revision")
    assert list(kept) == [(second.pk, 1), (second.pk, 2), (second.pk, 1)]
    take_out(second)
    assert not Judgment.objects.exists()


# --- refused ---------------------------------------------------------------------------------------------------------


def frozen(project, brought, alice, bob):
    freeze_snapshot(project=project, name="june", kinds=[JudgeKind.IMPORTED])


def decided(project, brought, alice, bob):
    judge_here(project, bob, is_decision=True)


def judged_here(project, brought, alice, bob):
    judge_here(project, bob)


def judge_here(project, bob, **more):
    comparison = project.comparisons.first()
    judge(comparison, bob.username, [[0], [1]], **more)


def held(project, brought, alice, bob):
    actions.add_member(project=project, user=bob, role=Role.ANNOTATOR)
    review.ask_for_judgments(comparison=project.comparisons.first(), wanted=1, by=alice)
    assert actions.claim_next(project=project, annotator=bob)


def revised(project, brought, alice, bob):
    bring(an_import(project, "later.jsonl"), [record(prefers(1, 0, annotator="dora", day=9), question="Question 0?")])


def made_gold(project, brought, alice, bob):
    Comparison.objects.filter(pk=project.comparisons.first().pk).update(purpose=Purpose.GOLD, known_ranking=[[1], [2]])


IN_THE_WAY = {
    "Snapshots hold its judgments (june)": frozen,
    "Reviewers have decided comparisons of it": decided,
    "Annotators have judged comparisons of it here": judged_here,
    "handed out to annotators": held,
    "Later imports hold revisions of its judgments (later.jsonl)": revised,
    "have a known answer": made_gold,
}


@pytest.mark.parametrize("words", list(IN_THE_WAY))
def test_it_is_refused_where_something_was_made_of_it(project, brought, alice, bob, words):
    IN_THE_WAY[words](project, brought, alice, bob)
    before = everything()
    with pytest.raises(CannotUndo) as refused, transaction.atomic():
        take_out(brought)
    assert words in str(refused.value)
    assert everything() == before
