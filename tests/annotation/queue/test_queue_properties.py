"""Any sequence of what people and time do to the queue keeps its promises: on real rows, as hypothesis finds it."""

import uuid
from contextlib import suppress
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from annotation import actions
from annotation.actions import known_answers, review
from annotation.models import Assignment, AssignmentState, Comparison, Judgment, Project, Role, Slot
from tests.annotation.judged import make_comparison

NAMES = st.sampled_from(["alice", "bob", "charlie"])
LIVE = [AssignmentState.HELD, AssignmentState.SUBMITTED, AssignmentState.SKIPPED]


class Queue(RuleBasedStateMachine):
    """Three annotators, two comparisons of two, and one of known answer; overlap two to begin with.

    So few that they meet: what goes wrong goes wrong between those who are at one comparison.
    """

    @initialize()
    def open_project(self):
        self.undone = transaction.atomic()
        self.undone.__enter__()
        self.users = {name: User.objects.create_user(name) for name in ("alice", "bob", "charlie")}
        self.project = Project.objects.create(name="P", slug="p", overlap=2, gold_percent=30)
        for user in self.users.values():
            actions.add_member(project=self.project, user=user, role=Role.ANNOTATOR)
        made = [make_comparison(self.project, ["yes", "no"], question=f"{n}?") for n in range(3)]
        Comparison.objects.filter(project=self.project).update(wanted=2)
        for comparison in made[1:]:
            for number in (1, 2):
                Slot.objects.create(
                    comparison=comparison, project=self.project, number=number, free_from=timezone.now()
                )
        known = [[pk] for pk in made[0].completions.values_list("pk", flat=True)]
        Comparison.objects.filter(pk=made[0].pk).update(purpose="gold", known_ranking=known)
        self.kept = {}  # request key -> the judgment that it made
        self.at_work = {}  # comparison -> how many had judged it or were at it when the overlap was last changed
        self.everybody_claims()  # so that two are at one comparison to begin with

    def teardown(self):
        if hasattr(self, "undone"):
            transaction.set_rollback(True)
            self.undone.__exit__(None, None, None)

    # What people do

    @rule(name=NAMES)
    def claim(self, name):
        before = self._held(name)
        claimed = actions.claim_next(project=self.project, annotator=self.users[name])
        if claimed is None:
            return
        assert (claimed.state, claimed.annotator_id) == (AssignmentState.HELD, self.users[name].pk)
        if claimed not in before:
            self._check_that_it_may_be_handed_out(claimed)

    @rule()
    def everybody_claims(self):
        for name in self.users:
            self.claim(name)

    @rule(name=NAMES)
    def ahead(self, name):
        for worked_on in self._held(name)[:1]:
            before = self._held(name)
            claimed = actions.claim_next(project=self.project, annotator=self.users[name], besides=worked_on)
            assert claimed != worked_on
            if claimed and claimed not in before:
                self._check_that_it_may_be_handed_out(claimed)

    @rule(name=NAMES, which=st.integers(0, 9))
    def draft(self, name, which):
        for assignment in self._pick(name, which, [AssignmentState.HELD, AssignmentState.EXPIRED]):
            with suppress(actions.LeaseLost):
                actions.save_draft(assignment=assignment, annotator=self.users[name], draft={"rank_A": str(which)})
            assignment.refresh_from_db()
            assert assignment.draft == {"rank_A": str(which)}

    @rule(name=NAMES, which=st.integers(0, 9), is_tied=st.booleans())
    def submit_or_correct(self, name, which, is_tied):
        for assignment in self._pick(name, which, list(AssignmentState)):
            order = assignment.display_order
            key = uuid.uuid4()
            try:
                judgment = self._submit(name, assignment, [order] if is_tied else [[pk] for pk in order], key)
            except actions.LeaseLost:
                assert assignment.state in (AssignmentState.SKIPPED, AssignmentState.EXPIRED)
            else:
                self.kept[key] = judgment.pk

    @precondition(lambda self: self.kept)
    @rule(data=st.data())
    def submit_the_same_again(self, data):
        key = data.draw(st.sampled_from(sorted(self.kept)))
        judgment = Judgment.objects.select_related("annotator", "assignment").get(pk=self.kept[key])
        again = self._submit(judgment.annotator.username, judgment.assignment, judgment.ranking, key)
        assert again == judgment

    @rule(name=NAMES, which=st.integers(0, 9))
    def skip(self, name, which):
        for assignment in self._pick(name, which, [AssignmentState.HELD, AssignmentState.SKIPPED]):
            actions.skip(assignment=assignment, annotator=self.users[name], reason="no idea")

    @rule(name=NAMES, which=st.integers(0, 9))
    def renew(self, name, which):
        for assignment in self._pick(name, which, [AssignmentState.HELD]):
            actions.renew_lease(assignment=assignment, annotator=self.users[name])
            assert all(held.leased_until > timezone.now() for held in self._held(name))

    # What time and managers do

    @rule(name=NAMES)
    def let_leases_run_out(self, name):
        past = timezone.now() - timedelta(seconds=1)
        held = [assignment.pk for assignment in self._held(name)]
        Slot.objects.filter(assignments__in=held).update(free_from=past)
        Assignment.objects.filter(pk__in=held).update(leased_until=past)

    @rule(is_paused=st.booleans())
    def pause(self, is_paused):
        actions.set_paused(project=self.project, is_paused=is_paused)

    @rule(overlap=st.sampled_from([1, 2, 3]))
    def change_overlap(self, overlap):
        at_work = [AssignmentState.HELD, AssignmentState.SUBMITTED]
        for comparison in self.project.comparisons.all():
            self.at_work[comparison.pk] = comparison.assignments.filter(purpose="work", state__in=at_work).count()
        self.project.overlap = overlap
        actions.save_settings(project=self.project)

    @rule(which=st.integers(0, 2))
    def withdraw_or_restore(self, which):
        comparison = self._comparison(which)
        action = review.restore if comparison.withdrawn_at else review.withdraw
        action(comparison=comparison, reason="because", by=self.users["alice"])

    @rule(which=st.integers(0, 2))
    def ask_for_another(self, which):
        comparison = self._comparison(which)
        with suppress(review.ReviewRefused):
            review.ask_for_judgments(comparison=comparison, wanted=comparison.wanted + 1, by=self.users["alice"])

    @rule(which=st.integers(0, 2))
    def give_or_take_a_known_answer(self, which):
        comparison, by = self._comparison(which), self.users["alice"]
        if comparison.purpose != "work":
            known_answers.turn_back_to_work(comparison=comparison, by=by)
            return
        ranking = [[pk] for pk in comparison.completions.values_list("pk", flat=True)]
        with suppress(review.ReviewRefused):
            known_answers.set_known_answer(comparison=comparison, purpose="gold", ranking=ranking, by=by)

    @rule(which=st.integers(0, 2), priority=st.integers(-1, 1))
    def change_priority(self, which, priority):
        chosen = Comparison.objects.filter(pk=self._comparison(which).pk)
        actions.set_priority(comparisons=chosen, priority=priority)
        unfilled = Slot.objects.filter(comparison__in=chosen, is_filled=False)
        assert not unfilled.exclude(priority=priority).exists()

    # What is always true

    @invariant()
    def a_filled_slot_has_one_answer_and_an_open_one_has_none(self):
        for slot in Slot.objects.prefetch_related("assignments"):
            states = [assignment.state for assignment in slot.assignments.all()]
            assert states.count("submitted") == slot.is_filled
            assert states.count("held") <= (not slot.is_filled)
            assert not (slot.is_filled and slot.is_parked)

    @invariant()
    def no_comparison_is_judged_more_often_than_wanted(self):
        """But for those who were at it already when the overlap was lowered."""
        for comparison in Comparison.objects.all():
            judged = comparison.assignments.filter(state="submitted", purpose="work").count()
            assert judged <= max(comparison.wanted, self.at_work.get(comparison.pk, 0))

    @invariant()
    def as_many_slots_are_open_as_judgments_are_missing(self):
        for comparison in Comparison.objects.all():
            filled = comparison.slots.filter(is_filled=True).count()
            is_in_queue = comparison.purpose == "work" and not comparison.withdrawn_at
            assert comparison.slots.open().count() == (max(comparison.wanted - filled, 0) if is_in_queue else 0)

    @invariant()
    def a_comparison_wants_what_the_project_says_or_a_reviewer_asked_for(self):
        for comparison in Comparison.objects.all():
            assert comparison.wanted == max(self.project.overlap, comparison.wanted_at_least)

    @invariant()
    def nobody_has_a_comparison_twice_or_more_than_two_at_once(self):
        for user in User.objects.all():
            live = list(Assignment.objects.filter(annotator=user, state__in=LIVE).values_list("comparison", flat=True))
            assert len(set(live)) == len(live)
            assert len(self._held(user.username)) <= 2

    @invariant()
    def no_judgment_is_lost_doubled_or_changed(self):
        assert Judgment.objects.count() == len(getattr(self, "kept", ()))
        for assignment in Assignment.objects.prefetch_related("judgments"):
            revisions = sorted(judgment.revision for judgment in assignment.judgments.all())
            assert revisions == list(range(1, len(revisions) + 1))
            assert bool(revisions) == (assignment.state == AssignmentState.SUBMITTED)

    @invariant()
    def what_was_shown_is_stored(self):
        for assignment in Assignment.objects.all():
            shown = assignment.comparison.completions.values_list("pk", flat=True)
            assert sorted(assignment.display_order) == sorted(shown)
            assert (assignment.slot_id is None) == (assignment.purpose == "gold")
            if assignment.state == AssignmentState.HELD:
                assert assignment.purpose == assignment.comparison.purpose

    def _held(self, name):
        return list(
            Assignment.objects.filter(annotator__username=name, state=AssignmentState.HELD).order_by("created_at")
        )

    def _check_that_it_may_be_handed_out(self, assignment):
        assert not self.project.is_paused
        comparison = assignment.comparison
        assert comparison.withdrawn_at is None
        assert comparison.purpose == assignment.purpose
        if assignment.purpose == "work":
            judged = comparison.assignments.filter(purpose="work", state=AssignmentState.SUBMITTED).count()
            assert judged < comparison.wanted

    def _comparison(self, which):
        return self.project.comparisons.order_by("pk")[which]

    def _pick(self, name, which, states):
        """One of these assignments of theirs, or none: a rule may find nothing to do."""
        found = list(Assignment.objects.filter(annotator__username=name, state__in=states).order_by("created_at"))
        return found[which % len(found) :][:1] if found else []

    def _submit(self, name, assignment, ranking, key):
        return actions.submit_judgment(
            assignment=assignment, annotator=self.users[name], answer=actions.Answer(ranking), request_key=key
        )


@pytest.mark.django_db
def test_any_sequence_of_events_keeps_the_queues_promises():
    run_state_machine_as_test(
        Queue,
        settings=settings(
            max_examples=20, stateful_step_count=25, deadline=None, derandomize=True, database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
