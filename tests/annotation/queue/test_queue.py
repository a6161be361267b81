"""What is handed out beside plain work, to whom, and how far one walks for it."""

import uuid
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.template.loader import render_to_string
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from annotation import actions
from annotation.actions import leases
from annotation.models import Assignment, AssignmentState, Comparison, Judgment, Qualification, Role, Slot
from annotation.queue import next_slot as queue
from annotation.queue import sql as queue_sql
from annotation.queue.next_slot import NothingLeft, why_nothing
from annotation.task.progress import own_progress

pytestmark = pytest.mark.django_db


def answer(assignment, *, right=True):
    """Submit the known answer, or its reverse."""
    groups = assignment.comparison.known_ranking or [[pk] for pk in assignment.display_order]
    return actions.submit_judgment(
        assignment=assignment, annotator=assignment.annotator, request_key=uuid.uuid4(),
        answer=actions.Answer([tuple(group) for group in (groups if right else groups[::-1])]),
    )  # fmt: skip


def make_known(purpose, comparisons):
    """Give these comparisons a known answer: they leave the queue."""
    for comparison in comparisons:
        ids = comparison.completions.order_by("pk").values_list("pk", flat=True)
        Comparison.objects.filter(pk=comparison.pk).update(purpose=purpose, known_ranking=[[pk] for pk in ids])
        comparison.slots.all().delete()


@pytest.fixture
def opened(project, write):
    """opened(6): the six comparisons of the project."""

    def opened(count):
        actions.open_comparisons(project=project, completions=write(prompts=count), k=4)
        return list(project.comparisons.order_by("pk"))

    return opened


@pytest.fixture
def draws(monkeypatch):
    """draws(0.3): every draw for gold is 0.3."""
    return lambda value: monkeypatch.setattr(leases._draw, "random", lambda: value)


def claim(project, annotator, **more):
    return actions.claim_next(project=project, annotator=annotator, **more)


# Gold


def test_gold_comes_as_often_as_the_project_says_and_each_only_once(project, opened, bob, draws):
    make_known("gold", opened(6)[:2])
    project.gold_percent = 30
    draws(0.29)
    gold = [claim(project, bob)]
    answer(gold[0])
    gold.append(claim(project, bob))
    answer(gold[1])
    assert {each.purpose for each in gold} == {"gold"}
    assert gold[0].comparison != gold[1].comparison
    assert all(each.slot is None for each in gold)
    assert claim(project, bob).purpose == "work"


def test_no_gold_comes_above_the_share(project, opened, bob, draws):
    make_known("gold", opened(6)[:2])
    project.gold_percent = 30
    draws(0.3)
    assert claim(project, bob).purpose == "work"


def test_gold_leaves_the_slot_that_it_stands_before(project, opened, bob, draws):
    make_known("gold", opened(2)[:1])
    project.gold_percent = 100
    draws(0)
    assert claim(project, bob).purpose == "gold"
    slot = Slot.objects.get()
    assert slot.free_from <= timezone.now()
    assert not slot.assignments.exists()


def test_gold_that_is_handed_out_costs_nobody_an_expired_lease(project, opened, alice, bob, draws):
    make_known("gold", opened(2)[:1])
    alices = claim(project, alice)
    Slot.objects.update(free_from=timezone.now() - timedelta(seconds=1))
    project.gold_percent = 100
    draws(0)
    assert claim(project, bob).purpose == "gold"
    alices.refresh_from_db()
    assert alices.state == AssignmentState.HELD


def test_gold_is_not_given_alone(project, opened, bob, draws):
    make_known("gold", opened(2))
    project.gold_percent = 100
    draws(0)
    assert claim(project, bob) is None


def test_gold_takes_as_many_queries_as_work(project, opened, bob, charlie, draws):
    actions.add_member(project=project, user=charlie, role=Role.ANNOTATOR)
    make_known("gold", opened(4)[:2])
    project.gold_percent = 50
    counts = []
    for user, value in ((bob, 0.0), (charlie, 0.9)):
        draws(value)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            claim(project, user)
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_gold_can_be_skipped_and_does_not_come_back(project, opened, bob, draws):
    make_known("gold", opened(3)[:1])
    project.gold_percent = 100
    draws(0)
    gold = claim(project, bob)
    actions.skip(assignment=gold, annotator=bob, reason="I cannot judge this")
    assert claim(project, bob).purpose == "work"
    gold.refresh_from_db()
    assert gold.state == AssignmentState.SKIPPED


