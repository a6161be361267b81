import hashlib
import json
from uuid import uuid4

import pytest

from annotation.actions import exports, freezes
from annotation.actions.withdrawals import restore_work, withdraw_work
from annotation.models import DatasetSnapshot, Judgment, SnapshotExport, SnapshotFreeze, WithdrawnWork
from tests.annotation.judged import judge, make_comparison, make_user

SNAPSHOTS, EXPORTS = "/api/snapshots/", "/api/exports/"


@pytest.fixture(autouse=True)
def no_workers(monkeypatch, settings, tmp_path):
    settings.VAR_DIR = tmp_path
    for task in ("run_freeze", "run_export"):
        monkeypatch.setattr(f"annotation.tasks.{task}.delay", lambda pk: None)


@pytest.fixture
def judged(project):
    for number in range(3):
        comparison = make_comparison(
            project, ["Good.", "Bad."], question=f"{number}?", split="eval" if number == 2 else "train"
        )
        judge(comparison, "bob", [[0], [1]])
    return project


def asked(project, **more):
    return {"project": project.pk, "name": "june", "kinds": ["person"]} | more


def test_what_would_be_frozen_is_counted_first(managers, judged):
    said = managers.post(f"{SNAPSHOTS}preview/", asked(judged)).said
    assert (said["found"]["judgments"], said["found"]["comparisons_eval"], said["pairs"]["train"]) == (3, 1, 2)
    nothing = managers.post(f"{SNAPSHOTS}preview/", asked(judged, kinds=["model"])).said
    assert nothing["found"]["judgments"] == 0
    assert "model judge" in nothing["nothing"]


def test_a_small_snapshot_is_frozen_at_once_and_the_key_makes_it_one(managers, judged):
    key = str(uuid4())
    made = managers.post(SNAPSHOTS, asked(judged, request_key=key))
    assert made.status_code == 201, made.said
    assert made["Location"] == f"{SNAPSHOTS}{made.said['id']}/"
    assert made.said["choice"]["kinds"] == ["person"]
    assert managers.post(SNAPSHOTS, asked(judged, request_key=key)).said["id"] == made.said["id"]
    taken = managers.post(SNAPSHOTS, asked(judged))
    assert (taken.status_code, list(taken.said["errors"])) == (400, ["name"])
    (row,) = managers.get(f"{SNAPSHOTS}?project={judged.pk}").said["results"]
    assert (row["counts"]["judgments"], row["projects"], row["has_withdrawn"]) == (3, [judged.pk], False)


def test_a_large_snapshot_is_frozen_by_a_worker(managers, judged, monkeypatch):
    monkeypatch.setattr(freezes, "AT_ONCE", 2)
    made = managers.post(SNAPSHOTS, asked(judged))
    assert (made.status_code, made.said["state"], made["Location"]) == (202, "queued", made.said["address"])
    freezes.execute_freeze(task=SnapshotFreeze.objects.get())
    done = managers.get(made["Location"]).said
    assert (done["state"], done["snapshot"]) == ("finished", DatasetSnapshot.objects.get().pk)
    assert managers.post(f"{made['Location']}retry/").status_code == 409


def test_a_freeze_is_cancelled(managers, judged, monkeypatch):
    monkeypatch.setattr(freezes, "AT_ONCE", 2)
    address = managers.post(SNAPSHOTS, asked(judged))["Location"]
    assert managers.post(f"{address}cancel/").said["state"] == "cancelled"
    assert managers.post(f"{address}retry/").said["state"] == "queued"


@pytest.mark.parametrize(
    ("more", "field"),
    [({"kinds": []}, "kinds"), ({"kinds": ["robot"]}, "kinds"), ({"name": "June 1"}, "name"),
     ({"agreement_threshold": 0.3}, "agreement_threshold"), ({"agreement_threshold": "nan"}, "agreement_threshold"),
     ({"since": "2026-02-02", "until": "2026-01-01"}, "until"), ({"until": "9999-12-31"}, "until"),
     ({"since": "0001-01-01"}, "since"), ({"kinds": ["model"]}, "kinds")],
)  # fmt: skip
def test_what_cannot_be_frozen_is_refused_by_field(managers, judged, more, field):
    refused = managers.post(SNAPSHOTS, asked(judged, **more))
    assert (refused.status_code, list(refused.said["errors"])) == (400, [field])


def test_the_hash_is_computed_anew(managers, judged):
    made = managers.post(SNAPSHOTS, asked(judged)).said
    assert managers.post(f"{SNAPSHOTS}{made['id']}/verify/").said["is_unchanged"] is True
    Judgment.objects.filter(pk=Judgment.objects.first().pk).update(all_bad=True)
    found = managers.post(f"{SNAPSHOTS}{made['id']}/verify/").said
    assert found["is_unchanged"] is False
    assert found["problem"]


