"""Making a project, its settings, its pause, its overlap and its work."""

import random
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from annotation import actions
from annotation.models import Comparison, Project, Role, Slot
from annotation.queue import overlap
from annotation.queue.opening import judgments_wanted
from sampling.models import DataImport
from tests.annotation.judged import make_comparison

pytestmark = pytest.mark.django_db
SETTINGS = {
    "name": "Capitals", "completions_per_comparison": 4, "strength_scale": "none", "rationale": "optional",
    "overlap": 1, "overlap_percent": 100, "lease_seconds": 60, "gold_percent": 0, "qualification_percent": 80,
    "guidelines": "Prefer *truth*.",
}  # fmt: skip


@pytest.fixture
def staff(client, alice):
    client.force_login(alice)
    return client


def at(name, project):
    return reverse(f"annotation:{name}", args=[project.slug])


# Making one


def test_staff_make_projects(staff):
    fields = SETTINGS | {"name": "New one", "overlap": 3, "allow_ties": "on", "guidelines": "Be kind."}
    response = staff.post(reverse("annotation:project_new"), fields)
    made = Project.objects.get()
    assert response.url == made.get_absolute_url()
    assert (made.overlap, made.allow_ties, made.strength_scale, made.guidelines) == (3, True, "none", "Be kind.")


def test_a_name_that_is_taken_is_a_form_error(staff, project):
    response = staff.post(reverse("annotation:project_new"), SETTINGS)
    assert response.status_code == 422
    html = response.content.decode()
    assert "Another project has this name. Choose another." in html
    assert '<a href="#id_name">Name</a>' in html


def test_what_is_wrong_with_a_number_is_said_in_plain_words(staff, project):
    wrong = SETTINGS | {"name": "Other", "overlap": "51", "gold_percent": "many", "completions_per_comparison": "1"}
    html = staff.post(reverse("annotation:project_new"), wrong).content.decode()
    assert "Nothing was saved." in html
    for words in ("Write at most 50.", "Write a whole number.", "Write at least 2."):
        assert words in html
    assert "Ensure this value" not in html


def test_trying_it_says_first_that_it_counts(staff, project, comparison):
    html = staff.get(reverse("annotation:project_try", args=[project.slug]), follow=True).content.decode()
    assert "This is real work: what you submit counts." in html


def test_who_may_not_make_projects_is_told_who_may(client, bob):
    client.force_login(bob)
    assert "This page is for staff." in client.get(reverse("annotation:project_new")).content.decode()


def test_others_make_no_projects(client, bob):
    client.force_login(bob)
    assert client.post(reverse("annotation:project_new"), {"name": "x"}).status_code == 403


# Settings


def test_settings_are_saved_and_make_the_slots_that_they_ask_for(staff, project, comparison):
    assert staff.post(at("project_settings", project), SETTINGS | {"overlap": 2}).status_code == 302
    assert Slot.objects.count() == 2


def test_what_is_asked_is_kept_and_put_on_record(staff, project):
    fields = SETTINGS | {"aspects": "Helpfulness: 0-4 (not at all .. perfectly)", "defects": "Rude\nUntrue"}
    staff.post(at("project_settings", project), fields | {"rationale": "required", "ask_safety": "on"})
    project.refresh_from_db()
    (aspect,) = project.asked_aspects
    assert (aspect.key, aspect.lowest, aspect.highest, aspect.high_label) == ("helpfulness", 0, 4, "perfectly")
    assert [defect.key for defect in project.asked_defects] == ["rude", "untrue"]
    assert (project.rationale, project.ask_safety) == ("required", True)
    changed = set(project.changes.filter(what="settings").values_list("subject", flat=True))
    assert {"aspects", "defects", "rationale", "ask_safety"} <= changed


def test_saving_what_the_form_shows_changes_nothing(staff, project):
    project.aspects = [
        {"key": "own_key", "label": "Tone", "lowest": -2, "highest": 2, "low_label": "", "high_label": ""}
    ]
    project.save()
    before = project.changes.count()
    form = staff.get(at("project_settings", project)).context["form"]
    values = {name: form[name].value() for name in form.fields}
    fields = {name: value for name, value in values.items() if value is not None and value is not False}
    assert staff.post(at("project_settings", project), fields).status_code == 302
    assert project.changes.count() == before


def test_settings_and_guidelines_are_saved_together_or_not_at_all(staff, project, monkeypatch):
    def fail(**arguments):
        raise RuntimeError("The database went away.")

    monkeypatch.setattr(actions, "publish_guidelines", fail)
    with pytest.raises(RuntimeError):
        staff.post(at("project_settings", project), SETTINGS | {"overlap": 2, "guidelines": "Prefer *brevity*."})
    project.refresh_from_db()
    assert project.overlap == 1
    assert not project.changes.filter(what="settings").exists()


def test_bad_settings_change_nothing(staff, project):
    fields = SETTINGS | {"name": "", "overlap": 0, "lease_seconds": 1, "aspects": "Fine\nTone: warm"}
    response = staff.post(at("project_settings", project), fields)
    assert response.status_code == 422
    assert "Line 2: &quot;Tone: warm&quot; cannot be read" in response.content.decode()
    project.refresh_from_db()
    assert (project.name, project.aspects) == ("Capitals", [])


