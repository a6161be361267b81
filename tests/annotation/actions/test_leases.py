"""Leases: who gets which comparison, for how long, and what becomes of it when they do not come back."""

import uuid
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from annotation import actions
from annotation.models import Assignment, AssignmentState, Slot
from annotation.queue import next_slot as queue

pytestmark = pytest.mark.django_db


def submit(assignment, annotator, **changes):
    """Everything on its own rank, in the order of display, unless ``changes`` say otherwise."""
    said = {"ranking": [[pk] for pk in assignment.display_order]} | changes
    return actions.submit_judgment(
        assignment=assignment, annotator=annotator, answer=actions.Answer(**said), request_key=uuid.uuid4()
    )


def let_lease_run_out(*assignments):
    past = timezone.now() - timedelta(seconds=1)
    for assignment in assignments:
        Slot.objects.filter(pk=assignment.slot_id).update(free_from=past)
        Assignment.objects.filter(pk=assignment.pk).update(leased_until=past)


def test_a_claim_holds_the_slot_and_draws_an_order(project, comparison, bob):
    assignment = actions.claim_next(project=project, annotator=bob)
    assert assignment.comparison == comparison
    assert sorted(assignment.display_order) == sorted(comparison.completions.values_list("pk", flat=True))
    assert assignment.slot.free_from == assignment.leased_until > timezone.now()


def test_orders_differ_between_assignments(project, write, bob):
    actions.open_comparisons(project=project, completions=write(prompts=30), k=4)
    shuffles = set()
    for _ in range(30):
        assignment = actions.claim_next(project=project, annotator=bob)
        first = min(assignment.display_order)
        shuffles.add(tuple(pk - first for pk in assignment.display_order))
        submit(assignment, bob)
    # 24 orders are possible; that 30 draws are all alike has the chance 24 ** -29.
    assert len(shuffles) > 1


def test_a_reload_shows_the_same_comparison_in_the_same_order(project, write, bob):
    actions.open_comparisons(project=project, completions=write(prompts=5), k=4)
    first = actions.claim_next(project=project, annotator=bob)
    again = actions.claim_next(project=project, annotator=bob)
    assert (again.pk, again.display_order) == (first.pk, first.display_order)


def test_what_one_holds_another_does_not_get(project, held, alice):
    assert actions.claim_next(project=project, annotator=alice) is None


def test_nobody_gets_again_what_they_judged_or_skipped(alice, bob, write):
    project = actions.create_project(name="Thrice", overlap=3, created_by=alice)
    actions.open_comparisons(project=project, completions=write(prompts=2), k=4)
    submit(actions.claim_next(project=project, annotator=bob), bob)
    actions.skip(assignment=actions.claim_next(project=project, annotator=bob), annotator=bob, reason="no idea")
    assert actions.claim_next(project=project, annotator=bob) is None
    assert actions.claim_next(project=project, annotator=alice) is not None


def test_higher_priority_comes_first(project, write, bob):
    actions.open_comparisons(project=project, completions=write(prompts=2), k=4)
    actions.open_comparisons(project=project, completions=write(["now", "then"]), k=2, priority=5)
    assert len(actions.claim_next(project=project, annotator=bob).display_order) == 2


def test_each_comparison_gets_its_first_judgment_before_any_gets_its_second(alice, bob, charlie, write):
    project = actions.create_project(name="Twice", overlap=2, created_by=alice)
    actions.open_comparisons(project=project, completions=write(prompts=2), k=4)
    claims = [actions.claim_next(project=project, annotator=user) for user in (bob, charlie, alice)]
    assert [claim.slot.number for claim in claims] == [1, 1, 2]


def test_a_lease_that_ran_out_goes_to_the_next_who_asks(project, held, alice):
    let_lease_run_out(held)
    taken = actions.claim_next(project=project, annotator=alice)
    held.refresh_from_db()
    assert taken.slot == held.slot
    assert held.state == AssignmentState.EXPIRED


def test_who_lost_a_lease_may_get_the_comparison_again(project, held, alice, bob):
    let_lease_run_out(held)
    alices = actions.claim_next(project=project, annotator=alice)
    actions.skip(assignment=alices, annotator=alice, reason="")
    again = actions.claim_next(project=project, annotator=bob)
    assert again.comparison == held.comparison
    assert again.pk != held.pk


