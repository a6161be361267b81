import json
from uuid import uuid4

import pytest

from annotation import actions
from annotation.models import Assignment, Flag, Judgment, Role
from tests.annotation.judged import judge
from tests.sampling.rest.conftest import Program

COMPARISONS = "/api/comparisons/"


@pytest.fixture
def reviewers(charlie, project):
    """Of Charlie, a reviewer who manages nothing."""
    actions.add_member(project=project, user=charlie, role=Role.REVIEWER)
    return Program(charlie)


@pytest.fixture
def judged(comparison):
    judge(comparison, "bob", [[0], [1], [2], [3]])
    judge(comparison, "dora", [[1], [0], [2], [3]])
    return comparison


def test_a_reviewer_sees_judgments_in_letters_and_no_policy(reviewers, judged):
    (row,) = reviewers.get(f"{COMPARISONS}?project={judged.project_id}").said["results"]
    # One of six pairs stands the other way: 1/6.
    assert (row["judgments"], round(row["disagreement"], 3)) == (2, 0.167)
    shown = reviewers.get(f"{COMPARISONS}{judged.pk}/").said
    assert [each["letter"] for each in shown["completions"]] == ["A", "B", "C", "D"]
    assert {each["completion"] for each in shown["completions"]} == {None}
    first, second = (each["ranking"] for each in shown["given"])
    assert first[:2] == second[1::-1]
    assert "policy-0" not in json.dumps(shown)
    assert {each["annotator"].split("-")[0] for each in shown["given"]} == {"annotator"}
    assert reviewers.get(f"{COMPARISONS}{judged.pk}/policies/").status_code == 403
    found = reviewers.get(f"/api/projects/{judged.project_id}/next-disagreement/").said
    assert found == {"comparison": judged.pk}


def test_a_manager_may_ask_who_wrote_what(managers, judged):
    shown = managers.get(f"{COMPARISONS}{judged.pk}/policies/").said
    assert {each["policy"] for each in shown["completions"]} == {"policy-0"}
    assert {each["completion"] for each in shown["completions"]} == set(judged.completions.values_list("pk", flat=True))


def test_an_annotator_sees_no_comparison_of_theirs(bobs, comparison):
    assert bobs.get(COMPARISONS).said["results"] == []
    for address in (f"{COMPARISONS}{comparison.pk}/", f"{COMPARISONS}{comparison.pk}/withdraw/"):
        assert bobs("POST" if "withdraw" in address else "GET", address, {"reason": "x"}).status_code == 404


def test_a_reviewer_decides_and_a_manager_alone_changes_the_work(reviewers, program, judged):
    task = reviewers.post(f"{COMPARISONS}{judged.pk}/decide/").said
    assert task["kind"] == "review"
    asked = {"ranking": [["A", "B", "C", "D"]], "request_key": str(uuid4())}
    assert reviewers.post(f"/api/assignments/{task['id']}/submit/", asked).status_code == 200
    assert Judgment.objects.filter(is_decision=True).count() == 1
    for what, content in (("withdraw", {"reason": "x"}), ("priority", {"priority": 5})):
        assert reviewers.post(f"{COMPARISONS}{judged.pk}/{what}/", content).status_code == 403
    assert reviewers.post(f"{COMPARISONS}{judged.pk}/ask-another/", {"wanted": 3}).said["wanted"] == 3
    assert program.post(f"{COMPARISONS}{judged.pk}/priority/", {"priority": 5}).said["priority"] == 5
    assert program.post(f"{COMPARISONS}{judged.pk}/withdraw/", {"reason": "Broken."}).said["withdrawn_at"]
    assert reviewers.post(f"{COMPARISONS}{judged.pk}/decide/").status_code == 409
    assert program.post(f"{COMPARISONS}{judged.pk}/restore/", {"reason": "Mended."}).said["withdrawn_at"] is None


def test_many_priorities_at_once_within_one_project(managers, project, write):
    actions.open_comparisons(project=project, completions=write(prompts=3), k=4)
    ids = list(project.comparisons.values_list("pk", flat=True))
    asked = {"project": project.pk, "comparisons": [*ids[:2], 999_999], "priority": 7}
    assert managers.post(f"{COMPARISONS}priorities/", asked).said == {"changed": 2}
    assert sorted(project.comparisons.values_list("priority", flat=True)) == [0, 7, 7]


def test_a_known_answer_is_given_by_letters_and_taken_away(managers, comparison):
    address = f"{COMPARISONS}{comparison.pk}/known-answer/"
    asked = {"purpose": "gold", "ranking": [["B"], ["A"], ["D"], ["C"]], "explanation": "Paris."}
    made = managers("PUT", address, asked)
    assert (made.said["purpose"], made.said["known_ranking"]) == ("gold", asked["ranking"])
    assert managers("PUT", address, asked | {"ranking": [["B"], ["A"]]}).said["errors"]["ranking"]
    assert managers("PUT", address, asked | {"purpose": "work"}).said["errors"]["purpose"]
    assert managers("DELETE", address).status_code == 204
    assert managers.get(f"{COMPARISONS}{comparison.pk}/").said["known_ranking"] is None


def test_flags_are_resolved_with_a_word(reviewers, bobs, held, bob):
    actions.raise_flag(assignment=held, annotator=bob, note="It is cut off.")
    (flag,) = reviewers.get("/api/flags/?is_resolved=false").said["results"]
    assert (flag["raised_by"], flag["note"]) == ("bob", "It is cut off.")
    resolved = reviewers.post(f"/api/flags/{flag['id']}/resolve/", {"resolution": "Withdrawn."})
    assert resolved.said["resolved_by"] == "charlie"
    assert reviewers.get("/api/flags/?is_resolved=false").said["results"] == []
    assert bobs.get("/api/flags/").said["results"] == []
    assert Flag.objects.get().resolution == "Withdrawn."


def test_skips_are_listed_with_their_reasons(reviewers, held, bob):
    actions.skip(assignment=held, annotator=bob, reason="Broken")
    (row,) = reviewers.get("/api/skips/?skip_reason=Broken").said["results"]
    assert (row["annotator"], row["comparison"]) == ("bob", Assignment.objects.get().comparison_id)


@pytest.mark.parametrize("state", ["open", "complete", "flagged", "skipped", "decided", "withdrawn"])
def test_comparisons_are_found_by_their_state(program, judged, state):
    found = program.get(f"{COMPARISONS}?state={state}&text=Question").said["results"]
    # Judged aside from the queue, its one slot is open still.
    assert len(found) == (1 if state == "open" else 0)


def test_a_list_of_comparisons_asks_the_database_no_more_for_more_of_them(
    program, project, write, django_assert_max_num_queries
):  # fmt: skip
    actions.open_comparisons(project=project, completions=write(prompts=10), k=4)
    with django_assert_max_num_queries(9):  # the token, the page, the rows and what is counted of them
        assert len(program.get(f"{COMPARISONS}?project={project.pk}").said["results"]) == 10
