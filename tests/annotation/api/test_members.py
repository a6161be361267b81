from uuid import uuid4

from annotation.actions.invitations import invitation_of
from annotation.models import Invitation, Membership, Project
from sampling.models import IdempotentRequest
from tests.sampling.rest.conftest import Program

MEMBERS, INVITATIONS = "/api/members/", "/api/invitations/"


def test_managers_add_change_and_remove_members(managers, project, alice):
    Program(alice)
    added = managers.post(MEMBERS, {"project": project.pk, "username": "alice", "role": "reviewer", "groups": ["law"]})
    assert (added.status_code, added.said["role"], added.said["groups"]) == (201, "reviewer", ["law"])
    address = f"{MEMBERS}{added.said['id']}/"
    changed = managers("PATCH", address, {"role": "annotator"})
    assert (changed.said["role"], changed.said["groups"]) == ("annotator", ["law"])
    waived = managers.post(f"{address}qualification/", {"state": "waived"})
    assert waived.said["qualification"] == "waived"
    assert managers.post(f"{address}qualification/", {"state": "passed"}).status_code == 400
    assert managers("DELETE", address).status_code == 204
    assert not Membership.objects.filter(user=alice, project=project).exists()


def test_the_last_manager_stays(managers, project, alice, charlie):
    Membership.objects.filter(project=project, user=alice).delete()
    (row,) = managers.get(f"{MEMBERS}?project={project.pk}&username=charlie").said["results"]
    for answer in (managers("DELETE", f"{MEMBERS}{row['id']}/"),
                   managers("PATCH", f"{MEMBERS}{row['id']}/", {"role": "annotator"})):  # fmt: skip
        assert answer.status_code == 409
        assert "only manager" in answer.said["detail"]


def test_who_is_no_manager_sees_no_members_and_adds_none(bobs, managers, project, bob):
    assert bobs.get(MEMBERS).said["results"] == []
    own = Membership.objects.get(project=project, user=bob)
    assert bobs("PATCH", f"{MEMBERS}{own.pk}/", {"role": "manager"}).status_code == 404
    asked = {"project": project.pk, "username": "bob", "role": "manager"}
    assert bobs.post(MEMBERS, asked).status_code == 400
    assert bobs.post(INVITATIONS, {"project": project.pk, "request_key": str(uuid4())}).status_code == 400
    elsewhere = Project.objects.create(name="Elsewhere", slug="elsewhere")
    assert managers.post(MEMBERS, asked | {"project": elsewhere.pk}).status_code == 400
    own.refresh_from_db()
    assert own.role == "annotator"


def test_a_link_is_shown_once_and_kept_nowhere(managers, project):
    asked = {"project": project.pk, "max_uses": 3, "request_key": str(uuid4())}
    made = managers.post(INVITATIONS, asked, **{"Idempotency-Key": "k"})
    assert made.status_code == 201
    token = made.said["link"].rstrip("/").rsplit("/", 1)[1]
    assert invitation_of(token).max_uses == 3
    assert not IdempotentRequest.objects.exists()
    assert managers.post(INVITATIONS, asked, **{"Idempotency-Key": "k"}).said["link"] == made.said["link"]
    (row,) = managers.get(f"{INVITATIONS}?project={project.pk}").said["results"]
    assert "link" not in row
    assert "token" not in str(row)


def test_a_link_that_makes_a_manager_is_for_one_person(managers, project):
    asked = {"project": project.pk, "role": "manager", "max_uses": 2, "request_key": str(uuid4())}
    answer = managers.post(INVITATIONS, asked)
    assert (answer.status_code, list(answer.said["errors"])) == (400, ["max_uses"])


def test_a_link_is_taken_back(managers, project):
    made = managers.post(INVITATIONS, {"project": project.pk, "request_key": str(uuid4())})
    assert managers.post(f"{INVITATIONS}{made.said['id']}/revoke/").said["revoked_at"]
    assert Invitation.objects.get().revoked_at
    assert managers.get(f"{INVITATIONS}?is_revoked=false").said["results"] == []


def test_a_list_of_members_asks_the_database_no_more_for_more_of_them(
    managers, project, django_user_model, django_assert_max_num_queries
):  # fmt: skip
    for number in range(10):
        user = django_user_model.objects.create(username=f"u{number}")
        Membership.objects.create(project=project, user=user)
    with django_assert_max_num_queries(4):
        assert len(managers.get(MEMBERS).said["results"]) == 13