def test_who_manages_nothing_sees_no_dataset(bobs, managers, judged):
    made = managers.post(SNAPSHOTS, asked(judged)).said
    export = managers.post(EXPORTS, {"snapshot": made["id"]}).said
    for address in (f"{SNAPSHOTS}{made['id']}/", f"{EXPORTS}{export['id']}/", f"{EXPORTS}{export['id']}/files/x/"):
        assert bobs.get(address).status_code == 404
    assert bobs.get(SNAPSHOTS).said["results"] == bobs.get(EXPORTS).said["results"] == []
    assert bobs.post(SNAPSHOTS, asked(judged, name="mine")).status_code == 400
    assert bobs.post(EXPORTS, {"snapshot": made["id"]}).status_code == 400


def test_an_export_is_made_and_its_download_goes_on_where_it_broke_off(managers, judged):
    made = managers.post(SNAPSHOTS, asked(judged)).said
    export = managers.post(EXPORTS, {"snapshot": made["id"], "layout": "rankings"})
    assert (export.status_code, export.said["files"], export.said["is_ready"]) == (202, [], False)
    again = managers.post(EXPORTS, {"snapshot": made["id"], "layout": "rankings"})
    assert again.said["id"] == export.said["id"]
    exports.execute_export(export=SnapshotExport.objects.get())
    ready = managers.get(export["Location"]).said
    assert ready["is_ready"]
    (file,) = [each for each in ready["files"] if each["name"] == "train.jsonl"]
    whole = managers.client.get(file["address"], headers={"Authorization": f"Bearer {managers.text}"})
    content = whole.getvalue()
    assert len(content) == file["bytes"]
    assert [json.loads(line)["ranking"] for line in content.splitlines()]
    part = managers.client.get(
        file["address"], headers={"Authorization": f"Bearer {managers.text}", "Range": "bytes=10-"}
    )
    assert (part.status_code, part.getvalue()) == (206, content[10:])
    assert managers.get(f"{EXPORTS}{ready['id']}/files/secret/").status_code == 404
    refused = managers.post(EXPORTS, {"snapshot": made["id"], "layout": "sft", "has_rationales": True})
    assert (refused.status_code, list(refused.said["errors"])) == (400, ["layout"])


def test_a_push_is_an_export_of_its_own(managers, judged):
    made = managers.post(SNAPSHOTS, asked(judged)).said
    export = managers.post(EXPORTS, {"snapshot": made["id"]}).said
    pushed = managers.post(f"{EXPORTS}{export['id']}/push/", {"hub_id": "acme/june"})
    assert (pushed.status_code, pushed.said["hub_id"]) == (202, "acme/june")
    assert pushed.said["id"] != export["id"]
    assert managers.post(f"{EXPORTS}{export['id']}/push/", {"hub_id": "june"}).status_code == 400
    assert managers.post(f"{EXPORTS}{export['id']}/cancel/").said["state"] == "cancelled"
    assert managers.post(f"{EXPORTS}{export['id']}/retry/").said["state"] == "queued"


def test_staff_withdraw_an_annotators_work_and_take_it_back(program, managers, judged):
    made = managers.post(SNAPSHOTS, asked(judged)).said
    withdrawal = {"annotator": "bob", "reason": "Bob asked for it."}
    assert managers.post("/api/withdrawals/", withdrawal).status_code == 403
    done = program.post("/api/withdrawals/", withdrawal)
    assert (done.status_code, done.said["judgments"], done.said["by"]) == (201, 3, "alice")
    marked = managers.get(f"{SNAPSHOTS}{made['id']}/").said
    assert (marked["has_withdrawn"], marked["withdrawn_annotators"], marked["withdrawn_judgments"]) == (True, 1, 3)
    assert program("DELETE", f"/api/withdrawals/{done.said['id']}/").status_code == 204
    assert not WithdrawnWork.objects.exists()


def test_what_was_withdrawn_since_stands_beside_the_files_which_stay_as_they_are(managers, judged):
    made = managers.post(SNAPSHOTS, asked(judged)).said
    export = managers.post(EXPORTS, {"snapshot": made["id"]})
    exports.execute_export(export=SnapshotExport.objects.get())
    before = managers.get(export["Location"]).said["files"]
    withdraw_work(annotator=make_user("bob"), reason="Asked for.")
    *files, mark = managers.get(export["Location"]).said["files"]
    assert (files, mark["name"]) == (before, "WITHDRAWN.md")
    content = managers.client.get(mark["address"], headers={"Authorization": f"Bearer {managers.text}"}).content
    assert b"3 of its judgments, by 1 annotator." in content
    assert (len(content), hashlib.sha256(content).hexdigest()) == (mark["bytes"], mark["sha256"])
    restore_work(annotator=make_user("bob"))
    assert managers.get(mark["address"]).status_code == 404


def test_a_list_of_snapshots_asks_the_database_no_more_for_more_of_them(
    managers, judged, django_assert_max_num_queries
):  # fmt: skip
    for number in range(6):
        made = managers.post(SNAPSHOTS, asked(judged, name=f"june-{number}")).said
        managers.post(EXPORTS, {"snapshot": made["id"]})
    with django_assert_max_num_queries(5):
        assert len(managers.get(SNAPSHOTS).said["results"]) == 6
    with django_assert_max_num_queries(4):
        assert len(managers.get(EXPORTS).said["results"]) == 6
