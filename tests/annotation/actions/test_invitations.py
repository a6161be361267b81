"""Invitation links."""

import re
import threading
import uuid
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from django.urls import reverse
from django.utils import timezone

from annotation import actions
from annotation.actions.invitations import invitation_of
from annotation.models import Invitation, Membership, ProjectChange, Role

pytestmark = pytest.mark.django_db
PASSWORD = "a long enough pass phrase"


def invite(project, **changes):
    said = {"role": Role.ANNOTATOR, "expires_at": timezone.now() + timedelta(days=1), "request_key": uuid.uuid4()}
    return actions.create_invitation(project=project, **(said | changes))


def join_address(token):
    return reverse("annotation:join", args=[token])


def new_account(name="dora"):
    return {"username": name, "password1": PASSWORD, "password2": PASSWORD}


# What is kept


def test_only_the_hash_of_a_link_is_kept(project):
    invitation, token = invite(project)
    assert len(token) == 48
    assert token not in str(Invitation.objects.values().get())
    assert token not in str(list(ProjectChange.objects.values()))
    assert invitation_of(token) == invitation


def test_the_same_request_makes_one_link(project):
    key = uuid.uuid4()
    assert invite(project, request_key=key) == invite(project, request_key=key)
    assert invite(project) != invite(project)
    assert ProjectChange.objects.filter(what="invitation").count() == 3


def test_the_database_refuses_one_use_too_many(project):
    invitation, _ = invite(project)
    with pytest.raises(IntegrityError, match="no_invitation_is_used_more_often"), transaction.atomic():
        Invitation.objects.filter(pk=invitation.pk).update(uses=2)


# Joining


def test_joining_gives_role_and_groups_and_is_on_record(project, charlie):
    invitation, _ = invite(project, role=Role.REVIEWER, groups=["law", "law", "german"])
    membership = actions.accept_invitation(invitation=invitation, user=charlie)
    assert (membership.role, membership.groups) == ("reviewer", ["german", "law"])
    invitation.refresh_from_db()
    assert invitation.uses == 1
    assert project.changes.filter(what="membership", subject="charlie", who=charlie).exists()


def test_joining_twice_is_joining_once(project, charlie):
    invitation, _ = invite(project, max_uses=5)
    for _ in range(2):
        actions.accept_invitation(invitation=invitation, user=charlie)
    invitation.refresh_from_db()
    assert invitation.uses == 1


def test_joining_as_less_never_lowers_a_role_nor_takes_groups_away(project, charlie):
    actions.add_member(project=project, user=charlie, role=Role.MANAGER, groups=["law"])
    invitation, _ = invite(project, groups=["german"])
    membership = actions.accept_invitation(invitation=invitation, user=charlie)
    assert (membership.role, membership.groups) == ("manager", ["german", "law"])


def test_joining_as_more_raises_a_role(project, bob):
    invitation, _ = invite(project, role=Role.REVIEWER)
    assert actions.accept_invitation(invitation=invitation, user=bob).role == Role.REVIEWER


def test_a_kind_of_judge_stays_what_it_was(project, charlie):
    actions.add_member(project=project, user=charlie, role=Role.ANNOTATOR, kind="simulated")
    invitation, _ = invite(project, role=Role.REVIEWER)
    assert actions.accept_invitation(invitation=invitation, user=charlie).kind == "simulated"


def run_out(invitation):
    Invitation.objects.filter(pk=invitation.pk).update(expires_at=timezone.now() - timedelta(seconds=1))


def use_up(invitation):
    Invitation.objects.filter(pk=invitation.pk).update(uses=1)


def take_back(invitation):
    actions.revoke_invitation(invitation=invitation)


@pytest.mark.parametrize(
    ("spoil", "words"), [(run_out, "ran out"), (use_up, "was used by somebody already"), (take_back, "was taken back")]
)
def test_a_link_that_is_no_longer_good_says_why_and_lets_nobody_in(client, project, charlie, spoil, words):
    invitation, token = invite(project)
    spoil(invitation)
    with pytest.raises(actions.InvitationRefused, match=words):
        actions.accept_invitation(invitation=invitation, user=charlie)
    for is_signed_in in (False, True):
        if is_signed_in:
            client.force_login(charlie)
        for response in (client.get(join_address(token)), client.post(join_address(token), new_account())):
            assert response.status_code == 410
            assert words in response.content.decode()
    assert not project.memberships.filter(user=charlie).exists()
    assert not User.objects.filter(username="dora").exists()


def test_a_link_that_is_none_is_not_found(client, db):
    response = client.get(join_address("nonsense"))
    assert response.status_code == 404
    assert "This link is not valid" in response.content.decode()