def test_withdrawn_gold_is_not_given(project, opened, bob, draws):
    make_known("gold", opened(3)[:1])
    Comparison.objects.filter(purpose="gold").update(withdrawn_at=timezone.now())
    project.gold_percent = 100
    draws(0)
    assert claim(project, bob).purpose == "work"


# Training and qualification


def test_training_comes_first_then_qualification_then_work(project, opened, bob):
    training, qualification, *_ = opened(4)
    make_known("training", [training])
    make_known("qualification", [qualification])
    seen = []
    for _ in range(4):
        seen.append(claim(project, bob))
        answer(seen[-1])
    assert [each.purpose for each in seen] == ["training", "qualification", "work", "work"]
    assert project.memberships.get(user=bob).qualification == Qualification.PASSED


def test_managers_and_staff_are_not_examined(project, opened, alice):
    make_known("qualification", opened(2)[:1])
    assert claim(project, alice).purpose == "work"
    project.memberships.filter(user=alice).delete()
    alices = Assignment.objects.get()
    answer(alices)
    assert claim(project, alice) is None  # no qualification for staff without membership either


def test_who_is_excused_goes_to_work_at_once(project, opened, bob):
    comparisons = opened(3)
    make_known("training", comparisons[:1])
    make_known("qualification", comparisons[1:2])
    actions.set_qualification(membership=project.memberships.get(user=bob), state=Qualification.WAIVED)
    assert claim(project, bob).purpose == "work"


def test_new_training_reaches_those_who_passed_long_ago(project, opened, bob):
    actions.set_qualification(membership=project.memberships.get(user=bob), state=Qualification.PASSED)
    make_known("training", opened(2)[:1])
    assert claim(project, bob).purpose == "training"


@pytest.mark.parametrize(("percent", "state"), [(50, "passed"), (51, "failed")])
def test_the_share_of_right_pairs_decides(project, opened, bob, percent, state):
    make_known("qualification", opened(3)[:2])
    project.qualification_percent = percent
    project.save()
    answer(claim(project, bob))
    answer(claim(project, bob), right=False)  # 6 of 12 pairs
    following = claim(project, bob)
    assert project.memberships.get(user=bob).qualification == state
    assert (following is not None) == (state == "passed")
    change = project.changes.get(what="qualification")
    assert (change.who, change.before, change.after) == (None, "pending", state)


def test_a_skipped_item_counts_as_wrong(project, opened, bob):
    make_known("qualification", opened(3)[:2])
    answer(claim(project, bob))
    actions.skip(assignment=claim(project, bob), annotator=bob, reason="")
    assert claim(project, bob) is None
    assert project.memberships.get(user=bob).qualification == Qualification.FAILED


def test_nothing_is_decided_while_the_last_item_is_open(project, opened, bob):
    make_known("qualification", opened(2)[:1])
    last = claim(project, bob)
    assert claim(project, bob, besides=last) is None
    assert project.memberships.get(user=bob).qualification == Qualification.PENDING
    answer(last)
    assert claim(project, bob).purpose == "work"


def test_who_failed_gets_nothing_more_but_may_finish_what_is_open(project, opened, bob):
    opened(3)
    begun = claim(project, bob)
    actions.set_qualification(membership=project.memberships.get(user=bob), state=Qualification.FAILED)
    assert claim(project, bob) == begun
    assert claim(project, bob, besides=begun) is None
    assert why_nothing(project=project, annotator=bob) == NothingLeft.FAILED


def test_a_new_attempt_gives_the_same_items_again_and_keeps_the_old_answers_on_record(project, opened, alice, bob):
    make_known("qualification", opened(3)[:2])
    for _ in range(2):
        answer(claim(project, bob), right=False)
    assert claim(project, bob) is None
    actions.set_qualification(membership=project.memberships.get(user=bob), state=Qualification.PENDING, by=alice)
    for _ in range(2):
        answer(claim(project, bob))
    assert claim(project, bob).purpose == "work"
    assert project.memberships.get(user=bob).qualification == Qualification.PASSED
    assert Judgment.objects.count() == 4


