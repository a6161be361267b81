"""A comparison is handed out as often as it wants judgments, whatever becomes of it on the way."""

import pytest

from annotation import actions
from annotation.actions import known_answers, review
from annotation.models import Comparison, Role, Slot
from annotation.projects import overview
from annotation.queue.next_slot import NothingLeft, why_nothing
from annotation.review.listing import Filters, State, matching
from tests.annotation.judged import make_user
from tests.annotation.queue.turns import answer, claim

pytestmark = pytest.mark.django_db


@pytest.fixture
def people(project):
    """Five annotators."""
    users = [make_user(f"annotator-{number}") for number in range(5)]
    for user in users:
        actions.add_member(project=project, user=user, role=Role.ANNOTATOR)
    return users


def set_overlap(project, overlap):
    project.overlap = overlap
    actions.save_settings(project=project)


def skip(assignment):
    actions.skip(assignment=assignment, annotator=assignment.annotator, reason="")


@pytest.fixture
def begun(project, comparison, people):
    """begun(3): the comparison wants three judgments, and as many annotators hold it."""

    def begun(overlap):
        set_overlap(project, overlap)
        return [claim(project, user) for user in people[:overlap]]

    return begun


def judged(project, people):
    """How many judgments the comparison comes to have when everybody takes and answers what they get."""
    for user in people:
        while assignment := claim(project, user):
            answer(assignment)
    return project.comparisons.get().judgments.count()


# A lower overlap


def test_a_lower_overlap_asks_for_no_judgment_too_many_of_what_was_skipped(project, begun, people):
    """Slot 1 was skipped and slot 2 is filled: one judgment, which is what the project now wants."""
    skipped, given = begun(2)
    answer(given)
    skip(skipped)
    set_overlap(project, 1)
    assert claim(project, people[2]) is None
    skipped.refresh_from_db()
    assert skipped.slot is not None  # on record

    set_overlap(project, 2)
    assert judged(project, people) == 2


def test_what_is_asked_for_beside_a_parked_slot_is_handed_out(project, begun, people, alice):
    given, skipped, _ = begun(3)
    answer(given)
    skip(skipped)
    set_overlap(project, 1)
    review.ask_for_judgments(comparison=given.comparison, wanted=2, by=alice)
    assert judged(project, people) == 2


def test_a_restored_comparison_wants_no_more_than_before(project, begun, people, alice):
    given, skipped, _ = begun(3)
    answer(given)
    skip(skipped)
    set_overlap(project, 1)
    review.withdraw(comparison=given.comparison, reason="broken", by=alice)
    review.restore(comparison=given.comparison, reason="it is not", by=alice)
    assert judged(project, people) == 1


@pytest.mark.parametrize("out_and_back", ["withdrawn", "known"])
def test_an_overlap_that_changes_while_a_comparison_is_out_holds_for_it_when_it_is_back(
    project, comparison, people, alice, out_and_back
):
    set_overlap(project, 3)
    if out_and_back == "withdrawn":
        review.withdraw(comparison=comparison, reason="broken", by=alice)
        set_overlap(project, 1)
        review.restore(comparison=comparison, reason="it is not", by=alice)
    else:
        ranking = [[pk] for pk in comparison.completions.values_list("pk", flat=True)]
        known_answers.set_known_answer(comparison=comparison, purpose="gold", ranking=ranking, by=alice)
        set_overlap(project, 1)
        known_answers.turn_back_to_work(comparison=comparison, by=alice)
    comparison.refresh_from_db()
    assert comparison.wanted == 1
    assert judged(project, people) == 1


def test_what_is_skipped_when_the_others_suffice_is_handed_to_nobody(project, begun, people):
    first, second = begun(2)
    set_overlap(project, 1)
    answer(first)
    skip(second)
    assert judged(project, people) == 1


def test_what_is_skipped_while_another_still_holds_it_is_handed_to_nobody_until_that_is_skipped_too(
    project, begun, people
):
    first, second = begun(2)
    set_overlap(project, 1)
    skip(first)
    assert claim(project, people[2]) is None
    skip(second)
    assert judged(project, people) == 1


