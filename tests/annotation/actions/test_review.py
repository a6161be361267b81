"""What reviewers and managers do with one comparison."""

import uuid

import pytest

from annotation import actions
from annotation.actions import review
from annotation.models import Assignment, AssignmentState, Flag, Judgment, ProjectChange, Slot
from tests.annotation.judged import make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def open_slots(comparison):
    """The comparison waits for three judgments."""
    review.ask_for_judgments(comparison=comparison, wanted=3, by=make_user("alice"))
    return Slot.objects.filter(comparison=comparison, is_filled=False)


def submit(assignment, annotator, order=None):
    order = order or assignment.display_order
    answer = actions.Answer(ranking=[[pk] for pk in order], strengths=["better"] * (len(order) - 1))
    return actions.submit_judgment(assignment=assignment, annotator=annotator, answer=answer, request_key=uuid.uuid4())


# Decisions


def test_a_decision_is_a_judgment_that_says_so(comparison, alice):
    assignment = review.open_review(comparison=comparison, reviewer=alice)
    assert assignment.slot is None
    judgment = submit(assignment, alice)
    assert judgment.is_decision
    assert Slot.objects.filter(is_filled=True).count() == 0  # the annotators' work is not done by it


def test_deciding_twice_opens_the_same_assignment_held_or_submitted(comparison, alice):
    first = review.open_review(comparison=comparison, reviewer=alice)
    assert review.open_review(comparison=comparison, reviewer=alice) == first
    submit(first, alice)
    assert review.open_review(comparison=comparison, reviewer=alice) == first
    submit(first, alice, first.display_order[::-1])
    assert Judgment.objects.current().get().revision == 2


def test_who_skipped_a_review_may_begin_again(comparison, alice):
    first = review.open_review(comparison=comparison, reviewer=alice)
    actions.skip(assignment=first, annotator=alice, reason="unsure")
    second = review.open_review(comparison=comparison, reviewer=alice)
    assert second != first
    assert second.state == AssignmentState.HELD


def test_a_reviewer_may_decide_on_what_they_judged_themselves(held, bob):
    submit(held, bob)
    assert review.open_review(comparison=held.comparison, reviewer=bob).purpose == "review"


def test_a_withdrawn_comparison_is_not_decided(comparison, alice):
    review.withdraw(comparison=comparison, reason="broken", by=alice)
    with pytest.raises(review.ReviewRefused, match="Restore it"):
        review.open_review(comparison=comparison, reviewer=alice)


# Withdrawing


def test_withdrawing_takes_the_open_slots_away_and_restoring_brings_them_back(comparison, open_slots, alice):
    review.withdraw(comparison=comparison, reason="The prompt names somebody.", by=alice)
    assert open_slots.count() == 0
    review.restore(comparison=comparison, reason="It does not.", by=alice)
    assert open_slots.count() == 3
    comparison.refresh_from_db()
    assert comparison.withdrawn_at is None


def test_withdrawing_is_on_record_with_its_reason_and_once(comparison, alice):
    for _ in range(2):
        review.withdraw(comparison=comparison, reason="broken", by=alice)
    change = ProjectChange.objects.get(what="comparison")
    assert (change.who, change.subject) == (alice, f"comparison {comparison.pk}")
    assert (change.before, change.after) == ("in use", "withdrawn: broken")


def test_a_withdrawn_comparison_is_handed_to_nobody_and_what_is_held_is_lost(project, held, bob, alice):
    review.withdraw(comparison=held.comparison, reason="broken", by=alice)
    with pytest.raises(actions.LeaseLost):
        submit(held, bob)
    assert actions.claim_next(project=project, annotator=bob) is None
    review.restore(comparison=held.comparison, reason="mended", by=alice)
    assert actions.claim_next(project=project, annotator=bob).comparison == held.comparison


def test_a_skip_stays_on_record_when_its_comparison_is_withdrawn(project, held, bob, alice):
    actions.skip(assignment=held, annotator=bob, reason="No idea")
    review.withdraw(comparison=held.comparison, reason="broken", by=alice)
    assert Assignment.objects.get(state=AssignmentState.SKIPPED).skip_reason == "No idea"
    assert actions.claim_next(project=project, annotator=alice) is None
    review.restore(comparison=held.comparison, reason="mended", by=alice)
    assert actions.claim_next(project=project, annotator=alice) is not None


def test_what_was_judged_stays_but_is_no_data_while_it_is_withdrawn(held, bob, alice):
    submit(held, bob)
    review.withdraw(comparison=held.comparison, reason="broken", by=alice)
    assert Judgment.objects.current().count() == 1
    assert Judgment.objects.of_work().count() == 0
    review.restore(comparison=held.comparison, reason="mended", by=alice)
    assert Judgment.objects.of_work().count() == 1
    assert Slot.objects.filter(is_filled=False).count() == 0


# More judgments, flags


def test_asking_for_another_judgment_opens_one_slot_however_often_the_button_is_pressed(comparison, alice):
    for _ in range(2):
        review.ask_for_judgments(comparison=comparison, wanted=2, by=alice)
    comparison.refresh_from_db()
    assert (comparison.wanted, comparison.slots.count()) == (2, 2)
    assert ProjectChange.objects.get(what="comparison").after == "2 judgments wanted"


def test_nobody_asks_for_more_judgments_than_a_project_may_have(comparison, alice):
    with pytest.raises(review.ReviewRefused, match="at most 50"):
        review.ask_for_judgments(comparison=comparison, wanted=51, by=alice)


def test_the_first_word_on_a_flag_stays(comparison, alice, bob):
    flag = Flag.objects.create(comparison=comparison, raised_by=bob, note="Somebody's address is in it.")
    assert review.resolve_flag(flag=flag, resolution="Withdrawn.", by=alice)
    assert not review.resolve_flag(flag=flag, resolution="Never mind.", by=bob)
    assert (flag.resolution, flag.resolved_by) == ("Withdrawn.", alice)
