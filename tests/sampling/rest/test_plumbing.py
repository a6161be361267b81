import threading
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.utils import timezone

from sampling.models import IdempotentRequest, PromptSet
from sampling.rest import idempotency
from sampling.rest.problems import MEDIA_TYPE

SETS = "/api/prompt-sets/"


@pytest.mark.parametrize(
    ("address", "status"),
    [("/api/nothing/", 404), (f"{SETS}99/", 404), (f"{SETS}?colour=red", 400), (f"{SETS}?cursor=rubbish", 404),
     (f"{SETS}?cursor=cD1hYmM%3D", 404), (f"{SETS}?name=%00", 400)],
)  # fmt: skip
def test_every_error_is_a_problem_detail(program, address, status):
    answer = program.get(address)
    assert answer.status_code == status
    assert answer["Content-Type"] == MEDIA_TYPE
    assert answer.said["status"] == status
    assert {"type", "title", "detail"} <= answer.said.keys()


def test_also_when_we_fail_and_the_page_does_not_say_why(program, monkeypatch):
    monkeypatch.setattr(PromptSet.objects.__class__, "with_counts", lambda manager: 1 / 0, raising=False)
    monkeypatch.setattr("sampling.api.prompts.PromptSets.get_queryset", lambda view: 1 / 0)
    answer = program.get(SETS)
    assert answer.status_code == 500
    assert answer["Content-Type"] == MEDIA_TYPE
    assert "division" not in answer.content.decode()


def test_pages_follow_each_other_while_rows_are_added(program):
    PromptSet.objects.bulk_create(PromptSet(name=f"set {number}") for number in range(5))
    first = program.get(f"{SETS}?page_size=2").said
    PromptSet.objects.create(name="meanwhile")
    second = program.get(first["next"]).said
    third = program.get(second["next"]).said
    names = [row["name"] for page in (first, second, third) for row in page["results"]]
    assert names == ["set 4", "set 3", "set 2", "set 1", "set 0"]
    assert third["next"] is None


def test_a_repeated_key_is_carried_out_once_and_answered_twice(program):
    first = program.post(SETS, {"name": "one"}, **{"Idempotency-Key": "k1"})
    again = program.post(SETS, {"name": "one"}, **{"Idempotency-Key": "k1"})
    assert first.status_code == again.status_code == 201
    assert first.said == again.said
    assert again[idempotency.REPLAYED] == "true"
    assert PromptSet.objects.count() == 1


def test_a_refusal_is_repeated_as_well(program):
    for _ in range(2):
        answer = program.post(SETS, {}, **{"Idempotency-Key": "k1"})
        assert answer.status_code == 400
        assert answer["Content-Type"] == MEDIA_TYPE


def test_a_key_with_another_request_is_refused(program):
    program.post(SETS, {"name": "one"}, **{"Idempotency-Key": "k1"})
    answer = program.post(SETS, {"name": "two"}, **{"Idempotency-Key": "k1"})
    assert answer.status_code == 422
    assert not PromptSet.objects.filter(name="two").exists()


def test_one_that_is_being_carried_out_conflicts_until_it_is_lost(program, alice):
    asked = {"name": "one"}
    program.post(SETS, asked, **{"Idempotency-Key": "k1"})
    PromptSet.objects.all().delete()
    rows = IdempotentRequest.objects.all()
    rows.update(status=None)
    assert program.post(SETS, asked, **{"Idempotency-Key": "k1"}).status_code == 409
    rows.update(created_at=timezone.now() - idempotency.LOST_AFTER - timedelta(seconds=1))
    assert program.post(SETS, asked, **{"Idempotency-Key": "k1"}).status_code == 201


def test_what_failed_by_our_fault_may_be_tried_again(program, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr("sampling.api.prompts.PromptSets.perform_create", lambda view, serializer: 1 / 0)
        assert program.post(SETS, {"name": "one"}, **{"Idempotency-Key": "k1"}).status_code == 500
    assert program.post(SETS, {"name": "one"}, **{"Idempotency-Key": "k1"}).status_code == 201


@pytest.mark.django_db(transaction=True)
def test_of_two_at_once_one_is_carried_out(program):
    answers = []

    def ask():
        answers.append(program.post(SETS, {"name": "one"}, **{"Idempotency-Key": "k1"}).status_code)
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert PromptSet.objects.count() == 1
    assert 201 in answers
    assert set(answers) <= {201, 409}


def test_old_answers_are_forgotten(program):
    program.post(SETS, {"name": "one"}, **{"Idempotency-Key": "k1"})
    assert idempotency.forget_old() == 0
    IdempotentRequest.objects.update(created_at=timezone.now() - idempotency.KEPT_FOR - timedelta(minutes=1))
    assert idempotency.forget_old() == 1


def test_the_documentation_is_there_without_a_foreign_script(client, db):
    page = client.get("/api/docs/").content.decode()
    assert "http" not in page.replace("http-equiv", "")
    script = client.get("/api/docs/?script=")
    assert script["Content-Type"].startswith("application/javascript")
    assert client.get("/api/schema/").json()["openapi"].startswith("3.1")


def test_nesting_without_end_is_told(program, client):
    deep = "[" * 100_000
    answer = client.generic(
        "POST", SETS, deep, content_type="application/json", headers={"Authorization": f"Bearer {program.text}"}
    )
    assert answer.status_code == 400
    assert "nested" in answer.json()["detail"]


@pytest.mark.parametrize("key", [{}, {"Idempotency-Key": "k1"}], ids=["without a key", "with a key"])
def test_a_body_that_is_too_large_is_told(program, settings, key):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    answer = program.post(SETS, {"name": "more than ten bytes"}, **key)
    assert (answer.status_code, answer["Content-Type"]) == (413, MEDIA_TYPE)


def test_a_browser_that_asks_for_a_page_gets_json(program):
    assert program.get(SETS, Accept="text/html").status_code == 200


def test_another_file_under_the_same_key_is_another_request(program, client, settings, tmp_path, monkeypatch):
    settings.VAR_DIR = tmp_path
    monkeypatch.setattr("sampling.tasks.run_import.delay", lambda *told: None)
    headers = {"Authorization": f"Bearer {program.text}", "Idempotency-Key": "k1"}
    statuses = []
    for text in (b'{"prompt": "one"}', b'{"prompt": "two"}', b'{"prompt": "one"}'):
        parts = {"what": "prompts", "prompt_set": "june", "file": SimpleUploadedFile("prompts.jsonl", text)}
        statuses.append(client.post("/api/imports/", parts, headers=headers).status_code)
    assert statuses == [202, 422, 202]
