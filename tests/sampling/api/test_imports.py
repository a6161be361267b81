import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from annotation import actions as annotation
from sampling.importing import actions
from sampling.models import DataImport, Prompt

IMPORTS = "/api/imports/"
LINES = '{"prompt": "Why?"}\n{"prompt": "How?", "split": "eval"}\n{"prompt": 3}\nrubbish\n'


@pytest.fixture(autouse=True)
def no_workers(monkeypatch, settings, tmp_path):
    settings.VAR_DIR = tmp_path
    monkeypatch.setattr("sampling.tasks.run_import.delay", lambda pk: None)


def work(pk):
    """What a worker does."""
    found = DataImport.objects.get(pk=pk)
    actions.execute(data_import=found)
    return found


@pytest.fixture
def pasted(program):
    return program.post(IMPORTS, {"what": "prompts", "prompt_set": "Questions", "pasted": LINES})


def test_an_import_is_looked_through_brought_in_and_undone(program, pasted):
    assert (pasted.status_code, pasted.said["doing"], pasted.said["state"]) == (202, "look", "queued")
    address = pasted["Location"]
    work(pasted.said["id"])
    seen = program.get(address).said["seen"]
    assert (seen["records"]["prompts"], seen["rejected"]) == (2, 2)
    assert not Prompt.objects.exists()
    assert program.post(f"{address}start/").said["doing"] == "import"
    work(pasted.said["id"])
    done = program.get(address).said
    assert (done["state"], done["prompts_added"], done["rejected_count"]) == ("finished", 2, 2)
    assert program.post(f"{address}start/").status_code == 200  # a second click
    assert program.post(f"{address}undo/").said["doing"] == "undo"
    work(pasted.said["id"])
    assert program.get(address).said["undone_at"]
    assert not Prompt.objects.exists()


def test_what_was_left_out_is_downloaded_and_paged(program, pasted):
    address = pasted["Location"]
    work(pasted.said["id"])
    program.post(f"{address}start/")
    work(pasted.said["id"])
    rows = program.get(f"/api/left-out-rows/?data_import={pasted.said['id']}&page_size=1")
    assert [row["line"] for row in rows.said["results"]] == [3]
    assert [row["line"] for row in program.get(rows.said["next"]).said["results"]] == [4]
    answer = program.client.get(f"{address}rejects/", headers={"Authorization": f"Bearer {program.text}"})
    lines = [json.loads(line) for line in answer.getvalue().splitlines()]
    assert [(line["line"], line["why"], line["content"]) for line in lines] == [
        (3, "rejected", '{"prompt": 3}'), (4, "rejected", "rubbish"),
    ]  # fmt: skip
    assert program.get(f"{address}rejects/?why=rubbish").status_code == 400


def test_a_file_is_uploaded_in_parts(program):
    file = SimpleUploadedFile("questions.jsonl", LINES.encode())
    options = json.dumps({"steps": [{"filter": "turns", "most": 4}], "eval_percent": 10})
    made = program.client.post(
        IMPORTS, {"what": "prompts", "prompt_set": "Questions", "file": file, "options": options},
        headers={"Authorization": f"Bearer {program.text}"},
    )  # fmt: skip
    said = made.json()
    assert made.status_code == 202, said
    assert (said["name"], said["is_uploaded"], said["options"]["eval_percent"]) == ("questions.jsonl", True, 10.0)
    assert "location" not in said


def test_options_are_changed_and_looked_at_again(program, pasted):
    work(pasted.said["id"])
    steps = [{"filter": "turns", "most": 4}]
    changed = program("PATCH", pasted["Location"], {"options": {"format": "prompts", "steps": steps}})
    assert (changed.status_code, changed.said["state"]) == (200, "queued")
    assert changed.said["options"]["steps"][0]["filter"] == "turns"


