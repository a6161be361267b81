"""Who may take what: groups of comparisons and their members."""

import pytest

from annotation.models import Comparison
from annotation.queue.next_slot import NothingLeft, why_nothing
from tests.annotation.queue.turns import answer, claim, make_known

pytestmark = pytest.mark.django_db


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
