"""The record of a project's changes: that it is complete, and that it can be read."""

import pytest
from django.contrib import admin
from django.urls import reverse

from annotation import actions
from annotation.models import Membership, Project, ProjectChange
from annotation.projects.changes import Line, LineChange, told

pytestmark = pytest.mark.django_db


def address(project):
    return reverse("annotation:history", args=[project.slug])


@pytest.fixture
def staff(client, alice):
    client.force_login(alice)
    return client


ASPECT = {"key": "tone", "label": "Tone", "lowest": 1, "highest": 5, "low_label": "", "high_label": ""}


# Reading


def test_a_setting_is_told_from_what_to_what():
    change = told("settings", "lease_seconds", 600, 60)
    assert (change.title, change.lines) == ("Lease in seconds", (Line("", "600", "60"),))
    assert told("settings", "allow_ties", True, False).lines == (Line("", "yes", "no"),)


def test_aspects_are_told_as_the_lines_that_came_and_went():
    change = told("settings", "aspects", [ASPECT], [ASPECT | {"highest": 7}, ASPECT | {"key": "x", "label": "Truth"}])
    assert change.list_lines == (
        LineChange("removed", "Tone: 1 to 5"),
        LineChange("added", "Tone: 1 to 7"),
        LineChange("added", "Truth: 1 to 5"),
    )


def test_aspects_that_were_kept_in_another_form_are_still_shown():
    change = told("settings", "aspects", ["tone"], [])
    assert change.list_lines == (LineChange("removed", "tone"),)


def test_a_member_is_told_by_what_changed_of_them():
    before, after = (
        {"role": "annotator", "kind": "person", "groups": []},
        {"role": "reviewer", "kind": "person", "groups": ["law"]},
    )
    assert told("membership", "bob", before, after).lines == (
        Line("role", "annotator", "reviewer"),
        Line("groups", "", "law"),
    )
    assert told("membership", "bob", None, before).title == "bob joined"
    assert told("membership", "bob", before, None).title == "bob was removed"


def test_a_kind_that_nobody_taught_it_is_told_by_its_values():
    change = told("new kind", "comparison 3", None, {"reason": "spam", "by_hand": True})
    assert change.lines == (Line("reason", "", "spam"), Line("by hand", "", "yes"))
    assert told("new kind", "x", [1, 2], "gone").lines == (Line("", "1, 2", "gone"),)


def test_a_known_answer_is_told_with_what_it_became():
    after = {"purpose": "gold", "known answer": "A > B", "explanation": ""}
    change = told("known answer", "comparison 183", "work", after)
    assert change.lines == (Line("purpose", "work", "gold"), Line("known answer", "", "A > B"))
    assert told("known answer", "comparison 183", after, "work").lines[0] == Line("purpose", "gold", "work")
    assert change.comparison == 183
    assert told("settings", "name", "comparison 183", "x").comparison is None


def test_names_that_a_program_gave_are_told_in_words():
    assert told("opening", "40 comparisons", None, {"k": 4}).lines == (Line("K", "", "4"),)
    before = {"kind": "person"}
    assert told("membership", "bob", before, {"kind": "model"}).lines == (Line("judges as", "person", "model"),)


def test_what_is_empty_is_told_as_nothing_and_what_is_not_is_told():
    assert told("new kind", "x", {}, {"a": {"b": 1}, "c": [], "d": 0}).lines == (
        Line("a", "", "b: 1"),
        Line("d", "", "0"),
    )


def test_pauses_and_guidelines_are_told_in_words():
    assert told("pause", "paused", False, True).title == "Paused"
    assert told("guidelines", "guidelines", None, 1).lines == (Line("", "", "version 1"),)


# The page


def test_the_history_says_who_changed_what_when(staff, project, alice, charlie):
    project.lease_seconds = 900
    actions.save_settings(project=project, by=alice)
    actions.add_member(project=project, user=charlie, role="reviewer", by=alice)
    html = staff.get(address(project)).content.decode()
    assert "Lease in seconds" in html
    assert "charlie joined" in html
    assert html.index("charlie joined") < html.index("Lease in seconds")  # the newest first
    assert "Capitals was made" in html


def test_the_history_is_filtered_by_kind(staff, project, alice):
    actions.set_paused(project=project, is_paused=True, by=alice)
    response = staff.get(address(project), {"kind": "pause"})
    assert [row["told"].title for row in response.context["rows"]] == ["Paused"]
    assert len(staff.get(address(project), {"kind": "nonsense"}).context["rows"]) > 1


def test_the_history_is_read_in_pages(staff, project):
    for number in range(120):
        ProjectChange.objects.create(project=project, what="settings", subject="name", before=number, after=number + 1)
    seen, more = [], {}
    while more is not None:
        page = staff.get(address(project), more).context
        seen += [row["change"].pk for row in page["rows"]]
        more = {"before": page["older"]} if page["older"] else None
    assert seen == list(project.changes.values_list("pk", flat=True))
    assert staff.get(address(project), {"before": "9" * 30}).status_code == 200


def test_the_history_leads_to_the_comparison_that_was_changed(staff, project, comparison):
    subject = f"comparison {comparison.pk}"
    ProjectChange.objects.create(project=project, what="known answer", subject=subject, before="work", after="x")
    html = staff.get(address(project)).content.decode()
    assert f'<a href="{reverse("annotation:comparison", args=[comparison.pk])}">comparison {comparison.pk}</a>' in html


def test_the_history_of_another_project_is_not_shown(staff, project, alice):
    actions.create_project(name="Other", created_by=alice)
    assert "Other was made" not in staff.get(address(project)).content.decode()


def test_what_somebody_wrote_is_shown_as_text(staff, project):
    ProjectChange.objects.create(project=project, what="<b>x</b>", subject="<script>1</script>", after="<img src=x>")
    html = staff.get(address(project)).content.decode()
    assert "<script>1" not in html
    assert "&lt;script&gt;1&lt;/script&gt;" in html
    assert "<img src=x" not in html


def test_only_managers_read_the_history(client, project, bob):
    client.force_login(bob)
    assert client.get(address(project)).status_code == 403
    client.logout()
    assert client.get(address(project)).url.startswith(reverse("login"))


# Completeness


def test_opening_comparisons_is_on_record_once(project, write, alice):
    completions = write(prompts=2)
    for _ in range(2):
        actions.open_comparisons(project=project, completions=completions, k=4, group="law", by=alice)
    change = project.changes.get(what="opening")
    assert (change.subject, change.after, change.who) == ("2 comparisons", {"k": 4, "group": "law"}, alice)


def test_saving_settings_leaves_a_pause_of_somebody_else_alone(project, alice):
    stale = Project.objects.get(pk=project.pk)
    actions.set_paused(project=project, is_paused=True, by=alice)
    stale.lease_seconds = 900
    actions.save_settings(project=stale, by=alice)
    assert Project.objects.get(pk=project.pk).is_paused


@pytest.mark.parametrize("model", [Project, Membership])
def test_the_administration_changes_nothing_past_the_record(model, rf, admin_user):
    request = rf.get("/")
    request.user = admin_user
    registered = [admin.site._registry[Project], *admin.site._registry[Project].get_inline_instances(request)]
    for page in registered:
        assert not page.has_add_permission(request, None)
        assert not page.has_change_permission(request)
        assert not page.has_delete_permission(request)


def test_the_administration_still_shows_a_project(admin_client, project):
    page = admin_client.get(reverse("admin:annotation_project_change", args=[project.pk]))
    assert page.status_code == 200
    assert "bob" in page.content.decode()
