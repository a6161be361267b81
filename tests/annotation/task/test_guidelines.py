"""The guidelines as annotators meet them: versions, changes, and who has read which."""

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from annotation import actions
from annotation.models import GuidelinesVersion, Membership, Project

pytestmark = pytest.mark.django_db
SCRIPT = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def bobs(client, bob):
    client.force_login(bob)
    return client


@pytest.fixture
def second(project, alice):
    """The second version; the first one says "Prefer *truth*."."""
    return actions.publish_guidelines(project=project, text="Prefer *kindness*.", by=alice)


def page(project, **query):
    return reverse("annotation:guidelines", args=[project.slug], query=query)


def read(project):
    return reverse("annotation:guidelines_read", args=[project.slug])


def shown_beside_the_task(client, project):
    return client.get(reverse("annotation:annotate", args=[project.slug])).context["guidelines"]


def kinds(changes):
    return [(piece.kind, piece.text) for piece in changes]


def test_the_page_shows_the_version_in_force_and_all_others(bobs, project, second):
    html = bobs.get(page(project)).content.decode()
    assert "<em>kindness</em>" in html
    assert "Version 1" in html
    assert "in force" in html


def test_any_version_can_be_read_and_compared(bobs, project, second, alice):
    actions.publish_guidelines(project=project, text="Prefer *brevity*.", by=alice)
    response = bobs.get(page(project, version=2, since=1))
    assert response.context["shown"] == second
    assert kinds(response.context["pieces"])[1:3] == [("removed", "truth"), ("added", "kindness")]
    assert b"<del>truth</del><ins>kindness</ins>" in response.content


def test_the_changes_are_those_since_one_read_last(bobs, project, second, alice, bob):
    actions.mark_guidelines_read(project=project, user=bob, version=second)
    actions.publish_guidelines(project=project, text="Prefer *brevity*.", by=alice)
    assert bobs.get(page(project)).context["since"] == second


@pytest.mark.parametrize("query", [{"version": "x"}, {"version": 99, "since": "-1"}])
def test_a_version_that_is_not_there_is_the_one_in_force(bobs, project, query):
    assert bobs.get(page(project, **query)).context["shown"].number == 1


def test_without_guidelines_the_page_says_so(bobs, project):
    Project.objects.update(guidelines_version=None)
    GuidelinesVersion.objects.all().delete()
    assert b"No guidelines yet" in bobs.get(page(project)).content


def test_guidelines_with_markup_are_harmless(bobs, project, alice):
    actions.publish_guidelines(project=project, text="<script>alert(1)</script> \u202eevil", by=alice)
    html = bobs.get(page(project)).content.decode()
    assert "<script>alert" not in html
    assert "\u202e" not in html
    assert "[U+202E]" in html  # among the changes


def test_only_members_see_them_and_only_by_reading(client, bobs, project, charlie):
    assert bobs.post(page(project)).status_code == 405
    client.force_login(charlie)
    assert client.get(page(project)).status_code == 403
    client.logout()
    assert client.get(page(project)).url.startswith(reverse("login"))


# "I have read this version"


def test_reading_is_kept_and_said_no_more(bobs, project, bob):
    assert b"I have read version 1" in bobs.get(page(project)).content
    response = bobs.post(read(project), {"version": 1}, follow=True)
    assert b"Noted: you have read version 1." in response.content
    assert b"I have read version 1" not in response.content
    assert Membership.objects.get(user=bob).guidelines_read.number == 1


def test_the_task_can_be_gone_back_to(bobs, project):
    response = bobs.post(read(project), {"version": 1, "next": "task"})
    assert response.url == reverse("annotation:annotate", args=[project.slug])


def test_the_pages_script_gets_no_page(bobs, project):
    assert bobs.post(read(project), {"version": 1}, **SCRIPT).status_code == 204


def test_having_read_an_older_one_takes_nothing_back(bobs, project, second, bob):
    for number in (2, 1):
        bobs.post(read(project), {"version": number})
    assert Membership.objects.get(user=bob).guidelines_read == second


@pytest.mark.parametrize("version", ["7", "x", "", "²"])
def test_a_version_that_does_not_exist_cannot_be_read(bobs, project, bob, version):
    assert bobs.post(read(project), {"version": version}).status_code == 404
    assert Membership.objects.get(user=bob).guidelines_read is None


def test_a_version_of_another_project_is_a_mistake_of_ours(project, alice, bob):
    other = actions.create_project(name="Other", created_by=alice, guidelines="Else.")
    with pytest.raises(ValueError, match="another project"):
        actions.mark_guidelines_read(project=project, user=bob, version=other.guidelines_version)


def test_reading_is_posted_by_members(client, bobs, project, charlie):
    assert bobs.get(read(project)).status_code == 405
    client.force_login(charlie)
    assert client.post(read(project), {"version": 1}).status_code == 403
    client.logout()
    assert client.post(read(project), {"version": 1}, **SCRIPT).status_code == 401


# Beside the task


def test_beside_the_task_they_are_new_until_they_are_read(bobs, project, comparison, bob):
    first = shown_beside_the_task(bobs, project)
    assert (first["version"], first["is_new"], first["changes"]) == (1, True, None)
    assert "<em>truth</em>" in first["html"]
    bobs.post(read(project), {"version": 1})
    assert not shown_beside_the_task(bobs, project)["is_new"]


def test_beside_the_task_stands_what_changed_since_they_were_read(bobs, project, comparison, alice):
    bobs.post(read(project), {"version": 1})
    actions.publish_guidelines(project=project, text="Prefer *kindness*.", by=alice)
    later = shown_beside_the_task(bobs, project)
    assert later["is_new"]
    assert ("added", "kindness") in kinds(later["changes"])


def test_who_is_no_member_is_not_asked_to_read(client, project, comparison):
    client.force_login(User.objects.create_user("dora", is_staff=True))
    assert not shown_beside_the_task(client, project)["is_new"]
    assert b"I have read" not in client.get(page(project)).content


def test_without_guidelines_there_is_nothing_beside_the_task(bobs, project, comparison):
    Project.objects.update(guidelines_version=None)
    assert shown_beside_the_task(bobs, project) is None
