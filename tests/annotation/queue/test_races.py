"""Many at once: real connections, real transactions, one PostgreSQL."""

import threading
import uuid
from contextlib import suppress

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection

from annotation import actions
from annotation.actions import known_answers, review
from annotation.models import Assignment, Judgment, Project, Role, Slot
from tests.bench import faults

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*calls):
    """Run every call in a thread of its own, started together; return their results in order."""
    results, errors = [None] * len(calls), []
    barrier = threading.Barrier(len(calls))

    def run(index, call):
        try:
            barrier.wait(10)
            results[index] = call()
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == []
    return results


def members(project, number):
    users = [User.objects.create_user(f"annotator-{i}") for i in range(number)]
    for user in users:
        actions.add_member(project=project, user=user, role=Role.ANNOTATOR)
    return users


def test_eight_annotators_empty_the_queue_and_no_slot_goes_to_two(project, write):
    actions.open_comparisons(project=project, completions=write(prompts=40), k=4)

    def work(user):
        taken = []
        while assignment := actions.claim_next(project=project, annotator=user):
            taken.append(assignment.slot_id)
            actions.submit_judgment(
                assignment=assignment, annotator=user, answer=actions.Answer([assignment.display_order]),
                request_key=uuid.uuid4(),
            )  # fmt: skip
        return taken

    taken = at_once(*[lambda user=user: work(user) for user in members(project, 8)])

    slots = [slot for each in taken for slot in each]
    assert len(slots) == len(set(slots)) == Judgment.objects.count() == 40
    assert not Slot.objects.filter(is_filled=False).exists()


def test_eight_tabs_of_one_annotator_show_one_comparison(project, write, bob):
    actions.open_comparisons(project=project, completions=write(prompts=10), k=4)
    claims = at_once(*[lambda: actions.claim_next(project=project, annotator=bob)] * 8)
    assert len({claim.pk for claim in claims}) == Assignment.objects.count() == 1


def test_eight_identical_submits_are_one_judgment(held, bob):
    key = uuid.uuid4()

    def submit():
        return actions.submit_judgment(
            assignment=held, annotator=bob, answer=actions.Answer([held.display_order]), request_key=key
        )

    judgments = at_once(*[submit] * 8)
    assert len({judgment.pk for judgment in judgments}) == Judgment.objects.count() == 1


def test_claims_and_submits_that_cross_do_not_deadlock(project, write, bob, charlie):
    """Leases of no length: everybody takes everybody's slot, all the time."""
    actions.add_member(project=project, user=charlie, role=Role.ANNOTATOR)
    actions.open_comparisons(project=project, completions=write(prompts=6), k=4)
    type(project).objects.update(lease_seconds=0)
    project.refresh_from_db()

    def work(user):
        refused = 0
        for _ in range(30):
            try:
                assignment = actions.claim_next(project=project, annotator=user)
            except IntegrityError as error:
                # Without a lease two statements may find one slot free at the same time; the constraint stops one.
                if "one_held_assignment_per_slot" not in str(error):
                    raise
                continue
            if assignment is None:
                break
            try:
                actions.submit_judgment(
                    assignment=assignment, annotator=user, answer=actions.Answer([assignment.display_order]),
                    request_key=uuid.uuid4(),
                )  # fmt: skip
            except actions.LeaseLost:
                refused += 1
        return refused

    at_once(*[lambda user=user: work(user) for user in [bob, charlie, *members(project, 4)]])
    assert Judgment.objects.count() == 6
    assert Judgment.objects.values("comparison").distinct().count() == 6


def test_what_reviewers_managers_and_annotators_do_at_once_neither_deadlocks_nor_leaves_a_slot_too_many(
    project, write, alice
):
    actions.open_comparisons(project=project, completions=write(prompts=4), k=4)
    comparisons = list(project.comparisons.order_by("pk"))
    ranking = {each.pk: [[pk] for pk in each.completions.values_list("pk", flat=True)] for each in comparisons}

    def change_the_overlap():
        for number in range(12):
            fresh = Project.objects.get(pk=project.pk)
            fresh.overlap = 1 + number % 3
            actions.save_settings(project=fresh, by=alice)

    def withdraw_and_restore(chosen):
        for comparison in chosen * 4:
            review.withdraw(comparison=comparison, reason="broken", by=alice)
            review.restore(comparison=comparison, reason="it is not", by=alice)

    def make_gold_and_work_again(chosen):
        for comparison in chosen * 4:
            known_answers.set_known_answer(
                comparison=comparison, purpose="gold", ranking=ranking[comparison.pk], by=alice
            )
            known_answers.turn_back_to_work(comparison=comparison, by=alice)

    def change_priorities():
        for number in range(12):
            actions.set_priority(comparisons=project.comparisons.order_by("-pk"), priority=number % 2, by=alice)

    def work(user):
        for number in range(16):
            if not (assignment := actions.claim_next(project=project, annotator=user)):
                continue
            with suppress(actions.LeaseLost):
                if number % 4:
                    actions.skip(assignment=assignment, annotator=user, reason="")
                else:
                    actions.submit_judgment(
                        assignment=assignment, annotator=user, answer=actions.Answer([assignment.display_order]),
                        request_key=uuid.uuid4(),
                    )  # fmt: skip

    at_once(
        change_the_overlap,
        change_priorities,
        lambda: withdraw_and_restore(comparisons[:2]),
        lambda: make_gold_and_work_again(comparisons[2:]),
        *[lambda user=user: work(user) for user in members(project, 4)],
    )

    assert set(project.comparisons.values_list("purpose", "withdrawn_at", "wanted")) == {("work", None, 3)}
    for comparison in comparisons:
        filled = comparison.slots.filter(is_filled=True).count()
        assert filled + comparison.slots.open().count() == 3


def test_opening_at_once_opens_each_comparison_once(project, write):
    completions = write(prompts=20)
    results = at_once(*[lambda: actions.open_comparisons(project=project, completions=completions.all(), k=4)] * 4)
    assert sum(result.opened for result in results) == project.comparisons.count() == Slot.objects.count() == 20


def test_no_judgment_is_lost_or_too_many_when_a_worker_is_killed(project, write, tmp_path):
    """A small `make bench-queue-faults`: real processes, leases of a second, one of them killed in the middle."""
    project.overlap, project.lease_seconds, project.strength_scale = 3, faults.LEASE_SECONDS, "none"
    project.save()
    actions.open_comparisons(project=project, completions=write(["yes", "no"], prompts=60), k=2)
    annotators = [user.pk for user in members(project, 12)]
    outcome = faults.run(project, annotators, workers=3, kills=1, folder=tmp_path, seconds=120)
    assert outcome.is_sound, outcome
    assert (outcome.judgments, outcome.killed_workers) == (180, 1)