@pytest.mark.django_db(transaction=True)
def test_two_people_who_take_the_last_use_at_once_are_one_member(project, charlie):
    invitation, _ = invite(project)
    users = [charlie, User.objects.create_user("dora")]
    together, refused = threading.Barrier(2), []

    def join(user):
        together.wait()
        try:
            actions.accept_invitation(invitation=invitation, user=user)
        except actions.InvitationRefused:
            refused.append(user)
        finally:
            connection.close()

    threads = [threading.Thread(target=join, args=[user]) for user in users]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 1
    assert Membership.objects.filter(project=project, user__in=users).count() == 1


# Who made it, and for whom it no longer holds


@pytest.fixture
def dora(project):
    """A manager beside Alice."""
    dora = User.objects.create_user("dora")
    actions.add_member(project=project, user=dora, role=Role.MANAGER)
    return dora


def let_go(project, user, by):
    actions.remove_member(project=project, user=user, by=by)


def make_less(project, user, by):
    actions.add_member(project=project, user=user, role=Role.REVIEWER, by=by)


@pytest.mark.parametrize("stop", [let_go, make_less])
def test_links_of_who_manages_no_longer_are_taken_back_on_record(project, alice, dora, charlie, stop):
    other = actions.create_project(name="Other", created_by=dora)
    elsewhere, _ = invite(other, by=dora)
    by_alice, _ = invite(project, by=alice)
    invitation, _ = invite(project, role=Role.MANAGER, by=dora)
    stop(project, dora, alice)
    with pytest.raises(actions.InvitationRefused, match="taken back"):
        actions.accept_invitation(invitation=invitation, user=charlie)
    with pytest.raises(actions.InvitationRefused, match="taken back"):
        actions.accept_invitation(invitation=invitation, user=dora)
    taken_back = ProjectChange.objects.get(after="taken back")
    assert (taken_back.who, taken_back.subject) == (alice, f"invitation {invitation.pk}")
    for invitation in (elsewhere, by_alice):
        actions.accept_invitation(invitation=invitation, user=charlie)


def test_staff_who_are_no_members_invite_on(project, alice, dora, charlie):
    invitation, _ = invite(project, by=alice)
    actions.remove_member(project=project, user=alice, by=dora)
    assert actions.accept_invitation(invitation=invitation, user=charlie).role == Role.ANNOTATOR


@pytest.mark.parametrize("change", [{"is_staff": False}, {"is_active": False}])
def test_a_link_of_who_is_no_longer_staff_or_has_no_account_lets_nobody_in(project, alice, dora, charlie, change):
    invitation, _ = invite(project, by=alice)
    project.memberships.filter(user=alice).delete()
    User.objects.filter(pk=alice.pk).update(**{"is_staff": True} | change)
    with pytest.raises(actions.InvitationRefused, match="does not manage"):
        actions.accept_invitation(invitation=invitation, user=charlie)


def test_who_was_removed_does_not_come_back_by_an_older_link(client, project, alice, charlie):
    invitation, token = invite(project, max_uses=5, by=alice)
    actions.accept_invitation(invitation=invitation, user=charlie)
    actions.remove_member(project=project, user=charlie, by=alice)
    client.force_login(charlie)
    for response in (client.get(join_address(token)), client.post(join_address(token))):
        assert response.status_code == 410
        assert "after this invitation was made" in response.content.decode()
    assert not project.memberships.filter(user=charlie).exists()
    newer, _ = invite(project, by=alice)
    assert actions.accept_invitation(invitation=newer, user=charlie)


def test_who_was_made_less_does_not_get_it_back_by_an_older_link(project, alice, dora):
    manager, _ = invite(project, role=Role.MANAGER, by=alice)
    law, _ = invite(project, groups=["law"], by=alice)
    actions.add_member(project=project, user=dora, role=Role.ANNOTATOR, groups=[], by=alice)
    for invitation in (manager, law):
        with pytest.raises(actions.InvitationRefused, match="after this invitation was made"):
            actions.accept_invitation(invitation=invitation, user=dora)
    assert project.memberships.get(user=dora).role == Role.ANNOTATOR


def test_who_was_made_more_since_may_use_an_older_link(project, alice, bob):
    invitation, _ = invite(project, groups=["law"], by=alice)
    actions.add_member(project=project, user=bob, role=Role.REVIEWER, by=alice)
    assert actions.accept_invitation(invitation=invitation, user=bob).groups == ["law"]


# The page


def test_opening_a_link_joins_nobody_before_they_say_so(client, project, charlie):
    _, token = invite(project)
    client.force_login(charlie)
    assert "Join as charlie" in client.get(join_address(token)).content.decode()
    assert not project.memberships.filter(user=charlie).exists()
    response = client.post(join_address(token), follow=True)
    assert "You can now annotate Capitals." in response.content.decode()
    assert project.memberships.filter(user=charlie).exists()


