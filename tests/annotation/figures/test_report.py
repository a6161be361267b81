"""The report of a project: what is let in, and how it is asked for and computed."""

import json
import sys
from datetime import timedelta
from unittest.mock import patch

import pytest
from django.db import connection
from django.utils import timezone

from annotation import actions, tasks
from annotation.actions import reports
from annotation.advisory_locks import Family
from annotation.figures import report
from annotation.models import AssignmentState, JudgeKind, ProjectReport, Purpose
from tests.annotation.judged import judge, known, make_comparison, make_project, make_user

pytestmark = pytest.mark.django_db
TEXTS = ["short", "a much longer answer", "middling one"]


@pytest.fixture
def announced():
    """The ids of the reports that workers were told of."""
    with patch("annotation.tasks.compute_report.delay") as delay:
        yield delay


@pytest.fixture
def project(db):
    return make_project()


def judged(project, count=1, by=("bob", "dora"), ranking=((0,), (1,), (2,)), **more):
    comparisons = [make_comparison(project, TEXTS) for _ in range(count)]
    for comparison in comparisons:
        for name in by:
            judge(comparison, name, [list(group) for group in ranking], **more)
    return comparisons


def people(project, kind="person"):
    found = report.compute(project)["kinds"][kind]["by_annotator"]
    return {make_user_name(row["annotator"]): row for row in found}


def make_user_name(pk):
    from django.contrib.auth.models import User

    return User.objects.get(pk=pk).username


def agreement(content, kind="person"):
    return {figure["key"]: figure for figure in content["kinds"][kind]["agreement"]}


def test_a_project_without_judgments_has_no_figures(project):
    assert report.compute(project) == {"format": report.FORMAT, "newest": None, "kinds": {}}


def test_what_two_say_alike_agrees_entirely(project):
    judged(project, count=12)
    content = report.compute(project)
    kind = content["kinds"]["person"]
    assert [kind[name] for name in ("judgments", "comparisons", "judged_twice", "prompts", "annotators")] == [
        24, 12, 12, 12, 2,
    ]  # fmt: skip
    assert agreement(content)["alpha"]["value"] == pytest.approx(1)
    assert (agreement(content)["share"]["low"], agreement(content)["share"]["high"]) == (1, 1)
    json.dumps(content, allow_nan=False)


def test_kinds_of_judge_are_never_mixed(project):
    judged(project, count=2, by=["bob"])
    judged(project, count=3, by=["robot"], kind=JudgeKind.SIMULATED)
    kinds = report.compute(project)["kinds"]
    assert {name: kind["judgments"] for name, kind in kinds.items()} == {"person": 2, "simulated": 3}


def test_a_correction_counts_and_what_it_supersedes_does_not(project):
    (comparison,) = judged(project)
    judge(comparison, "bob", [[2], [1], [0]], supersedes=comparison.judgments.get(annotator__username="bob"))
    content = report.compute(project)
    assert content["kinds"]["person"]["judgments"] == 2
    assert agreement(content)["tau"]["value"] == pytest.approx(-1)


def test_decisions_and_what_is_no_work_are_left_out(project):
    decided, gold, withdrawn = judged(project, count=3)
    judge(decided, "rita", [[0], [1], [2]], is_decision=True)
    ids = list(gold.completions.order_by("index").values_list("pk", flat=True))
    type(gold).objects.filter(pk=gold.pk).update(purpose=Purpose.GOLD, known_ranking=[[pk] for pk in ids])
    type(gold).objects.filter(pk=withdrawn.pk).update(withdrawn_at=timezone.now())
    assert report.compute(project)["kinds"]["person"]["judgments"] == 2


def test_gold_is_scored_by_pairs(project):
    judged(project)
    gold = known(make_comparison(project, TEXTS))  # 0 > 1 > 2
    judge(gold, "bob", [[1], [0], [2]])
    assert people(project)["bob"]["gold"]["value"] == pytest.approx(2 / 3)


def test_what_was_judged_before_a_comparison_became_gold_is_not_scored(project):
    """The known answer may have been made from just these judgments: all of them would be right."""
    judged(project)
    (gold,) = judged(project)
    known(gold)
    judge(gold, "eve", [[2], [1], [0]])
    judge(make_comparison(project, TEXTS), "eve", [[0], [1], [2]])
    figures = people(project)
    assert figures["bob"]["gold"] is None
    assert figures["eve"]["gold"]["value"] == 0


def test_figures_of_an_annotator_come_from_what_was_displayed(project):
    (comparison,) = judged(project, by=["bob"], ranking=[[1], [0], [2]], seconds_spent=12.0)
    assignment = comparison.assignments.get()
    type(assignment).objects.filter(pk=assignment.pk).update(display_order=list(reversed(assignment.display_order)))
    bob = people(project)["bob"]
    assert bob["positions"] == [0, 1, 0]
    assert bob["seconds"]["value"] == 12
    characters = sum(map(len, TEXTS))
    assert bob["pace"]["value"] == pytest.approx(characters / 6 * 5)
    assert bob["longer"]["value"] == pytest.approx(
        2 / 3
    )  # over the two shorter ones, and the shortest over the middling