def test_new_guidelines_are_a_new_version(staff, project):
    staff.post(at("project_settings", project), SETTINGS | {"guidelines": "Prefer *brevity*."})
    project.refresh_from_db()
    assert (project.guidelines_version.number, project.guidelines) == (2, "Prefer *brevity*.")
    assert project.guidelines_versions.get(number=1).text == "Prefer *truth*."


def test_a_change_of_what_is_asked_is_warned_of_once_there_are_judgments(staff, project, comparison):
    from tests.annotation.judged import judge

    warning = "What you change counts for the answers from now on"
    assert warning not in staff.get(at("project_settings", project)).content.decode()
    comparison.slots.all().delete()
    judge(comparison, "bob", [[0], [1], [2], [3]])
    assert warning in staff.get(at("project_settings", project)).content.decode()


def test_who_comes_second_is_told_what_the_first_one_changed(staff, project, alice):
    seen = staff.get(at("project_settings", project)).context["form"]["seen"].value()
    project.lease_seconds = 900
    actions.save_settings(project=project, by=alice)
    response = staff.post(at("project_settings", project), SETTINGS | {"seen": seen})
    assert response.status_code == 422
    assert "alice changed the settings while this form was open" in response.content.decode()
    project.refresh_from_db()
    assert project.lease_seconds == 900
    # Sent again from that page, it is meant so.
    again = response.context["form"].data["seen"]
    assert staff.post(at("project_settings", project), SETTINGS | {"seen": again}).status_code == 302
    project.refresh_from_db()
    assert project.lease_seconds == 60


# Pause


def test_pausing_asks_first(staff, project):
    assert "Nobody gets a new comparison" in staff.get(at("project_pause", project)).content.decode()
    project.refresh_from_db()
    assert not project.is_paused


def test_pausing_and_going_on(staff, project):
    for value, paused in (("1", True), ("0", False)):
        for _ in range(2):
            assert staff.post(at("project_pause", project), {"paused": value}).status_code == 302
        project.refresh_from_db()
        assert project.is_paused is paused
    assert list(project.changes.filter(what="pause").values_list("after", flat=True)) == [False, True]
    assert staff.delete(at("project_pause", project)).status_code == 405


# Overlap


def test_the_share_is_drawn_in_the_database_as_in_python(project):
    project.overlap, project.overlap_percent = 3, 40
    project.save()
    rng = random.Random(5)
    prompt = make_comparison(project, ["a", "b"]).prompt
    Comparison.objects.bulk_create(
        Comparison(project=project, prompt=prompt, content_key=f"{rng.getrandbits(256):064x}") for _ in range(300)
    )
    overlap.fit_all(project)
    wanted = dict(project.comparisons.values_list("content_key", "wanted"))
    assert wanted == {key: judgments_wanted(project, key) for key in wanted}
    assert 80 < sum(number == 3 for number in wanted.values()) < 160  # 40 % of 301, give or take
    # A slot was made for whatever now wants more than it did; the others had theirs to begin with.
    assert all(comparison.slots.count() == 3 for comparison in project.comparisons.filter(wanted=3))


def test_a_smaller_share_keeps_what_somebody_holds(project, comparison, bob):
    project.overlap = 3
    actions.save_settings(project=project)
    held = actions.claim_next(project=project, annotator=bob)
    Slot.objects.filter(pk=held.slot_id).update(number=9)  # as if it were the last
    project.overlap = 1
    actions.save_settings(project=project)
    assert set(Slot.objects.values_list("number", flat=True)) <= {1, 9}
    assert Slot.objects.filter(pk=held.slot_id).exists()


def test_gold_and_withdrawn_comparisons_get_no_slots(project, write):
    from django.utils import timezone

    actions.open_comparisons(project=project, completions=write(prompts=2), k=4)
    gold, withdrawn = project.comparisons.all()
    project.comparisons.filter(pk=gold.pk).update(purpose="gold", known_ranking=[[1], [2]])
    project.comparisons.filter(pk=withdrawn.pk).update(withdrawn_at=timezone.now())
    project.overlap = 5
    actions.save_settings(project=project)
    assert Slot.objects.count() == 2


def test_a_large_project_is_fitted_step_by_step(staff, project, write, monkeypatch):
    monkeypatch.setattr(overlap, "MANY", 2)
    monkeypatch.setattr(overlap.fit_step, "__kwdefaults__", {"after": 0, "step": 2})
    actions.open_comparisons(project=project, completions=write(prompts=5), k=4)
    response = staff.post(at("project_settings", project), SETTINGS | {"overlap": 2})
    assert response.url == at("fit", project)
    assert Slot.objects.count() == 5  # nothing yet
    assert "A new overlap does not hold" in staff.get(project.get_absolute_url()).content.decode()

    page = staff.get(response.url)
    steps = 0
    while page.context["is_fitting"]:
        page = staff.post(at("fit", project), {"after": page.context["after"]}, headers={"HX-Request": "true"})
        steps += 1
        assert page.content.decode().lstrip().startswith('<div id="fit"')
    assert (steps, Slot.objects.count()) == (4, 10)  # 2 + 2 + 1 comparisons, and the step that finds the end
    project.refresh_from_db()
    assert not actions.is_fitting(project)
    assert list(project.changes.filter(what="overlap").values_list("after", flat=True)) == ["fitted", "being fitted"]