def test_a_slot_that_is_taken_while_its_holder_comes_back_is_lost_without_an_error(
    project, write, bob, alice, monkeypatch
):
    actions.open_comparisons(project=project, completions=write(prompts=2), k=4)
    lost = actions.claim_next(project=project, annotator=bob)
    let_lease_run_out(lost)
    read = queue.lock_and_held_by

    def read_and_taken(*, project, annotator_id):
        found = read(project=project, annotator_id=annotator_id)
        if annotator_id == bob.pk:  # between the reading and the lock
            assert actions.claim_next(project=project, annotator=alice).slot_id == lost.slot_id
        return found

    monkeypatch.setattr(queue, "lock_and_held_by", read_and_taken)
    shown = actions.claim_next(project=project, annotator=bob)
    assert shown.slot_id != lost.slot_id
    lost.refresh_from_db()
    assert lost.state == AssignmentState.EXPIRED


def test_a_lease_that_ran_out_stays_with_its_holder_until_somebody_takes_it(project, held, bob):
    let_lease_run_out(held)
    assert actions.claim_next(project=project, annotator=bob).pk == held.pk
    held.slot.refresh_from_db()
    assert held.slot.free_from > timezone.now()


def test_a_paused_project_hands_out_nothing_new_but_lets_finish_what_is_open(project, held, alice, bob):
    actions.set_paused(project=project, is_paused=True)
    assert actions.claim_next(project=project, annotator=bob) == held
    let_lease_run_out(held)
    assert actions.claim_next(project=project, annotator=alice) is None


def test_renewing_moves_the_end_of_the_lease(held, bob):
    let_lease_run_out(held)
    until = actions.renew_lease(assignment=held, annotator=bob)
    held.refresh_from_db()
    assert held.leased_until == held.slot.free_from == until > timezone.now()


def test_a_lost_lease_cannot_be_renewed_and_takes_no_draft(project, held, alice, bob):
    let_lease_run_out(held)
    actions.claim_next(project=project, annotator=alice)
    with pytest.raises(actions.LeaseLost, match="another annotator has this"):
        actions.renew_lease(assignment=held, annotator=bob)
    with pytest.raises(actions.LeaseLost, match="another annotator has this"):
        actions.save_draft(assignment=held, annotator=bob, draft={"ranks": {"A": 1}})


def test_a_draft_is_kept(held, bob):
    actions.save_draft(assignment=held, annotator=bob, draft={"ranks": {"A": 1}})
    held.refresh_from_db()
    assert held.draft == {"ranks": {"A": 1}}


def test_a_skipped_comparison_is_free_for_others_at_once(project, held, alice, bob):
    actions.skip(assignment=held, annotator=bob, reason="I cannot judge this")
    actions.skip(assignment=held, annotator=bob, reason="clicked twice")
    held.refresh_from_db()
    assert (held.state, held.skip_reason) == ("skipped", "I cannot judge this")
    assert actions.claim_next(project=project, annotator=alice).slot == held.slot


@pytest.mark.parametrize("do", ["renew_lease", "save_draft", "skip", "submit"])
def test_nobody_answers_for_somebody_else(held, alice, do):
    calls = {
        "renew_lease": lambda: actions.renew_lease(assignment=held, annotator=alice),
        "save_draft": lambda: actions.save_draft(assignment=held, annotator=alice, draft={}),
        "skip": lambda: actions.skip(assignment=held, annotator=alice, reason=""),
        "submit": lambda: submit(held, alice),
    }
    with pytest.raises(actions.NotYours):
        calls[do]()


@pytest.mark.parametrize(
    ("state", "name"),
    [("held", "one_live_assignment|one_held_assignment"), ("submitted", "one_live_assignment")],
)
def test_the_database_itself_refuses_a_second_live_assignment(held, state, name):
    with pytest.raises(IntegrityError, match=name), transaction.atomic():
        Assignment.objects.create(
            slot=held.slot, comparison=held.comparison, annotator=held.annotator, state=state,
            display_order=held.display_order, leased_until=timezone.now(),
        )  # fmt: skip


# One ahead