@pytest.mark.parametrize(
    ("more", "field"),
    [({"what": "cats"}, "what"), ({"pasted": ""}, "pasted"), ({"hub_id": "acme/june"}, "hub_id"),
     ({"prompt_set": ""}, "prompt_set"), ({"options": {"steps": [{"filter": "magic"}]}}, "steps"),
     ({"options": {"format": "magic"}}, "options"), ({"options": {"mapping": {"magic": "x"}}}, "options"),
     ({"options": {"store": {"magic": 1}}}, "options"), ({"options": {"eval_percent": "nan"}}, "options"),
     ({"pasted": None, "incoming": "../../etc/passwd"}, "incoming"),
     ({"pasted": None, "hub_id": "../../etc"}, "hub_id")],
)  # fmt: skip
def test_what_cannot_be_imported_is_refused_by_field(program, more, field):
    asked = {"what": "prompts", "prompt_set": "Questions", "pasted": LINES} | more
    asked = {name: value for name, value in asked.items() if value is not None}
    refused = program.post(IMPORTS, asked)
    assert (refused.status_code, list(refused.said["errors"])) == (400, [field]), refused.said
    assert not DataImport.objects.exists()


def test_judgments_are_told_their_project_and_the_rest_is_usual(program, alice):
    project = annotation.create_project(name="Capitals", created_by=alice)
    asked = {"what": "judgments", "prompt_set": "Questions", "pasted": LINES}
    assert "options" in program.post(IMPORTS, asked).said["errors"]
    made = program.post(IMPORTS, asked | {"options": {"store": {"project": project.slug}}})
    assert made.status_code == 202, made.said
    assert made.said["options"]["store"]["unnamed_are_one"] is True


def test_what_cannot_be_done_now_conflicts(program, pasted):
    for what in ("start", "undo", "retry"):
        refused = program.post(f"{pasted['Location']}{what}/")
        assert refused.status_code == 409
        assert refused.said["detail"]
    assert program.post(f"{pasted['Location']}cancel/").said["state"] == "cancelled"
    assert program.post(f"{pasted['Location']}retry/").said["state"] == "queued"


def test_imports_are_for_staff(strangers, pasted):
    for address in (IMPORTS, pasted["Location"], f"{pasted['Location']}rejects/", "/api/left-out-rows/",
                    "/api/filter-sets/", "/api/curations/"):  # fmt: skip
        assert strangers.get(address).status_code == 403


def test_a_list_of_imports_asks_the_database_no_more_for_more_of_them(program, django_assert_max_num_queries):
    for number in range(6):
        program.post(IMPORTS, {"what": "prompts", "prompt_set": f"Set {number}", "pasted": LINES})
    with django_assert_max_num_queries(4):
        assert len(program.get(f"{IMPORTS}?state=queued").said["results"]) == 6


@pytest.mark.parametrize("text", ["\ud800", "\x00", "x" * 1_000])
def test_texts_that_nobody_can_keep_are_refused_in_words(program, text):
    whole = {"what": "prompts", "prompt_set": "Questions", "hub_id": "acme/june"}
    for name in ("what", "prompt_set", "hub_id"):
        assert program.post(IMPORTS, whole | {name: text}).status_code == 400
    for options in ({"format": text}, {"mapping": {text: "a"}}, {"split_group": text}, {"store": {text: text}},
                    {"steps": [{"filter": text}]}, {"steps": [{"filter": "turns", text: 1}]}):  # fmt: skip
        refused = program.post(IMPORTS, whole | {"options": options})
        assert refused.status_code == 400, options
    assert not DataImport.objects.exists()


def test_a_refusal_that_quotes_what_no_text_can_hold_is_repeated(program):
    asked = {"what": "\ud800", "prompt_set": "Questions", "hub_id": "acme/june"}
    first, again = (program.post(IMPORTS, asked, **{"Idempotency-Key": "k"}) for _ in range(2))
    assert first.status_code == again.status_code == 400
    assert first.said == again.said
