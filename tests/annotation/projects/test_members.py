"""Members of a project: who they are, what they may take, and that somebody always manages it."""

import threading

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.urls import reverse

from annotation import actions
from annotation.models import Project, Role

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(client, alice):
    client.force_login(alice)
    return client


def at(name, project, *more):
    return reverse(f"annotation:{name}", args=[project.slug, *more])


def test_a_member_is_added_by_username(staff, project, charlie):
    staff.post(at("members", project), {"username": " charlie ", "role": "annotator", "kind": "person"})
    assert project.memberships.get(user=charlie).role == "annotator"


@pytest.mark.parametrize("name", ["nobody", "gone"])
def test_an_account_that_is_not_there_or_not_active_is_a_form_error(staff, project, name):
    User.objects.create_user("gone", is_active=False)
    response = staff.post(at("members", project), {"username": name, "role": "annotator", "kind": "person"})
    assert response.status_code == 422
    assert "There is no account" in response.content.decode()


def test_groups_and_kind_are_kept(staff, project, charlie):
    fields = {"username": "charlie", "role": "reviewer", "kind": "simulated", "groups": " law, german,law "}
    staff.post(at("members", project), fields)
    membership = project.memberships.get(user=charlie)
    assert (membership.role, membership.kind, membership.groups) == ("reviewer", "simulated", ["german", "law"])


def test_a_member_is_changed_on_a_page_of_their_own(staff, project, bob):
    membership = project.memberships.get(user=bob)
    address = at("member", project, membership.pk)
    assert "Role and groups" in staff.get(address).content.decode()
    assert staff.post(address, {"role": "reviewer", "kind": "person", "groups": "law"}).status_code == 302
    membership.refresh_from_db()
    assert (membership.role, membership.groups) == ("reviewer", ["law"])
    change = project.changes.first()
    assert (change.what, change.subject, change.before["role"], change.after["role"]) == (
        "membership", "bob", "annotator", "reviewer",
    )  # fmt: skip
    assert staff.post(address, {"role": "king", "kind": "person"}).status_code == 422


# Removing


def test_removing_asks_first(staff, project, bob):
    address = at("member_remove", project, project.memberships.get(user=bob).pk)
    assert "Remove bob from Capitals?" in staff.get(address).content.decode()
    assert project.memberships.filter(user=bob).exists()


def test_a_member_is_removed(staff, project, bob):
    membership = project.memberships.get(user=bob)
    staff.post(at("member_remove", project, membership.pk))
    assert not project.memberships.filter(user=bob).exists()
    assert project.changes.first().before["role"] == "annotator"


def test_a_member_of_another_project_is_neither_removed_nor_changed(staff, project, charlie):
    other = Project.objects.create(name="Other", slug="other")
    membership = other.memberships.create(user=charlie)
    for name in ("member_remove", "member", "member_qualification"):
        assert staff.post(at(name, project, membership.pk)).status_code == 404


def test_the_only_manager_is_neither_removed_nor_made_less(staff, project, alice):
    membership = project.memberships.get(user=alice)
    page = staff.post(at("member_remove", project, membership.pk), follow=True).content.decode()
    assert "alice is the only manager of this project. Make somebody else a manager first." in page
    response = staff.post(at("member", project, membership.pk), {"role": "annotator", "kind": "person"})
    assert response.status_code == 422
    response = staff.post(at("members", project), {"username": "alice", "role": "annotator", "kind": "person"})
    assert response.status_code == 422
    membership.refresh_from_db()
    assert membership.role == Role.MANAGER


def test_one_of_two_managers_may_go(client, project, alice, charlie):
    actions.add_member(project=project, user=charlie, role=Role.MANAGER)
    client.force_login(charlie)
    response = client.post(at("member_remove", project, project.memberships.get(user=charlie).pk))
    assert response.url == "/"
    assert not project.memberships.filter(user=charlie).exists()


@pytest.mark.django_db(transaction=True)
def test_two_managers_who_remove_each_other_at_once_leave_one(project, alice, charlie):
    actions.add_member(project=project, user=charlie, role=Role.MANAGER)
    together, refused = threading.Barrier(2), []

    def remove(user):
        together.wait()
        try:
            actions.remove_member(project=project, user=user)
        except actions.LastManager:
            refused.append(user)
        finally:
            connection.close()

    threads = [threading.Thread(target=remove, args=[user]) for user in (alice, charlie)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 1
    assert project.memberships.filter(role=Role.MANAGER).count() == 1


# Qualification


@pytest.mark.parametrize("state", ["waived", "pending"])
def test_a_manager_waives_the_qualification_or_lets_them_try_again(staff, project, bob, state):
    membership = project.memberships.get(user=bob)
    actions.set_qualification(membership=membership, state="failed")
    staff.post(at("member_qualification", project, membership.pk), {"state": state})
    membership.refresh_from_db()
    assert membership.qualification == state
    assert project.changes.filter(what="qualification").first().after == state


def test_a_manager_lets_nobody_pass_by_hand(staff, project, bob):
    membership = project.memberships.get(user=bob)
    staff.post(at("member_qualification", project, membership.pk), {"state": "passed"})
    membership.refresh_from_db()
    assert membership.qualification == "pending"


def test_annotators_change_no_member(client, project, bob):
    client.force_login(bob)
    membership = project.memberships.get(user=bob)
    for name in ("member", "member_remove", "member_qualification"):
        assert client.post(at(name, project, membership.pk)).status_code == 403
    assert client.post(at("members", project), {"username": "bob", "role": "manager"}).status_code == 403
