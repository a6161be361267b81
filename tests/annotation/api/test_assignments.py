import json
from uuid import uuid4

import pytest

from annotation import actions
from annotation.actions.known_answers import set_known_answer
from annotation.models import Assignment, Judgment, Role
from tests.sampling.rest.conftest import Program


def claim(program, project):
    return program.post(f"/api/projects/{project.pk}/claim/").said


def answer(**more):
    return {"ranking": [["B"], ["A", "C"], ["D"]], "request_key": str(uuid4())} | more


@pytest.fixture
def task(bobs, project, comparison):
    return claim(bobs, project)["assignment"]


def address(task, what=""):
    return f"/api/assignments/{task['id']}/{what}"


def test_a_program_takes_answers_and_corrects(bobs, task, comparison, bob):
    assert [each["letter"] for each in task["completions"]] == ["A", "B", "C", "D"]
    assert {each["text"] for each in task["completions"]} == {each.text for each in comparison.completions.all()}
    assert task["messages"] == comparison.prompt.messages
    asked = answer(strengths=["slightly_better", "significantly_better"], rationale="It says so.", seconds_spent=4.5)
    done = bobs.post(address(task, "submit/"), asked)
    assert done.status_code == 200, done.said
    assert done.said["state"] == "submitted"
    assert done.said["answer"]["ranking"] == [["B"], ["A", "C"], ["D"]]
    judgment = Judgment.objects.get()
    shown = dict(zip("ABCD", Assignment.objects.get().display_order, strict=True))
    assert judgment.ranking == [[shown["B"]], [shown["A"], shown["C"]], [shown["D"]]]
    assert (judgment.kind, judgment.seconds_spent, judgment.rationale) == ("person", 4.5, "It says so.")
    # The same again is the same; another one is a revision.
    assert bobs.post(address(task, "submit/"), asked).said["answer"]["revision"] == 1
    corrected = bobs.post(address(task, "submit/"), answer(ranking=[["A"], ["B"], ["C"], ["D"]], based_on=1))
    assert corrected.said["answer"]["revision"] == 2
    unaware = bobs.post(address(task, "submit/"), answer(ranking=[["D"], ["B"], ["C"], ["A"]], based_on=1))
    assert unaware.status_code == 409


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"ranking": [["A"], ["B"]]}, "ranking"),
        ({"ranking": [["A"], ["B"], ["C"], ["D", "A"]]}, "ranking"),
        ({"ranking": [["A"], ["B"], ["C"], ["Z"]]}, "ranking"),
        ({"strengths": ["better"]}, "ranking"),
        ({"strengths": ["loud", "better"]}, "strengths"),
        ({"marks": {"A": {"safety": "safe"}}}, "marks"),
        ({"marks": {"Z": {}}}, "ranking"),
        ({"all_bad": True}, "ranking"),
        ({"edit": {"of": "A", "text": "Better."}}, "ranking"),
        ({"seconds_spent": "nan"}, "seconds_spent"),
        ({"request_key": None}, "request_key"),
    ],
)
def test_what_is_no_answer_is_refused_by_field_and_nothing_is_kept(bobs, task, asked, field):
    refused = bobs.post(address(task, "submit/"), answer(**asked))
    assert (refused.status_code, list(refused.said["errors"])) == (400, [field])
    assert not Judgment.objects.exists()


def test_marks_an_edit_and_all_bad_are_kept_where_the_project_asks(bobs, project, task):
    project.ask_safety = project.allow_edits = project.allow_all_bad = True
    project.aspects = [{"key": "truth", "label": "Truth", "lowest": 0, "highest": 4, "low_label": "", "high_label": ""}]
    actions.save_settings(project=project)
    marks = {letter: {"safety": "safe", "aspects": {"truth": 4}} for letter in "ABCD"}
    edit = {"of": "A", "text": "A better answer."}
    asked = answer(ranking=[["edit"], ["A"], ["B", "C"]], all_bad=True, marks=marks, edit=edit)
    done = bobs.post(address(task, "submit/"), asked)
    assert done.status_code == 200, done.said
    kept = done.said["answer"]
    assert kept["ranking"] == [["edit"], ["A"], ["B", "C"], ["D"]]  # D had no place: the last
    assert kept["edit"] == edit
    assert kept["marks"]["C"] == {"safety": "safe", "aspects": {"truth": 4}, "defects": []}
    del marks["B"]["aspects"]
    assert bobs.post(address(task, "submit/"), asked | {"request_key": str(uuid4())}).said["errors"]["marks"]