def test_the_one_ahead_is_another_one_and_stays_the_same(project, write, bob):
    actions.open_comparisons(project=project, completions=write(prompts=5), k=4)
    first = actions.claim_next(project=project, annotator=bob)
    ahead = actions.claim_next(project=project, annotator=bob, besides=first)
    assert ahead != first
    assert actions.claim_next(project=project, annotator=bob, besides=first) == ahead
    assert actions.claim_next(project=project, annotator=bob) == first


def test_at_most_two_are_held_at_once(project, write, bob):
    actions.open_comparisons(project=project, completions=write(prompts=5), k=4)
    first = actions.claim_next(project=project, annotator=bob)
    ahead = actions.claim_next(project=project, annotator=bob, besides=first)
    for besides in (None, first, ahead):
        actions.claim_next(project=project, annotator=bob, besides=besides)
    assert Assignment.objects.filter(state="held").count() == 2


def test_after_a_submit_the_one_ahead_is_next(project, write, bob):
    actions.open_comparisons(project=project, completions=write(prompts=5), k=4)
    first = actions.claim_next(project=project, annotator=bob)
    ahead = actions.claim_next(project=project, annotator=bob, besides=first)
    submit(first, bob)
    assert actions.claim_next(project=project, annotator=bob, besides=first) == ahead
    assert actions.claim_next(project=project, annotator=bob) == ahead


def test_there_is_none_ahead_when_one_holds_the_last(project, held, bob):
    assert actions.claim_next(project=project, annotator=bob, besides=held) is None


def test_renewing_one_renews_the_one_ahead_too(project, write, bob):
    actions.open_comparisons(project=project, completions=write(prompts=5), k=4)
    first = actions.claim_next(project=project, annotator=bob)
    ahead = actions.claim_next(project=project, annotator=bob, besides=first)
    let_lease_run_out(first, ahead)
    until = actions.renew_lease(assignment=first, annotator=bob)
    ahead.refresh_from_db()
    assert ahead.leased_until == ahead.slot.free_from == until > timezone.now()


def test_renewing_touches_no_lease_in_another_project(project, held, bob, alice, write):
    other = actions.create_project(name="Other", created_by=alice)
    actions.add_member(project=other, user=bob, role="annotator")
    actions.open_comparisons(project=other, completions=write(), k=4)
    elsewhere = actions.claim_next(project=other, annotator=bob)
    let_lease_run_out(elsewhere)
    actions.renew_lease(assignment=held, annotator=bob)
    elsewhere.refresh_from_db()
    assert elsewhere.leased_until < timezone.now()


def test_of_two_held_the_one_that_is_not_lost_is_shown(project, write, alice, bob):
    actions.open_comparisons(project=project, completions=write(prompts=5), k=4)
    first = actions.claim_next(project=project, annotator=bob)
    ahead = actions.claim_next(project=project, annotator=bob, besides=first)
    let_lease_run_out(first)
    assert actions.claim_next(project=project, annotator=alice).slot == first.slot
    assert actions.claim_next(project=project, annotator=bob) == ahead


# Drafts


def test_a_draft_that_comes_too_late_is_kept_all_the_same(project, held, alice, bob):
    let_lease_run_out(held)
    actions.claim_next(project=project, annotator=alice)
    with pytest.raises(actions.LeaseLost):
        actions.save_draft(assignment=held, annotator=bob, draft={"rank_A": "1"})
    held.refresh_from_db()
    assert held.draft == {"rank_A": "1"}


def test_who_gets_a_lost_comparison_again_finds_the_draft_in_the_order_that_it_was_made_in(project, held, alice, bob):
    actions.save_draft(assignment=held, annotator=bob, draft={"rank_A": "1"})
    Assignment.objects.filter(pk=held.pk).update(display_order=held.display_order[::-1])  # one that is surely another
    let_lease_run_out(held)
    alices = actions.claim_next(project=project, annotator=alice)
    actions.skip(assignment=alices, annotator=alice, reason="")
    again = actions.claim_next(project=project, annotator=bob)
    assert (again.draft, again.display_order) == ({"rank_A": "1"}, held.display_order[::-1])
    assert alices.draft is None


def test_a_submitted_comparison_takes_no_draft(held, bob):
    submit(held, bob)
    with pytest.raises(actions.LeaseLost, match="judged this comparison already"):
        actions.save_draft(assignment=held, annotator=bob, draft={})
