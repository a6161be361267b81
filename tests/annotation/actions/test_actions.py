"""Projects, leases and judgments."""

import uuid
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from annotation import actions
from annotation.models import (
    Assignment,
    AssignmentState,
    Comparison,
    JudgeKind,
    Judgment,
    Membership,
    Project,
    Role,
    Slot,
)
from annotation.rules.ranking import RankingError

pytestmark = pytest.mark.django_db


def submit(assignment, annotator, **changes):
    """Everything on its own rank, in the order of display, unless ``changes`` say otherwise."""
    order = assignment.display_order
    said = {"ranking": [[pk] for pk in order], "strengths": ["better"] * (len(order) - 1)} | changes
    key = said.pop("request_key", None) or uuid.uuid4()
    return actions.submit_judgment(
        assignment=assignment, annotator=annotator, answer=actions.Answer(**said), request_key=key
    )


def let_lease_run_out(assignment):
    past = timezone.now() - timedelta(seconds=1)
    Slot.objects.filter(pk=assignment.slot_id).update(free_from=past)
    Assignment.objects.filter(pk=assignment.pk).update(leased_until=past)


# Projects and members


def test_whoever_makes_a_project_manages_it(alice):
    project = actions.create_project(name="Kind words", overlap=2, created_by=alice)
    assert project.slug == "kind-words"
    assert project.memberships.get().role == Role.MANAGER


def test_two_names_that_read_alike_get_two_addresses(alice):
    slugs = [actions.create_project(name=name, overlap=1, created_by=alice).slug for name in ("A b", "A-b", "a b!")]
    assert slugs == ["a-b", "a-b-2", "a-b-3"]


def test_a_project_called_new_does_not_hide_the_form_that_makes_projects(alice):
    assert actions.create_project(name="New", overlap=1, created_by=alice).slug == "new-2"


def test_a_name_of_signs_only_still_gets_an_address(alice):
    assert actions.create_project(name="???", overlap=1, created_by=alice).slug == "project"


def test_adding_a_member_again_changes_the_role(project, bob):
    actions.add_member(project=project, user=bob, role=Role.REVIEWER, kind=JudgeKind.SIMULATED)
    membership = project.memberships.get(user=bob)
    assert (membership.role, membership.kind) == ("reviewer", "simulated")


def test_one_membership_per_project_and_user(project, bob):
    with pytest.raises(IntegrityError, match="one_membership_per_project_and_user"), transaction.atomic():
        Membership.objects.create(project=project, user=bob)


def test_a_removed_member_leaves_the_judgments_behind(project, held, bob):
    submit(held, bob)
    actions.remove_member(project=project, user=bob)
    assert not project.memberships.filter(user=bob).exists()
    assert Judgment.objects.count() == 1


def test_a_higher_overlap_opens_slots_on_every_comparison(project, write):
    actions.open_comparisons(project=project, completions=write(prompts=3), k=4)
    project.overlap = 3
    actions.save_settings(project=project)
    assert Slot.objects.filter(project=project).count() == 9


def test_a_lower_overlap_takes_away_only_what_nobody_held(project, write, bob):
    project.overlap = 2
    project.save()
    actions.open_comparisons(project=project, completions=write(prompts=2), k=4)
    Slot.objects.filter(number=1).update(is_filled=True)
    second = actions.claim_next(project=project, annotator=bob).slot
    project.overlap = 1
    actions.save_settings(project=project)
    assert second.number == 2
    assert list(Slot.objects.filter(number=2)) == [second]


# Opening


def test_completions_are_grouped_by_prompt_and_each_group_waits_for_the_overlap(alice, write):
    project = actions.create_project(name="Twice", overlap=2, created_by=alice)
    result = actions.open_comparisons(project=project, completions=write(prompts=3), k=4)
    assert (result.opened, result.already_open, result.skipped) == (3, 0, 0)
    assert Slot.objects.filter(project=project).count() == 6
    for comparison in Comparison.objects.all():
        assert comparison.completions.count() == 4
        assert {completion.prompt_id for completion in comparison.completions.all()} == {comparison.prompt_id}


def test_opening_twice_opens_nothing_twice(project, write):
    completions = write(prompts=2)
    actions.open_comparisons(project=project, completions=completions, k=4)
    result = actions.open_comparisons(project=project, completions=completions, k=4)
    assert (result.opened, result.already_open) == (0, 2)
    assert Slot.objects.count() == 2


def test_equal_texts_are_shown_once(project, write):
    actions.open_comparisons(project=project, completions=write(["yes", "no", " yes\n", "no"]), k=4)
    texts = set(project.comparisons.get().completions.values_list("text", flat=True))
    assert texts == {"yes", "no"}


def test_a_prompt_with_one_text_only_is_skipped_and_counted(project, write):
    write(["same", "same"])
    result = actions.open_comparisons(project=project, completions=write(["yes", "no"]), k=2)
    assert (result.opened, result.skipped) == (1, 1)


def test_more_completions_than_k_make_several_comparisons_and_a_lone_one_is_left_out(project, write):
    actions.open_comparisons(project=project, completions=write(list("abcde")), k=2)
    sizes = [comparison.completions.count() for comparison in project.comparisons.all()]
    assert sizes == [2, 2]  # e has nothing left to be compared with


@pytest.mark.parametrize("k", [1, 27])
def test_k_out_of_range_is_refused(project, write, k):
    with pytest.raises(ValueError, match=f"K is {k}"):
        actions.open_comparisons(project=project, completions=write(), k=k)


