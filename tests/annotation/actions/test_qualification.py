"""Who must qualify: those who come anew, and not those who worked before there was anything to qualify by."""

import uuid

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from annotation import actions
from annotation.actions.qualification import unqualified_at_work
from annotation.models import AssignmentState, Comparison, Membership, Purpose, Qualification, Role

pytestmark = pytest.mark.django_db


@pytest.fixture
def opened(project, write):
    actions.open_comparisons(project=project, completions=write(prompts=3), k=4)
    return list(project.comparisons.all())


@pytest.fixture
def examined(opened):
    """A comparison of the qualification set: its completions in the order of their ids."""
    ids = sorted(opened[0].completions.values_list("pk", flat=True))
    known = [[pk] for pk in ids]
    Comparison.objects.filter(pk=opened[0].pk).update(purpose=Purpose.QUALIFICATION, known_ranking=known)
    return opened[0]


def answer(assignment, annotator, *, best_first):
    ranking = [[pk] for pk in sorted(assignment.display_order, reverse=not best_first)]
    given = actions.Answer(ranking, ["better"] * 3)
    return actions.submit_judgment(
        assignment=assignment, annotator=annotator, answer=given, request_key=uuid.uuid4()
    )  # fmt: skip


def standing(user):
    return Membership.objects.get(user=user).qualification


def test_who_failed_corrected_it_and_was_added_again_is_examined_anew(project, examined, bob):
    item = actions.claim_next(project=project, annotator=bob)
    answer(item, bob, best_first=False)
    assert actions.claim_next(project=project, annotator=bob) is None
    assert standing(bob) == Qualification.FAILED
    answer(item, bob, best_first=True)
    actions.remove_member(project=project, user=bob)
    actions.add_member(project=project, user=bob, role=Role.ANNOTATOR)
    again = actions.claim_next(project=project, annotator=bob)
    assert (again.purpose, standing(bob)) == ("qualification", Qualification.PENDING)
    item.refresh_from_db()
    assert item.state == AssignmentState.EXPIRED
    with pytest.raises(actions.LeaseLost):
        answer(item, bob, best_first=True)


def test_a_decision_of_two_at_once_begins_on_record_with_what_the_first_one_said(project, bob):
    stale = Membership.objects.get(user=bob)
    actions.set_qualification(membership=Membership.objects.get(user=bob), state=Qualification.FAILED)
    actions.set_qualification(membership=stale, state=Qualification.WAIVED)
    assert project.changes.filter(what="qualification").first().before == "failed"


# A set that is made when work has begun


@pytest.fixture
def at_work(project, opened, bob):
    """Bob has judged a comparison; Eve is new; Fred waits for a new attempt but has worked, and is a reviewer."""
    answer(actions.claim_next(project=project, annotator=bob), bob, best_first=True)
    actions.add_member(project=project, user=User.objects.create_user("eve"), role=Role.ANNOTATOR)
    fred = User.objects.create_user("fred")
    actions.add_member(project=project, user=fred, role=Role.REVIEWER)
    answer(actions.claim_next(project=project, annotator=fred), fred, best_first=True)
    return opened[-1]


def form(comparison, **changes):
    places = {f"rank_{letter}": place for place, letter in enumerate("ABCD", start=1)}
    return {"purpose": "qualification", "explanation": "", **places} | changes


def address(comparison):
    return reverse("annotation:known_answer", args=[comparison.pk])


def test_the_form_says_who_would_be_shut_out(client, alice, at_work):
    client.force_login(alice)
    html = client.get(address(at_work)).content.decode()
    assert "The annotator who works here already need not qualify" in html
    assert "they get no work until" in html


def test_who_works_already_may_go_on_and_who_is_new_qualifies(client, alice, bob, project, at_work):
    client.force_login(alice)
    assert client.post(address(at_work), form(at_work, waive="on")).status_code == 302
    assert standing(bob) == Qualification.WAIVED
    assert Membership.objects.get(user__username="eve").qualification == Qualification.PENDING
    assert project.changes.filter(what="qualification").get().who == alice
    assert not unqualified_at_work(project).exists()


@pytest.mark.parametrize("change", [{}, {"waive": "on", "purpose": "gold"}])
def test_nobody_is_excused_unless_the_manager_says_so_and_for_a_qualification_only(client, alice, bob, at_work, change):
    client.force_login(alice)
    assert client.post(address(at_work), form(at_work, **change)).status_code == 302
    assert standing(bob) == Qualification.PENDING


def test_nothing_is_asked_where_nobody_works_yet(client, alice, opened):
    client.force_login(alice)
    assert "need not qualify" not in client.get(address(opened[0])).content.decode()


def test_who_writes_an_explanation_is_told_that_letters_differ(client, alice, opened):
    client.force_login(alice)
    assert "Name no letters" in client.get(address(opened[0])).content.decode()