# Priority


def test_a_priority_moves_open_slots_and_is_on_record(project, write, alice, bob):
    actions.open_comparisons(project=project, completions=write(prompts=3), k=4)
    last = project.comparisons.last()
    for expected in (1, 0):  # twice is once
        chosen = Comparison.objects.filter(pk=last.pk)
        assert actions.set_priority(comparisons=chosen, priority=5, by=alice) == expected
    assert actions.claim_next(project=project, annotator=bob).comparison == last
    change = project.changes.get(what="priority")
    assert (change.subject, change.before, change.after, change.who) == (f"comparison {last.pk}", 0, 5, alice)


def test_a_priority_of_many_is_one_line_of_the_record(project, write, alice):
    actions.open_comparisons(project=project, completions=write(prompts=3), k=4)
    assert actions.set_priority(comparisons=project.comparisons.all(), priority=-1, by=alice) == 3
    assert project.changes.get(what="priority").subject == "3 comparisons"
    assert set(Slot.objects.values_list("priority", flat=True)) == {-1}


def test_a_priority_out_of_range_is_refused(project, comparison):
    with pytest.raises(ValueError, match="Use -1000 to 1000"):
        actions.set_priority(comparisons=project.comparisons.all(), priority=1001)


# Opening comparisons


def test_comparisons_are_opened_from_a_run(staff, project, run, write):
    write(prompts=2)
    write(prompts=1, split="eval")
    fields = {"run": run.pk, "k": 4, "split": "train", "priority": 0}
    response = staff.post(at("open_comparisons", project), fields, follow=True)
    assert "2 comparisons opened" in response.content.decode()
    assert Comparison.objects.count() == 2


def test_the_form_begins_with_the_projects_own_k_and_takes_a_group(staff, project, run, write):
    project.completions_per_comparison = 2
    project.save()
    write(prompts=1)
    assert staff.get(at("open_comparisons", project)).context["form"]["k"].value() == 2
    staff.post(at("open_comparisons", project), {"run": run.pk, "k": 2, "priority": 3, "group": "law"})
    assert set(Slot.objects.values_list("group", "priority")) == {("law", 3)}


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


# The command


def test_the_command_opens_comparisons_and_says_so(project, run, write):
    write(prompts=3)
    out = StringIO()
    call_command("open_comparisons", project="capitals", run=run.pk, k=4, stdout=out)
    assert 'Project "Capitals": 3 comparisons opened' in out.getvalue()


def test_the_command_shows_as_many_at_once_as_the_project_says(project, run, write):
    Project.objects.update(completions_per_comparison=2)
    write()
    call_command("open_comparisons", project="capitals", run=run.pk, stdout=StringIO())
    assert [comparison.completions.count() for comparison in project.comparisons.all()] == [2, 2]


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


# Of imported completions


@pytest.fixture
def imported(run):
    """An import that brought two answers to each of two prompts, one of these held out."""
    data_import = DataImport.objects.create(
        what="completions", prompt_set=run.prompt_set, name="answers.jsonl", location="a", completions_added=4
    )
    for number, split in enumerate(("train", "eval")):
        prompt = run.prompt_set.prompts.create(
            messages=[{"role": "user", "content": f"{number}?"}], split=split, content_hash=f"{number}"
        )
        for text in ("yes", "no"):
            prompt.completions.create(
                origin="imported", data_import=data_import, text=text, import_key=text, finish_reason=""
            )
    return data_import


def test_comparisons_are_opened_from_an_import(staff, project, imported):
    page = staff.get(at("open_comparisons", project)).content.decode()
    assert f"{imported.pk}: answers.jsonl" in page
    fields = {"run": f"import-{imported.pk}", "k": 2, "split": "train", "priority": 0}
    staff.post(at("open_comparisons", project), fields)
    assert Comparison.objects.get().prompt.split == "train"


def test_an_import_that_was_taken_out_is_not_offered(staff, project, imported):
    DataImport.objects.update(undone_at=timezone.now())
    fields = {"run": f"import-{imported.pk}", "k": 2, "priority": 0}
    assert staff.post(at("open_comparisons", project), fields).status_code == 422


def test_the_command_opens_comparisons_of_an_import(project, imported):
    out = StringIO()
    call_command("open_comparisons", project="capitals", data_import=imported.pk, k=2, stdout=out)
    assert "2 comparisons opened" in out.getvalue()
    with pytest.raises(CommandError, match=rf"No import 99999 has brought .*: {imported.pk}\."):
        call_command("open_comparisons", project="capitals", data_import=99999, k=2)
