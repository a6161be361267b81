"""Pages of projects."""

from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.urls import reverse

from annotation import actions
from annotation.models import Comparison, Project, Role, Slot

pytestmark = pytest.mark.django_db
MANAGED = ["project", "project_settings", "members", "open_comparisons"]


@pytest.fixture
def staff(client, alice):
    client.force_login(alice)
    return client


def at(name, project):
    return reverse(f"annotation:{name}", args=[project.slug])


def test_home_shows_an_annotator_their_projects_only(client, project, bob, alice):
    Project.objects.create(name="Secret", slug="secret")
    client.force_login(bob)
    html = client.get("/").content.decode()
    assert "Capitals" in html
    assert "Secret" not in html
    assert "Import prompts" not in html


def test_home_shows_staff_every_project_and_the_loop(staff, project):
    Project.objects.create(name="Secret", slug="secret")
    html = staff.get("/").content.decode()
    assert "Secret" in html
    assert "Import prompts" in html


def test_home_without_a_project_says_what_to_do(client, charlie):
    client.force_login(charlie)
    assert "adds you by your username" in client.get("/").content.decode()


def test_home_asks_for_sign_in(client, db):
    assert client.get("/").status_code == 302
    assert client.post("/").status_code == 405


def test_home_counts_what_is_done(client, project, held, bob):
    client.force_login(bob)
    assert "0 of 1 judgments" in client.get("/").content.decode()


def test_staff_make_projects(staff):
    fields = {"name": "New one", "overlap": 3, "lease_seconds": 300, "allow_ties": "on", "guidelines": "Be kind."}
    fields["strength_scale"] = "none"
    response = staff.post(reverse("annotation:project_new"), fields)
    made = Project.objects.get()
    assert response.url == made.get_absolute_url()
    assert (made.overlap, made.allow_ties, made.strength_scale, made.guidelines) == (3, True, "none", "Be kind.")


def test_a_name_that_is_taken_is_a_form_error(staff, project):
    response = staff.post(reverse("annotation:project_new"), {"name": "Capitals", "overlap": 1, "lease_seconds": 60})
    assert response.status_code == 422
    assert "already exists" in response.content.decode()


def test_others_make_no_projects(client, bob):
    client.force_login(bob)
    assert client.post(reverse("annotation:project_new"), {"name": "x"}).status_code == 403


@pytest.mark.parametrize("name", MANAGED)
def test_annotators_see_no_managers_page(client, project, bob, name):
    client.force_login(bob)
    assert client.get(at(name, project)).status_code == 403


@pytest.mark.parametrize("name", MANAGED)
def test_the_anonymous_are_sent_to_sign_in(client, project, name):
    assert client.get(at(name, project)).url.startswith(reverse("login"))


@pytest.mark.parametrize("name", MANAGED)
def test_managers_see_their_pages(client, project, comparison, charlie, name):
    project.memberships.create(user=charlie, role="manager")
    client.force_login(charlie)
    response = client.get(at(name, project))
    assert response.status_code == 200
    assert "Capitals" in response.content.decode()


def test_the_project_page_counts_judgments_by_annotator_and_kind(staff, project, held, bob):
    import uuid

    from annotation import actions

    actions.submit_judgment(
        assignment=held, annotator=bob, answer=actions.Answer([held.display_order]), request_key=uuid.uuid4()
    )
    html = staff.get(project.get_absolute_url()).content.decode()
    assert "of 1 judgments" in html
    assert '<th scope="row">bob</th>' in html


def test_settings_are_saved_and_make_the_slots_that_they_ask_for(staff, project, comparison):
    fields = {"name": "Capitals", "overlap": 2, "lease_seconds": 60, "guidelines": "", "strength_scale": "none"}
    assert staff.post(at("project_settings", project), fields).status_code == 302
    assert Slot.objects.count() == 2


def test_bad_settings_change_nothing(staff, project):
    response = staff.post(at("project_settings", project), {"name": "", "overlap": 0, "lease_seconds": 1})
    assert response.status_code == 422
    project.refresh_from_db()
    assert project.name == "Capitals"


