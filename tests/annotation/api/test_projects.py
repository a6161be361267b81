import pytest

from annotation import actions
from annotation.actions.reports import compute_report
from annotation.models import Membership, Project, ProjectReport
from tests.sampling.rest.conftest import Program

PROJECTS = "/api/projects/"


def test_one_sees_the_projects_that_one_is_a_member_of(program, bobs, charlie, project):
    assert [row["name"] for row in bobs.get(PROJECTS).said["results"]] == ["Capitals"]
    assert bobs.get(f"{PROJECTS}{project.pk}/").said["guidelines"] == "Prefer *truth*."
    stranger = Program(charlie)
    assert stranger.get(PROJECTS).said["results"] == []
    assert stranger.get(f"{PROJECTS}{project.pk}/").status_code == 404


def test_an_annotator_is_told_nothing_of_gold_and_sets_nothing(bobs, project):
    shown = bobs.get(f"{PROJECTS}{project.pk}/").said
    assert not {"gold_percent", "qualification_percent", "overlap"} & shown.keys()
    for method, address in [("GET", "settings/"), ("PATCH", "settings/"), ("POST", "pause/"), ("GET", "progress/"),
                            ("GET", "quality/"), ("POST", "quality/"), ("POST", "open-comparisons/"),
                            ("GET", "next-disagreement/"), ("POST", "fit/")]:  # fmt: skip
        assert bobs(method, f"{PROJECTS}{project.pk}/{address}", {}).status_code == 403, address


def test_only_staff_make_projects(program, managers):
    assert managers.post(PROJECTS, {"name": "Mine"}).status_code == 403
    made = program.post(PROJECTS, {"name": "Arena", "preset": "arena", "overlap": 3, "guidelines": "Be fair."})
    assert made.status_code == 201
    project = Project.objects.get(name="Arena")
    # The preset's two completions and no strengths, and what was asked beside it.
    assert (project.completions_per_comparison, project.strength_scale, project.overlap) == (2, "none", 3)
    assert project.guidelines == "Be fair."
    assert Membership.objects.get(project=project).role == "manager"
    again = program.post(PROJECTS, {"name": "Arena"})
    assert again.status_code == 400
    assert "name" in again.said["errors"]


def test_settings_change_what_is_sent_and_go_on_record(managers, project):
    address = f"{PROJECTS}{project.pk}/settings/"
    asked = {"overlap": 2, "aspects": [{"label": "Helpfulness", "lowest": 0, "highest": 4}]}
    changed = managers("PATCH", address, asked)
    assert changed.status_code == 200
    assert changed.said["aspects"][0]["key"] == "helpfulness"
    project.refresh_from_db()
    assert (project.name, project.overlap, project.aspects[0]["highest"]) == ("Capitals", 2, 4)
    changes = managers.get(f"/api/project-changes/?project={project.pk}&what=settings").said["results"]
    assert {row["subject"] for row in changes} == {"overlap", "aspects"}


@pytest.mark.parametrize(
    ("field", "value"),
    [("overlap", 0), ("strength_scale", "loud"), ("name", ""), ("aspects", [{"label": "A: b"}]),
     ("aspects", [{"label": "One"}, {"label": "one"}]), ("aspects", [{"label": "x", "lowest": 3, "highest": 3}]),
     ("defects", [{"label": "x\ny"}])],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused_by_field(managers, project, field, value):
    answer = managers("PATCH", f"{PROJECTS}{project.pk}/settings/", {field: value})
    assert answer.status_code == 400
    assert list(answer.said["errors"]) == [field]


def test_guidelines_have_versions_that_members_read(managers, bobs, project, bob):
    made = managers.post("/api/guidelines/", {"project": project.pk, "text": "Prefer truth."})
    assert (made.status_code, made.said["number"]) == (201, 2)
    assert managers.post("/api/guidelines/", {"project": project.pk, "text": "Prefer truth."}).said["number"] == 2
    assert [row["number"] for row in bobs.get(f"/api/guidelines/?project={project.pk}").said["results"]] == [2, 1]
    assert bobs.post("/api/guidelines/", {"project": project.pk, "text": "Mine."}).status_code == 400
    assert bobs.post(f"/api/guidelines/{made.said['id']}/read/").said == {"is_new": True}
    assert Membership.objects.get(user=bob).guidelines_read.number == 2


def test_a_paused_project_hands_out_nothing(managers, bobs, project, comparison):
    assert managers.post(f"{PROJECTS}{project.pk}/pause/", {"is_paused": True}).said["is_paused"] is True
    assert bobs.post(f"{PROJECTS}{project.pk}/claim/").said == {"assignment": None, "nothing": "paused"}


def test_comparisons_are_opened_of_what_one_may_compare(program, managers, project, write, run):
    write(prompts=2)
    asked = {"run": run.pk, "k": 2}
    # A manager may open more of what the project compares already, and the rest of the site is not theirs.
    assert managers.post(f"{PROJECTS}{project.pk}/open-comparisons/", asked).status_code == 400
    opened = program.post(f"{PROJECTS}{project.pk}/open-comparisons/", asked)
    # Four texts a prompt, two in each comparison: two comparisons a prompt.
    assert opened.said == {"opened": 4, "already_open": 0, "skipped": 0}
    assert managers.post(f"{PROJECTS}{project.pk}/open-comparisons/", asked).said["already_open"] == 4
    counts = managers.get(f"{PROJECTS}{project.pk}/progress/").said
    assert (counts["comparisons"], counts["open"], counts["filled"], counts["wanted"]) == (4, 4, 0, 4)


def test_figures_are_asked_for_and_reviewers_see_no_win_rates(managers, bobs, bob, project, comparison, monkeypatch):
    monkeypatch.setattr("annotation.tasks.compute_report.delay", lambda pk: None)
    address = f"{PROJECTS}{project.pk}/quality/"
    assert managers.get(address).said["computed_at"] is None
    asked = managers.post(address)
    assert asked.status_code == 202
    assert asked.said["requested_at"]
    assert compute_report(report=ProjectReport.objects.get(project=project))
    assert managers.get(address).said["computed_at"]
    ProjectReport.objects.update(content={"kinds": {"person": {"judgments": 1, "win_rates": {"a": 1}}}})
    assert managers.get(address).said["content"]["kinds"]["person"] == {"judgments": 1, "win_rates": {"a": 1}}
    actions.add_member(project=project, user=bob, role="reviewer")
    assert bobs.get(address).said["content"]["kinds"]["person"] == {"judgments": 1}


def test_a_list_of_projects_asks_the_database_no_more_for_more_of_them(
    program, alice, django_assert_max_num_queries
):  # fmt: skip
    for number in range(8):
        actions.create_project(name=f"p{number}", created_by=alice, guidelines=f"v{number}")
    with django_assert_max_num_queries(4):  # the token, its use, the rows
        assert len(program.get(PROJECTS).said["results"]) == 9
