import json
from datetime import timedelta

from django.utils import timezone

from annotation.models import JudgeKind, Judgment
from sampling.importing import actions as imports
from sampling.models import DataImport, LeftOutRow
from tests.annotation.judged import judge

JUDGMENTS = "/api/judgments/"


def row(question="Which?", ranking=((0,), (1,)), **more):
    completions = [{"text": "Yes.", "model": "a"}, {"text": "No.", "model": "b"}]
    return {"prompt": question, "completions": completions, "ranking": ranking, "annotator": "Ann", **more}


def asked(project, rows, **more):
    return {"project": project.pk, "prompt_set": "From elsewhere", "rows": rows} | more


def test_managers_see_judgments_under_pseudonyms(managers, bobs, comparison):
    given = judge(comparison, "bob", [[0], [1], [2], [3]])
    (shown,) = managers.get(f"{JUDGMENTS}?project={comparison.project_id}").said["results"]
    assert shown["ranking"] == [[pk] for pk in comparison.completions.order_by("index").values_list("pk", flat=True)]
    assert shown["annotator"].startswith("annotator-")
    assert "bob" not in json.dumps(shown)
    assert bobs.get(JUDGMENTS).said["results"] == []
    assert bobs.get(f"{JUDGMENTS}{given.pk}/").status_code == 404


def test_judgments_are_found_by_kind_and_time(managers, comparison):
    judge(comparison, "bob", [[0], [1], [2], [3]])
    judge(comparison, "sim", [[1], [0], [2], [3]], kind=JudgeKind.SIMULATED)
    assert len(managers.get(f"{JUDGMENTS}?kind=simulated").said["results"]) == 1
    assert len(managers.get(f"{JUDGMENTS}?is_current=true&comparison={comparison.pk}").said["results"]) == 2
    later = (timezone.now() + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert managers.get(f"{JUDGMENTS}?since={later}").said["results"] == []
    assert len(managers.get(f"{JUDGMENTS}?until={later}").said["results"]) == 2
    assert managers.get(f"{JUDGMENTS}?since=soon").status_code == 400
    for beyond in ("9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00%2B23:59"):
        assert managers.get(f"{JUDGMENTS}?since={beyond}").status_code == 400
    assert managers.get(f"{JUDGMENTS}?since=9999-12-31T23:59:59%2B23:59").said["results"] == []
    assert managers.get(f"{JUDGMENTS}?annotator=bob").status_code == 400


def test_judgments_from_elsewhere_come_in_with_a_result_for_each(program, project, settings, tmp_path):
    settings.VAR_DIR = tmp_path
    rows = [row(), row("And then?", [[0, 1]]), row(ranking=[[0]]), row("Why?", split="train", prompt=3)]
    answer = program.post(f"{JUDGMENTS}bulk/", asked(project, rows, format="rankings"))
    assert answer.status_code == 200, answer.said
    assert [each["status"] for each in answer.said["results"]] == ["created", "created", "rejected", "rejected"]
    assert answer.said["results"][2]["errors"]
    assert answer.said["counts"] == {"created": 2, "rejected": 2}
    assert Judgment.objects.filter(kind="imported", comparison__project=project).count() == 2
    brought = DataImport.objects.get(pk=answer.said["data_import"])
    assert (brought.state, brought.judgments_added, brought.rejected_count) == ("finished", 2, 2)
    assert list(LeftOutRow.objects.values_list("line", flat=True)) == [3, 4]
    # The same again adds nothing.
    again = program.post(f"{JUDGMENTS}bulk/", asked(project, rows[:2]))
    assert [each["status"] for each in again.said["results"]] == ["known", "known"]
    assert Judgment.objects.filter(kind="imported").count() == 2


def test_what_came_in_by_a_request_is_undone_as_a_whole(program, project, settings, tmp_path, alice):
    settings.VAR_DIR = tmp_path
    answer = program.post(f"{JUDGMENTS}bulk/", asked(project, [row()]))
    brought = DataImport.objects.get(pk=answer.said["data_import"])
    imports.undo(data_import=brought, by=alice, enqueue=False)
    imports.go_on_now(data_import=brought)
    assert not Judgment.objects.exists()
    assert not project.comparisons.exists()


def test_a_contradiction_of_one_annotator_is_rejected_and_the_rest_is_kept(program, project, settings, tmp_path):
    settings.VAR_DIR = tmp_path
    rows = [row(annotator=None), row(annotator=None, ranking=[[1], [0]]), row("Another?", annotator=None)]
    answer = program.post(f"{JUDGMENTS}bulk/", asked(project, rows))
    assert [each["status"] for each in answer.said["results"]] == ["created", "rejected", "created"]


def test_a_row_that_is_only_a_prompt_does_not_make_prompts_of_the_others(program, project, settings, tmp_path):
    settings.VAR_DIR = tmp_path
    said = program.post(f"{JUDGMENTS}bulk/", asked(project, [{"prompt": "Why?"}, row()])).said
    assert [result["status"] for result in said["results"]] == ["rejected", "created"]


def test_only_staff_bring_judgments_in_and_only_in_a_format_that_is_known(program, managers, project):
    assert managers.post(f"{JUDGMENTS}bulk/", asked(project, [row()])).status_code == 403
    refused = program.post(f"{JUDGMENTS}bulk/", asked(project, [{"a": 1}]))
    assert (refused.status_code, list(refused.said["errors"])) == (400, ["format"])
    assert program.post(f"{JUDGMENTS}bulk/", asked(project, [row()] * 1001)).status_code == 400
    assert not DataImport.objects.exists()


def test_a_list_of_judgments_asks_the_database_no_more_for_more_of_them(
    managers, comparison, django_assert_max_num_queries
):  # fmt: skip
    for number in range(10):
        judge(comparison, f"u{number}", [[0], [1], [2], [3]])
    with django_assert_max_num_queries(4):
        assert len(managers.get(JUDGMENTS).said["results"]) == 10