def test_one_comparison_per_project_and_completions(comparison):
    with (
        pytest.raises(IntegrityError, match="one_comparison_per_project_and_completions"),
        transaction.atomic(),
    ):
        Comparison.objects.create(
            project=comparison.project, prompt=comparison.prompt, content_key=comparison.content_key
        )


# Judgments


def test_a_judgment_keeps_the_ranking_and_fills_the_slot(held, bob):
    a, b, c, d = held.display_order
    judgment = submit(
        held, bob, ranking=[[a], [c, d], [b]], strengths=["significantly_better", "slightly_better"],
        seconds_spent=12.5, rationale="A is true",
    )  # fmt: skip
    held.refresh_from_db()
    assert judgment.ranking == [[a], [c, d], [b]]
    assert judgment.strengths == ["significantly_better", "slightly_better"]
    assert (judgment.seconds_spent, judgment.rationale, judgment.revision) == (12.5, "A is true", 1)
    assert held.state == AssignmentState.SUBMITTED
    assert held.slot.is_filled


def test_the_kind_of_judge_comes_from_the_membership(project, held, bob):
    actions.add_member(project=project, user=bob, role=Role.ANNOTATOR, kind=JudgeKind.SIMULATED)
    assert submit(held, bob).kind == JudgeKind.SIMULATED


def test_staff_without_membership_judges_as_a_person(project, comparison, alice):
    project.memberships.filter(user=alice).delete()
    assignment = actions.claim_next(project=project, annotator=alice)
    assert submit(assignment, alice).kind == JudgeKind.PERSON


def test_a_repeated_request_returns_the_first_judgment(held, bob):
    key = uuid.uuid4()
    first = submit(held, bob, request_key=key)
    second = submit(held, bob, request_key=key, seconds_spent=99)
    assert second == first
    assert Judgment.objects.get() == first


def test_a_key_that_another_judgment_used_is_refused(project, write, bob):
    actions.open_comparisons(project=project, completions=write(prompts=2), k=4)
    key = uuid.uuid4()
    submit(actions.claim_next(project=project, annotator=bob), bob, request_key=key)
    with pytest.raises(actions.KeyReused):
        submit(actions.claim_next(project=project, annotator=bob), bob, request_key=key)
    assert Judgment.objects.count() == 1


def test_a_late_answer_counts_while_nobody_else_has_the_slot(held, bob):
    let_lease_run_out(held)
    assert submit(held, bob).revision == 1


def test_a_late_answer_is_refused_once_somebody_else_has_the_slot(project, held, alice, bob):
    let_lease_run_out(held)
    actions.claim_next(project=project, annotator=alice)
    with pytest.raises(actions.LeaseLost, match="another annotator has this"):
        submit(held, bob)
    assert not Judgment.objects.exists()


def test_a_skipped_comparison_takes_no_answer(held, bob):
    actions.skip(assignment=held, annotator=bob, reason="")
    with pytest.raises(actions.LeaseLost, match="skipped"):
        submit(held, bob)


def test_no_comparison_gets_more_judgments_than_the_overlap(project, held, alice, bob):
    submit(held, bob)
    assert actions.claim_next(project=project, annotator=alice) is None


def test_a_correction_is_a_revision_that_supersedes(held, bob):
    first = submit(held, bob)
    order = held.display_order
    second = submit(held, bob, ranking=[[pk] for pk in reversed(order)])
    assert (second.revision, second.supersedes) == (2, first)
    assert list(Judgment.objects.current()) == [second]
    first.refresh_from_db()
    assert first.ranking == [[pk] for pk in order]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda order: {"ranking": [[pk] for pk in order[:3]], "strengths": ["better"] * 2}, "have no place"),
        (lambda order: {"ranking": [[*order, 999_999]], "strengths": []}, "not shown here"),
        (lambda order: {"ranking": [order, order[:1]], "strengths": ["better"]}, "twice"),
        (lambda order: {"ranking": [], "strengths": []}, "empty"),
        (lambda order: {"strengths": ["superb"] * 3}, "no strength"),
        (lambda order: {"strengths": ["better"]}, "3 gaps"),
    ],
)
def test_an_answer_that_is_no_ranking_of_what_was_shown_writes_nothing(held, bob, change, message):
    with pytest.raises(RankingError, match=message):
        submit(held, bob, **change(held.display_order))
    held.refresh_from_db()
    assert held.state == AssignmentState.HELD
    assert not Judgment.objects.exists()


def test_ties_are_refused_where_the_project_has_none(project, held, bob):
    Project.objects.update(allow_ties=False)
    with pytest.raises(RankingError, match="no ties"):
        submit(held, bob, ranking=[held.display_order], strengths=[])


def test_without_asking_for_strength_every_gap_gets_the_default(project, held, bob):
    Project.objects.update(strength_scale="none")
    assert submit(held, bob, strengths=["significantly_better"] * 3).strengths == ["better"] * 3


def test_two_revisions_with_one_number_are_refused_by_the_database(held, bob):
    first = submit(held, bob)
    with (
        pytest.raises(IntegrityError, match="one_judgment_per_assignment_and_revision"),
        transaction.atomic(),
    ):
        Judgment.objects.create(
            comparison=first.comparison, annotator=bob, assignment=held, kind="person", ranking=first.ranking,
            request_key=uuid.uuid4(),
        )  # fmt: skip


def test_a_first_judgment_supersedes_nothing(held, bob):
    first = submit(held, bob)
    with pytest.raises(IntegrityError, match="only_a_later_revision_supersedes"), transaction.atomic():
        Judgment.objects.create(
            comparison=first.comparison, annotator=bob, assignment=held, kind="person", ranking=first.ranking,
            request_key=uuid.uuid4(), revision=2,
        )  # fmt: skip