def test_a_managers_word_stands_before_the_answers(project, opened, bob):
    make_known("qualification", opened(2)[:1])
    answer(claim(project, bob), right=False)
    actions.set_qualification(membership=project.memberships.get(user=bob), state=Qualification.WAIVED)
    assert claim(project, bob).purpose == "work"


def test_a_project_without_a_qualification_set_asks_for_none(project, opened, bob):
    opened(1)
    assert claim(project, bob).purpose == "work"
    assert project.memberships.get(user=bob).qualification == Qualification.PENDING


# Who may take what


@pytest.fixture
def grouped(project, opened):
    """One comparison of group "law", one of "medicine", one of none."""
    comparisons = opened(3)
    for comparison, group in zip(comparisons, ["law", "medicine", ""], strict=True):
        Comparison.objects.filter(pk=comparison.pk).update(group=group)
        comparison.slots.update(group=group)
    return comparisons


def all_claims(project, annotator):
    seen = []
    while assignment := claim(project, annotator):
        seen.append(assignment.comparison)
        answer(assignment)
    return seen


def test_a_group_is_only_for_its_members(project, grouped, bob):
    assert all_claims(project, bob) == [grouped[2]]
    assert why_nothing(project=project, annotator=bob) == NothingLeft.WITH_OTHERS


def test_members_of_groups_get_theirs_and_what_is_for_all(project, grouped, bob):
    project.memberships.filter(user=bob).update(groups=["law"])
    assert all_claims(project, bob) == [grouped[0], grouped[2]]


def test_staff_without_membership_take_from_every_group(project, grouped, alice):
    project.memberships.filter(user=alice).delete()
    assert all_claims(project, alice) == grouped


def test_over_all_groups_the_highest_priority_comes_first(project, grouped, bob):
    project.memberships.filter(user=bob).update(groups=["law", "medicine"])
    grouped[1].slots.update(priority=1)
    assert claim(project, bob).comparison == grouped[1]


def test_gold_of_a_group_is_for_its_members_too(project, grouped, bob, draws):
    make_known("gold", grouped[:1])
    project.gold_percent = 100
    draws(0)
    first = claim(project, bob)
    project.memberships.filter(user=bob).update(groups=["law", "medicine"])
    assert [first.purpose, claim(project, bob, besides=first).purpose] == ["work", "gold"]


# An annotator far ahead of the others


@pytest.fixture
def far_ahead(project, opened, bob, monkeypatch):
    """Bob has judged the first four of six comparisons, each of which waits for a second judgment.

    The head is two slots long, so that it holds nothing for him: he goes on from his bookmark.
    """
    project.overlap = 2
    project.save()
    comparisons = opened(6)
    for _ in range(4):
        answer(claim(project, bob))
    Slot.objects.filter(number=1).update(is_filled=True)
    Assignment.objects.filter(annotator=bob).update(created_at=timezone.now() - timedelta(days=1))
    monkeypatch.setattr(queue_sql, "FROM_THE_BOOKMARK", [
        walk._replace(slots=walk.slots.replace(f"LIMIT {queue_sql.HEAD}", "LIMIT 2"))
        for walk in queue_sql.FROM_THE_BOOKMARK
    ])  # fmt: skip
    return comparisons


def statements(call):
    with CaptureQueriesContext(connection) as queries:
        result = call()
    return result, sum("SKIP LOCKED" in query["sql"] for query in queries)


def test_the_first_walk_is_from_the_beginning_and_is_one_statement(project, far_ahead, bob):
    claimed, count = statements(lambda: claim(project, bob))
    assert (claimed.comparison, count) == (far_ahead[4], 1)


def test_the_next_one_is_looked_for_behind_the_newest(project, far_ahead, bob):
    answer(claim(project, bob))
    claimed, count = statements(lambda: claim(project, bob))
    assert (claimed.comparison, count) == (far_ahead[5], 2)  # the head, then from the bookmark on


def test_what_is_free_behind_an_annotator_is_found_when_nothing_is_left_before_them(project, far_ahead, bob):
    answer(claim(project, bob))
    answer(claim(project, bob))
    # As if somebody else had judged it: behind Bob, and not within the head.
    Assignment.objects.filter(comparison=far_ahead[2]).update(annotator=User.objects.create_user("dora"))
    claimed, count = statements(lambda: claim(project, bob))
    assert (claimed.comparison, count) == (far_ahead[2], 4)