def test_who_was_at_work_when_the_overlap_was_lowered_may_answer_and_nobody_gets_it_after_them(project, begun, people):
    first, second = begun(2)
    set_overlap(project, 1)
    answer(second)  # the one that was too many
    Slot.objects.update(free_from=first.created_at)  # the lease of the other has run out
    assert claim(project, people[2]) is None
    answer(first)
    assert judged(project, people) == 2


@pytest.mark.parametrize("late", [0, 1])
def test_a_lease_that_runs_out_after_the_overlap_was_lowered_is_handed_on_only_while_a_judgment_is_missing(
    project, begun, people, late
):
    leases = begun(2)
    set_overlap(project, 1)
    answer(leases[1 - late])
    Slot.objects.filter(is_filled=False).update(free_from=leases[0].created_at)
    assert claim(project, people[2]) is None


def test_who_disappears_does_not_keep_the_judgment_from_others(project, begun, people):
    begun(2)
    set_overlap(project, 1)
    Slot.objects.update(free_from=Slot.objects.first().assignments.get().created_at)
    assert claim(project, people[2]) is not None
    assert claim(project, people[3]) is None


def test_a_higher_overlap_opens_again_what_was_parked_while_it_was_held(project, begun, people):
    begun(2)
    set_overlap(project, 1)
    assert Slot.objects.filter(is_parked=True).count() == 1
    set_overlap(project, 3)
    assert not Slot.objects.filter(is_parked=True).exists()
    assert judged(project, people) == 3


def test_answering_a_parked_slot_twice_is_once(project, begun):
    _, second = begun(2)
    set_overlap(project, 1)
    first_time = answer(second)
    again = actions.submit_judgment(
        assignment=second, annotator=second.annotator, request_key=first_time.request_key,
        answer=actions.Answer(first_time.ranking),
    )  # fmt: skip
    assert again == first_time
    assert list(Slot.objects.order_by("number").values_list("is_filled", "is_parked")) == [(False, True), (True, False)]


# What a reviewer asked for


@pytest.mark.parametrize(("field", "value"), [("overlap_percent", 99), ("overlap", 1), ("overlap", 3)])
def test_a_new_overlap_leaves_what_a_reviewer_asked_for(project, comparison, alice, field, value):
    set_overlap(project, 2)
    review.ask_for_judgments(comparison=comparison, wanted=4, by=alice)
    setattr(project, field, value)
    actions.save_settings(project=project)
    comparison.refresh_from_db()
    assert (comparison.wanted, comparison.slots.open().count()) == (4, 4)


def test_a_higher_overlap_than_a_reviewer_asked_for_holds(project, comparison, alice):
    review.ask_for_judgments(comparison=comparison, wanted=2, by=alice)
    set_overlap(project, 3)
    assert comparison.slots.open().count() == 3


# What is parked is not left to do


def test_a_parked_slot_is_open_nowhere(project, begun, people):
    skipped, given = begun(2)
    skip(skipped)
    answer(given)
    set_overlap(project, 1)
    counts = overview.counts_of(project)
    assert (counts.comparisons, counts.filled, counts.open, counts.percent) == (1, 1, 0, 100)
    assert why_nothing(project=project, annotator=people[2]) == NothingLeft.DONE
    assert not matching(project, Filters(state=State.OPEN))
    assert matching(project, Filters(state=State.COMPLETE)).count() == 1


@pytest.mark.parametrize("gone", ["gold", "withdrawn"])
def test_what_was_judged_before_it_left_the_data_is_not_counted_as_done(project, begun, alice, gone):
    (given,) = begun(1)
    answer(given)
    if gone == "gold":
        known_answers.set_known_answer(
            comparison=given.comparison, purpose="gold", ranking=[[pk] for pk in given.display_order], by=alice
        )
    else:
        review.withdraw(comparison=given.comparison, reason="broken", by=alice)
    counts = overview.counts_of(project)
    assert (counts.comparisons, counts.filled, counts.open) == (0, 0, 0)


def test_a_priority_reaches_what_is_parked(project, begun, people):
    skipped, _ = begun(2)
    skip(skipped)
    set_overlap(project, 1)
    actions.set_priority(comparisons=Comparison.objects.all(), priority=5)
    set_overlap(project, 2)
    assert set(Slot.objects.values_list("priority", flat=True)) == {5}