def test_nothing_in_an_answer_tells_gold_or_qualification_from_work_nor_who_wrote_what(
    bobs, project, write, alice, bob
):  # fmt: skip
    """Two comparisons, one of them gold, given to Bob: what he is told of each has the same shape and values."""
    actions.open_comparisons(project=project, completions=write(prompts=2), k=4)
    gold = project.comparisons.first()
    ids = [[pk] for pk in gold.completions.values_list("pk", flat=True)]
    set_known_answer(comparison=gold, purpose="gold", ranking=ids, by=alice)
    project.gold_percent = 100
    actions.save_settings(project=project)
    actions.add_member(project=project, user=bob, role=Role.ANNOTATOR)
    first = claim(bobs, project)["assignment"]
    assert Assignment.objects.get(pk=first["id"]).purpose == "gold"
    done_first = bobs.post(address(first, "submit/"), answer()).said
    second = claim(bobs, project)["assignment"]
    assert Assignment.objects.get(pk=second["id"]).purpose == "work"
    done_second = bobs.post(address(second, "submit/"), answer()).said
    of_itself = ("id", "page", "messages", "completions", "answer")
    for one, other in ((first, second), (done_first, done_second)):
        assert one.keys() == other.keys()
        assert {k: v for k, v in one.items() if k not in of_itself} == {
            k: v for k, v in other.items() if k not in of_itself
        }
    lines = bobs.get("/api/assignments/").said["results"]
    assert [line["kind"] for line in lines] == ["work", "work"]
    told = json.dumps([first, second, done_first, done_second, lines])
    for word in ("gold", "policy", "model", "known", "comparison", "leased"):
        assert word not in told


def test_a_training_item_has_feedback_and_nothing_else_has(bobs, project, comparison, alice):
    ids = list(comparison.completions.values_list("pk", flat=True))
    set_known_answer(
        comparison=comparison, purpose="training", ranking=[[pk] for pk in ids], explanation="Facts.", by=alice
    )
    task = claim(bobs, project)["assignment"]
    assert task["kind"] == "training"
    assert bobs.get(address(task, "feedback/")).status_code == 404
    shown = dict(zip(Assignment.objects.get().display_order, "ABCD", strict=True))
    bobs.post(address(task, "submit/"), answer(ranking=[[shown[pk]] for pk in ids]))
    said = bobs.get(address(task, "feedback/")).said
    assert (said["right"], said["total"], said["explanation"]) == (6, 6, "Facts.")  # all pairs of four
    assert said["yours"] == said["known"]


def test_a_draft_is_kept_as_far_as_it_is_sound(bobs, task):
    draft = {"rank_A": 2, "rank_B": "none", "rationale": "Half \ud800 of it", "rank_Z": 1, "defects_A": {"x": []}}
    assert bobs("PUT", address(task, "draft/"), {"draft": draft}).status_code == 204
    assert bobs.get(address(task)).said["draft"] == {"rank_A": 2, "rationale": "Half ? of it"}
    assert bobs.post(address(task, "renew/")).status_code == 204


def test_what_is_skipped_goes_back_and_what_is_flagged_is_told(bobs, project, task):
    flagged = bobs.post(address(task, "flag/"), {"note": "It is cut off."})
    assert flagged.said["note"] == "It is cut off."
    skipped = bobs.post(address(task, "skip/"), {"reason": "I cannot judge this"})
    assert skipped.said["state"] == "skipped"
    assert bobs.post(address(task, "submit/"), answer()).status_code == 409
    (line,) = bobs.get(f"/api/assignments/?project={project.pk}&show=skipped").said["results"]
    assert (line["skip_reason"], line["flag"]) == ("I cannot judge this", "It is cut off.")
    assert bobs.get("/api/assignments/?show=judged").said["results"] == []
    assert claim(bobs, project) == {"assignment": None, "nothing": "with others"}


def test_another_ones_work_is_not_there(program, charlie, project, task):
    actions.add_member(project=project, user=charlie, role=Role.ANNOTATOR)
    for other in (program, Program(charlie)):
        assert other.get(address(task)).status_code == 404
        assert other.post(address(task, "submit/"), answer()).status_code == 404
        assert other.get("/api/assignments/").said["results"] == []


def test_who_was_removed_answers_nothing_more(bobs, bob, project, task):
    actions.remove_member(project=project, user=bob)
    assert bobs.get(address(task)).status_code == 403
    assert bobs.post(address(task, "submit/"), answer()).status_code == 403
    assert bobs.post(f"/api/projects/{project.pk}/claim/").status_code == 404


def test_a_token_to_annotate_does_just_that(annotate_only, project, comparison):
    task = claim(annotate_only, project)["assignment"]
    assert annotate_only.post(address(task, "submit/"), answer()).status_code == 200
    assert annotate_only.post(f"/api/projects/{project.pk}/pause/", {"is_paused": True}).status_code == 403
    assert annotate_only.get("/api/judgments/").status_code == 403


def test_a_list_of_answers_asks_the_database_no_more_for_more_of_them(
    bobs, project, write, bob, django_assert_max_num_queries
):  # fmt: skip
    actions.open_comparisons(project=project, completions=write(prompts=8), k=4)
    for _ in range(8):
        held = claim(bobs, project)["assignment"]
        assert bobs.post(address(held, "submit/"), answer()).status_code == 200
    with django_assert_max_num_queries(8):  # the token and its use, the rows, judgments, flags, edits
        assert len(bobs.get("/api/assignments/").said["results"]) == 8