def test_after_a_while_an_annotator_begins_at_the_beginning_again(project, far_ahead, bob):
    answer(claim(project, bob))
    standing = queue.standing_of(project=project, annotator_id=bob.pk, is_staff=False)
    assert standing.bookmark is not None
    late = timezone.now() - timedelta(seconds=queue_sql.RESTART_SECONDS)
    Assignment.objects.filter(annotator=bob).update(created_at=late)
    standing = queue.standing_of(project=project, annotator_id=bob.pk, is_staff=False)
    assert standing.bookmark is None


def test_lower_priorities_come_behind_the_bookmark(project, far_ahead, bob):
    answer(claim(project, bob))
    far_ahead[5].slots.update(priority=-1)
    assert claim(project, bob).comparison == far_ahead[5]


def test_a_higher_priority_within_the_head_comes_at_once(project, far_ahead, bob):
    answer(claim(project, bob))
    far_ahead[5].slots.update(priority=1)
    claimed, count = statements(lambda: claim(project, bob))
    assert (claimed.comparison, count) == (far_ahead[5], 1)


# A lower overlap


def test_a_lower_overlap_asks_for_no_judgment_too_many_of_what_was_skipped(project, opened, alice, bob, charlie):
    """Slot 1 was skipped and slot 2 is filled: one judgment, which is what the project now wants."""
    project.overlap = 2
    project.save()
    (comparison,) = opened(1)
    skipped = claim(project, bob)
    answer(claim(project, alice))
    actions.skip(assignment=skipped, annotator=bob, reason="")
    project.overlap = 1
    actions.save_settings(project=project)
    actions.add_member(project=project, user=charlie, role=Role.ANNOTATOR)
    assert claim(project, charlie) is None
    skipped.refresh_from_db()
    assert skipped.slot is not None  # on record

    project.overlap = 2
    actions.save_settings(project=project)
    answer(claim(project, charlie))
    assert comparison.judgments.count() == 2


# Order of display


def test_over_the_slots_of_a_comparison_each_completion_is_shown_at_each_place(project, opened, alice, bob, charlie):
    project.overlap = 2
    project.save()
    opened(1)
    orders = [claim(project, user).display_order for user in (alice, bob)]
    assert all(first != second for first, second in zip(*orders, strict=True))


def test_a_slot_that_comes_back_shows_the_order_that_it_had(project, held, alice, bob):
    actions.skip(assignment=held, annotator=bob, reason="")
    assert claim(project, alice).display_order == held.display_order


# Nothing left


def test_why_there_is_nothing(project, opened, alice, bob):
    assert why_nothing(project=project, annotator=bob) == NothingLeft.NOTHING_OPENED
    opened(1)
    alices = claim(project, alice)
    assert claim(project, bob) is None
    assert why_nothing(project=project, annotator=bob) == NothingLeft.WITH_OTHERS
    answer(alices)
    assert why_nothing(project=project, annotator=bob) == NothingLeft.DONE
    actions.set_paused(project=project, is_paused=True)
    assert why_nothing(project=project, annotator=bob) == NothingLeft.PAUSED


@pytest.mark.parametrize("nothing", NothingLeft)
def test_the_page_says_why_in_words_of_its_own(project, alice, nothing):
    others = [each for each in NothingLeft if each != nothing]
    shown, *rest = (said(each, project, alice) for each in [nothing, *others])
    assert shown.count("<h2>") == 1
    assert shown not in rest


def said(nothing, project, annotator):
    progress = own_progress(project=project, annotator=annotator)
    context = {"nothing": nothing, "project": project, "progress": progress, "may_manage": True}
    return render_to_string("annotation/_nothing_left.html", context)


def test_the_figures_beside_the_task_stop_counting(project, opened, alice, bob, monkeypatch):
    monkeypatch.setattr("annotation.task.progress.COUNT_TO", 2)
    opened(3)
    first = own_progress(project=project, annotator=bob)
    assert (first.done, first.total, first.open) == (0, 2, 2)
    assert (first.is_done_capped, first.is_capped, first.is_open_capped) == (False, True, True)
    answer(claim(project, bob))
    answer(claim(project, alice))
    later = own_progress(project=project, annotator=bob)
    assert (later.done, later.open, later.is_open_capped) == (1, 1, False)