def test_pausing_and_going_on(staff, project):
    for value, paused in (("1", True), ("0", False)):
        assert staff.post(at("project_pause", project), {"paused": value}).status_code == 302
        project.refresh_from_db()
        assert project.is_paused is paused
    assert staff.get(at("project_pause", project)).status_code == 405


def test_a_member_is_added_by_username(staff, project, charlie):
    staff.post(at("members", project), {"username": " charlie ", "role": "annotator", "kind": "person"})
    assert project.memberships.get(user=charlie).role == "annotator"


@pytest.mark.parametrize("name", ["nobody", "gone"])
def test_an_account_that_is_not_there_or_not_active_is_a_form_error(staff, project, name):
    User.objects.create_user("gone", is_active=False)
    response = staff.post(at("members", project), {"username": name, "role": "annotator", "kind": "person"})
    assert response.status_code == 422
    assert "There is no account" in response.content.decode()


def test_a_member_is_removed(staff, project, bob):
    membership = project.memberships.get(user=bob)
    staff.post(reverse("annotation:member_remove", args=[project.slug, membership.pk]))
    assert not project.memberships.filter(user=bob).exists()


def test_a_member_of_another_project_is_not_removed(staff, project, charlie):
    other = Project.objects.create(name="Other", slug="other")
    membership = other.memberships.create(user=charlie)
    assert staff.post(reverse("annotation:member_remove", args=[project.slug, membership.pk])).status_code == 404


def test_comparisons_are_opened_from_a_run(staff, project, run, write):
    write(prompts=2)
    write(prompts=1, split="eval")
    fields = {"run": run.pk, "k": 4, "split": "train", "priority": 0}
    response = staff.post(at("open_comparisons", project), fields, follow=True)
    assert "2 comparisons opened" in response.content.decode()
    assert Comparison.objects.count() == 2


def test_without_a_run_the_page_leads_to_one(staff, project):
    assert "No completions yet" in staff.get(at("open_comparisons", project)).content.decode()


def test_a_manager_sees_runs_on_the_prompts_of_the_project_only(client, project, run, write, charlie):
    actions.add_member(project=project, user=charlie, role=Role.MANAGER)
    client.force_login(charlie)
    write()
    page = client.get(at("open_comparisons", project)).content.decode()
    assert "Ask an administrator" in page
    assert f"{run.pk}: {run.name}" not in page
    fields = {"run": run.pk, "k": 4, "priority": 0}
    assert client.post(at("open_comparisons", project), fields).status_code == 422

    actions.open_comparisons(project=project, completions=write(), k=4)
    page = client.get(at("open_comparisons", project)).content.decode()
    assert f"{run.pk}: {run.name}" in page
    assert "For another set, ask an administrator" in page
    assert client.post(at("open_comparisons", project), fields).status_code == 302


def test_bad_values_open_nothing(staff, project, run, write):
    write()
    response = staff.post(at("open_comparisons", project), {"run": run.pk, "k": 1, "priority": 0})
    assert response.status_code == 422
    assert not Comparison.objects.exists()


def test_an_unknown_project_is_not_found(staff):
    assert staff.get("/projects/nowhere/").status_code == 404


# The command


def test_the_command_opens_comparisons_and_says_so(project, run, write):
    write(prompts=3)
    out = StringIO()
    call_command("open_comparisons", project="capitals", run=run.pk, k=4, stdout=out)
    assert 'Project "Capitals": 3 comparisons opened' in out.getvalue()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"project": "none"}, 'no project "none". Projects: capitals'),
        ({"run": 999_999}, "no sampling run 999999. The newest: "),
        ({"k": 1}, "K is 1"),
    ],
)
def test_the_command_says_what_is_wrong(project, run, write, change, message):
    write()
    with pytest.raises(CommandError, match=message):
        call_command("open_comparisons", **({"project": "capitals", "run": run.pk, "k": 4} | change))