def test_who_is_a_member_already_is_sent_to_the_work(client, project, bob):
    _, token = invite(project)
    client.force_login(bob)
    assert client.get(join_address(token)).url == reverse("annotation:annotate", args=[project.slug])


def test_who_has_an_account_signs_in_and_comes_back(client, project, charlie):
    _, token = invite(project)
    page = client.get(join_address(token)).content.decode()
    sign_in = re.search(r'href="(/sign-in/\?next=[^"]+)"', page)[1]
    response = client.post(sign_in, {"username": "charlie", "password": "charlie's password"})
    assert response.url == join_address(token)


def test_who_is_new_makes_an_account_joins_and_is_signed_in(client, project):
    _, token = invite(project)
    response = client.post(join_address(token), new_account(), follow=True)
    assert response.context["user"].username == "dora"
    assert not response.context["user"].is_staff
    assert project.memberships.get(user__username="dora").role == Role.ANNOTATOR


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"username": "Bob"}, "already exists"),
        ({"password1": "12345", "password2": "12345"}, "too short"),
        ({"password2": "something else"}, "match"),
        ({"username": "no spaces please"}, "valid username"),
    ],
)
def test_an_account_follows_djangos_rules(client, project, change, words):
    _, token = invite(project)
    response = client.post(join_address(token), new_account() | change)
    assert response.status_code == 422
    assert words in response.content.decode()
    assert invitation_of(token).uses == 0


# The managers' page


@pytest.fixture
def manager(client, alice):
    client.force_login(alice)
    return client


def fields(**changes):
    return {
        "request_key": uuid.uuid4(),
        "role": "annotator",
        "max_uses": 3,
        "days": 7,
        "groups": "law, german",
    } | changes


def make_address(project):
    return reverse("annotation:invitation_new", args=[project.slug])


def test_a_new_link_is_shown_once(manager, project):
    page = manager.post(make_address(project), fields(), follow=True).content.decode()
    link = re.search(r'value="(http://testserver/join/\w{48}/)"', page)[1]
    again = manager.get(reverse("annotation:members", args=[project.slug])).content.decode()
    assert link not in again
    assert "0 of 3" in again
    invitation = Invitation.objects.get()
    assert (invitation.groups, invitation.max_uses) == (["german", "law"], 3)
    assert manager.get(link).status_code == 200


def test_a_new_link_is_shown_on_its_own_projects_page_only(manager, project, alice):
    other = actions.create_project(name="Other", created_by=alice)
    manager.post(make_address(project), fields())
    elsewhere = manager.get(reverse("annotation:members", args=[other.slug])).content.decode()
    assert "/join/" not in elsewhere
    assert "/join/" in manager.get(reverse("annotation:members", args=[project.slug])).content.decode()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"max_uses": 0}, "greater than or equal to 1"),
        ({"days": 1000}, "less than or equal to 90"),
        ({"role": "manager"}, "for one person"),
        ({"role": "king"}, "valid choice"),
        ({"groups": "x" * 41}, "41 letters"),
    ],
)
def test_a_link_that_cannot_be_is_a_form_error(manager, project, change, words):
    response = manager.post(make_address(project), fields(**change))
    assert response.status_code == 422
    assert words in response.content.decode()
    assert not Invitation.objects.exists()


def test_taking_a_link_back_asks_first_and_is_on_record(manager, project):
    invitation, _ = invite(project)
    address = reverse("annotation:invitation_revoke", args=[project.slug, invitation.pk])
    assert "Nobody joins by it any more" in manager.get(address).content.decode()
    invitation.refresh_from_db()
    assert invitation.revoked_at is None
    for _ in range(2):
        assert manager.post(address).status_code == 302
    assert project.changes.filter(what="invitation", after="taken back").count() == 1


def test_a_link_of_another_project_is_not_taken_back(manager, project, alice):
    other = actions.create_project(name="Other", created_by=alice)
    invitation, _ = invite(other)
    assert manager.post(reverse("annotation:invitation_revoke", args=[project.slug, invitation.pk])).status_code == 404


def test_only_managers_make_and_take_back_links(client, project, bob):
    invitation, _ = invite(project)
    client.force_login(bob)
    assert client.post(make_address(project), fields()).status_code == 403
    revoke = reverse("annotation:invitation_revoke", args=[project.slug, invitation.pk])
    assert client.post(revoke).status_code == 403
    client.logout()
    assert client.post(revoke).url.startswith(reverse("login"))


def test_a_link_is_made_by_a_post_only(manager, project):
    assert manager.get(make_address(project)).status_code == 405
