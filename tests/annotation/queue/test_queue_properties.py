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
from annotation.models import Assignment, AssignmentState, Comparison, Judgment, Project, Role, Slot
from tests.annotation.judged import make_comparison

NAMES = st.sampled_from(["alice", "bob", "charlie"])
LIVE = [AssignmentState.HELD, AssignmentState.SUBMITTED, AssignmentState.SKIPPED]


class Queue(RuleBasedStateMachine):
    """Three annotators, three comparisons of two, and one of known answer; overlap two to begin with."""

    @initialize()
    def open_project(self):
        self.undone = transaction.atomic()
        self.undone.__enter__()
        self.users = {name: User.objects.create_user(name) for name in ("alice", "bob", "charlie")}
        self.project = Project.objects.create(name="P", slug="p", overlap=2, gold_percent=30)
        for user in self.users.values():
            actions.add_member(project=self.project, user=user, role=Role.ANNOTATOR)
        made = [make_comparison(self.project, ["yes", "no"], question=f"{n}?") for n in range(4)]
        Comparison.objects.filter(project=self.project).update(wanted=2)
        for comparison in made[1:]:
            for number in (1, 2):
                Slot.objects.create(
                    comparison=comparison, project=self.project, number=number, free_from=timezone.now()
                )
        known = [[pk] for pk in made[0].completions.values_list("pk", flat=True)]
        Comparison.objects.filter(pk=made[0].pk).update(purpose="gold", known_ranking=known)
        self.kept = {}  # request key -> the judgment that it made
        self.most = {}  # comparison -> judgments that it may come to have after its overlap was lowered

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
        if self.project.is_paused:
            assert claimed in before

    @rule(name=NAMES)
    def ahead(self, name):
        for worked_on in self._held(name)[:1]:
            claimed = actions.claim_next(project=self.project, annotator=self.users[name], besides=worked_on)
            assert claimed != worked_on

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
        again = self._submit(judgment.annotator.username, judgment.assignment, [judgment.assignment.display_order], key)
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

    @rule(overlap=st.integers(1, 3))
    def change_overlap(self, overlap):
        for comparison in self.project.comparisons.work():
            live = comparison.assignments.filter(state__in=[AssignmentState.HELD, AssignmentState.SUBMITTED]).count()
            self.most[comparison.pk] = max(overlap, live)
        self.project.overlap = overlap
        actions.save_settings(project=self.project)

    # What is always true

    @invariant()
    def a_filled_slot_has_one_answer_and_an_open_one_has_none(self):
        for slot in Slot.objects.prefetch_related("assignments"):
            states = [assignment.state for assignment in slot.assignments.all()]
            assert states.count("submitted") == slot.is_filled
            assert states.count("held") <= (not slot.is_filled)

    @invariant()
    def no_comparison_is_judged_more_often_than_wanted(self):
        for comparison in Comparison.objects.filter(purpose="work"):
            judged = comparison.assignments.filter(state="submitted", purpose="work").count()
            assert judged <= max(comparison.wanted, self.most.get(comparison.pk, 0))

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
            assert (assignment.slot_id is None) == (assignment.comparison.purpose == "gold")

    def _held(self, name):
        return list(
            Assignment.objects.filter(annotator__username=name, state=AssignmentState.HELD).order_by("created_at")
        )

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