def test_skips_are_counted_of_work_only(project):
    (comparison,) = judged(project, by=["bob"])
    comparison.assignments.create(
        annotator=make_user("dora"), display_order=[1], leased_until=timezone.now(), state=AssignmentState.SKIPPED,
        slot=comparison.slots.first(),
    )  # fmt: skip
    assert people(project)["dora"]["skips"]["value"] == 1
    assert people(project)["bob"]["skips"]["value"] == 0


def test_an_edit_is_no_place_of_the_others(project):
    comparison = make_comparison(project, TEXTS)
    judge(comparison, "bob", [[3], [0], [1], [2]], edit="A better answer.")
    judge(comparison, "dora", [[0], [1], [2]])
    assert agreement(report.compute(project))["share"]["value"] == 1


def test_the_statements_do_not_grow_with_the_judgments(project, django_assert_num_queries):
    judged(project, count=2)
    with django_assert_num_queries(6):
        report.compute(project)
    judged(project, count=4)
    with django_assert_num_queries(6):
        report.compute(project)


# --- asking and computing -----------------------------------------------------------------------------------------


def test_asking_twice_is_asking_once(project, announced, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        first = actions.request_report(project=project)
        again = actions.request_report(project=project)
    announced.assert_called_once_with(first.pk)
    assert again.requested_at == first.requested_at


def test_the_task_keeps_what_it_computes(project, announced):
    judged(project)
    asked = actions.request_report(project=project)
    tasks.compute_report(asked.pk)
    asked.refresh_from_db()
    assert (asked.requested_at, asked.error, asked.judgments) == (None, "", 2)
    assert asked.computed_at is not None
    assert "person" in asked.content["kinds"]


def test_a_message_that_comes_twice_computes_once(project, announced):
    asked = actions.request_report(project=project)
    assert reports.compute_report(report=asked) is True
    assert reports.compute_report(report=asked) is False


def test_a_message_for_a_report_that_is_gone_does_nothing(db):
    tasks.compute_report(12345)


@pytest.mark.django_db(transaction=True)
def test_while_one_worker_computes_another_leaves_it_alone(announced):
    project = make_project()
    asked = actions.request_report(project=project)
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s, %s)", [Family.REPORT, project.pk])
            assert reports.compute_report(report=asked) is False
            # Not by closing alone: the server notices that a little later.
            cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [Family.REPORT, project.pk])
    finally:
        other.close()
    assert reports.compute_report(report=asked) is True


def test_what_goes_wrong_is_kept_in_words(project, announced):
    asked = actions.request_report(project=project)
    with patch("annotation.figures.report.compute", side_effect=MemoryError("no room")):
        reports.compute_report(report=asked)
    asked.refresh_from_db()
    assert (asked.error, asked.requested_at) == ("MemoryError: no room", None)


def test_after_an_error_only_a_person_asks_again(project, announced):
    judged(project)
    ProjectReport.objects.create(project=project, error="MemoryError: no room")
    assert actions.refreshed_report(project=project).requested_at is None
    asked = actions.request_report(project=project)
    assert (asked.requested_at is not None, asked.error) == (True, "")


def test_looking_asks_for_a_report_where_there_are_judgments(project, announced):
    assert actions.refreshed_report(project=project).pk is None
    judged(project)
    assert actions.refreshed_report(project=project).requested_at is not None


def test_looking_asks_anew_only_where_judgments_came_since(project, announced):
    judged(project)
    reports.compute_report(report=actions.request_report(project=project))
    earlier = timezone.now() - reports.FRESH_FOR * 2
    ProjectReport.objects.update(computed_at=earlier)
    assert actions.refreshed_report(project=project).requested_at is None
    judged(make_project("Other"))
    assert actions.refreshed_report(project=project).requested_at is None
    judged(project)
    assert actions.refreshed_report(project=project).requested_at is not None


def test_a_report_of_just_now_is_not_computed_again(project, announced):
    judged(project)
    reports.compute_report(report=actions.request_report(project=project))
    judged(project)
    assert actions.refreshed_report(project=project).requested_at is None


def test_a_request_that_was_lost_is_announced_again(project, announced):
    asked = actions.request_report(project=project)
    assert tasks.reap() == 0
    ProjectReport.objects.update(requested_at=timezone.now() - reports.LOST_AFTER - timedelta(seconds=1))
    assert tasks.reap() == 1
    announced.assert_called_with(asked.pk)


def test_a_worker_that_starts_is_told_what_waits(project, announced):
    asked = actions.request_report(project=project)
    reports.announce_waiting()
    announced.assert_called_once_with(asked.pk)


def test_what_nobody_computes_in_half_an_hour_is_ended_with_the_reason(project, announced):
    actions.request_report(project=project)
    ProjectReport.objects.update(requested_at=timezone.now() - reports.GIVE_UP_AFTER)
    tasks.reap()
    ended = ProjectReport.objects.get()
    assert ended.requested_at is None
    assert ended.error.startswith("No worker finished it within 30 minutes")
    announced.assert_not_called()


def test_where_the_figures_cannot_even_be_imported_the_page_says_so(project, announced, monkeypatch):
    monkeypatch.setitem(sys.modules, "annotation.figures.report", None)  # as where a library of it is missing
    asked = actions.request_report(project=project)
    assert reports.compute_report(report=asked) is False
    asked.refresh_from_db()
    assert asked.error.startswith("ModuleNotFoundError: ")
    assert asked.requested_at is None
