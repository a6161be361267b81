"""Training and qualification come before work, and decide who gets any."""

import pytest

from annotation import actions
from annotation.models import Assignment, Judgment, Qualification
from annotation.queue.next_slot import NothingLeft, why_nothing
from tests.annotation.queue.turns import answer, claim, make_known

pytestmark = pytest.mark.django_db


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
