"""The pages of exports: asking for one, watching it, downloading, pushing."""

import io
import uuid
import zipfile
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from annotation.actions import exports as actions
from annotation.actions.withdrawals import withdraw_work
from annotation.datasets.layouts import LAYOUTS
from annotation.datasets.snapshots import freeze_snapshot
from annotation.models import Membership, Role, SnapshotExport
from sampling.long_tasks import TaskState
from tests.annotation.judged import judge, make_comparison, make_project, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def exports_in_a_folder_of_their_own(settings, tmp_path):
    settings.VAR_DIR = tmp_path / "var"


@pytest.fixture
def snapshot():
    """Dora manages the project, Bob annotates it."""
    project = make_project()
    Membership.objects.create(project=project, user=make_user("bob"), role=Role.ANNOTATOR)
    Membership.objects.create(project=project, user=make_user("dora"), role=Role.MANAGER)
    judge(make_comparison(project, ["Fruit & <b>sugar</b>.", "A traffic jam."]), "bob", [[0], [1]])
    return freeze_snapshot(project=project, name="june", kinds=["person"])


@pytest.fixture
def dora(client, snapshot):
    client.force_login(make_user("dora"))
    return client


@pytest.fixture
def export(snapshot):
    return actions.execute_export(export=actions.request_export(snapshot=snapshot, rows="judgment", enqueue=False))


def at(name, *args):
    return reverse(f"annotation:{name}", args=args)


def answer(**more):
    return {"layout": "sft", "rows": "majority", "file_type": "parquet", "request_key": uuid.uuid4()} | more


def test_asking_for_an_export_leads_to_its_page_and_twice_is_once(dora, snapshot):
    data = answer()
    first, again = (dora.post(at("snapshot_exports", snapshot.pk), data) for _ in range(2))
    export = SnapshotExport.objects.get()
    assert first.url == again.url == export.get_absolute_url()
    assert (export.layout, export.rows, export.file_type, export.created_by.username) == (
        "sft", "majority", "parquet", "dora",
    )  # fmt: skip
    page = dora.get(export.get_absolute_url()).content.decode()
    assert "waiting for a worker" in page
    assert 'hx-trigger="load delay:400ms"' in page


def test_the_snapshots_page_lists_exports_and_offers_every_layout(dora, snapshot, export):
    page = dora.get(snapshot.get_absolute_url()).content.decode()
    assert at("snapshot_export_file", export.pk, "train.jsonl") in page
    assert [layout.label for layout in LAYOUTS.values() if f"{layout.label}: " not in page] == []
    part = dora.get(at("snapshot_exports", snapshot.pk), headers={"HX-Request": "true"}).content.decode()
    assert part.lstrip().startswith('<div id="exports"')
    assert "every 2s" not in part  # nothing is being made
    actions.request_export(snapshot=snapshot, rows="majority", enqueue=False)
    part = dora.get(at("snapshot_exports", snapshot.pk), headers={"HX-Request": "true"}).content.decode()
    assert "every 2s" in part
    assert dora.get(at("snapshot_exports", snapshot.pk)).url == f"{snapshot.get_absolute_url()}#export"


def test_what_cannot_be_asked_for_is_said_beside_the_field(dora, snapshot):
    response = dora.post(at("snapshot_exports", snapshot.pk), answer(layout="arena", has_rationales="on"))
    assert response.status_code == 422
    assert "Chatbot Arena has no place for rationales." in response.content.decode()
    assert dora.post(at("snapshot_exports", snapshot.pk), answer(layout="csv")).status_code == 422
    assert not SnapshotExport.objects.exists()


def test_a_running_export_shows_its_rate_and_the_time_left(dora, snapshot):
    export = actions.request_export(snapshot=snapshot, rows="judgment", enqueue=False)
    export.take()
    # 500 in 100 seconds are 5 a second; the other 1,000 take 200 seconds, 3 min 20 s.
    began = timezone.now() - timedelta(seconds=100)
    SnapshotExport.objects.filter(pk=export.pk).update(done=500, total=1500, phase="writing", started_at=began)
    part = dora.get(export.get_absolute_url(), headers={"HX-Request": "true"}).content.decode()
    assert part.lstrip().startswith('<div id="made"')
    assert "500 of 1,500 comparisons" in part
    assert "5 a second, 3 min 2" in part
    assert dora.post(at("snapshot_export_cancel", export.pk)).url == export.get_absolute_url()
    assert SnapshotExport.objects.get().cancel_requested_at is not None


def test_a_failed_export_says_why_and_is_retried(dora, snapshot):
    export = actions.request_export(snapshot=snapshot, rows="judgment", enqueue=False)
    export.take()
    export.end(TaskState.FAILED, failure="The disk is <full>.")
    page = dora.get(export.get_absolute_url()).content.decode()
    assert "The disk is &lt;full&gt;." in page
    dora.post(at("snapshot_export_retry", export.pk))
    assert SnapshotExport.objects.get().state == TaskState.QUEUED


def test_files_download_whole_and_in_parts_with_their_hash(dora, export):
    whole = dora.get(at("snapshot_export_file", export.pk, "train.jsonl"))
    content = whole.getvalue()
    assert whole["ETag"] == f'"{export.files[0]["sha256"]}"'
    assert whole["Content-Disposition"] == 'attachment; filename="june-trl_preference-judgment-train.jsonl"'
    part = dora.get(at("snapshot_export_file", export.pk, "train.jsonl"), headers={"Range": "bytes=10-"})
    assert (part.status_code, part.getvalue()) == (206, content[10:])
    assert dora.head(at("snapshot_export_file", export.pk, "train.jsonl"))["Content-Length"] == str(len(content))
    archive = zipfile.ZipFile(io.BytesIO(dora.get(at("snapshot_export_file", export.pk, "june.zip")).getvalue()))
    assert archive.read("june/train.jsonl") == content


def test_withdrawn_work_is_said_beside_the_files_on_both_pages(dora, snapshot, export):
    mark = at("snapshot_export_file", export.pk, "WITHDRAWN.md")
    assert dora.get(mark).status_code == 404
    assert mark not in dora.get(export.get_absolute_url()).content.decode()
    card = dora.get(at("snapshot_export_file", export.pk, "README.md")).getvalue()
    withdraw_work(annotator=make_user("bob"), reason="Asked for.")
    for page in (export.get_absolute_url(), snapshot.get_absolute_url()):
        assert mark in dora.get(page).content.decode()
    response = dora.get(mark)
    assert b"1 of its judgments, by 1 annotator." in response.content
    assert "june-trl_preference-judgment-WITHDRAWN.md" in response["Content-Disposition"]
    assert dora.get(at("snapshot_export_file", export.pk, "README.md")).getvalue() == card
    (actions.folder(export) / "README.md").unlink()
    again = actions.execute_export(export=actions.request_export(snapshot=snapshot, rows="judgment", enqueue=False))
    assert again.files == export.files  # the card too


def test_the_snapshots_page_says_how_much_its_exports_take(dora, snapshot, export):
    from django.template.defaultfilters import filesizeformat

    kept = filesizeformat(sum(file["bytes"] for file in export.files))
    assert f"These files take {kept} here" in dora.get(snapshot.get_absolute_url()).content.decode()


def test_no_other_file_can_be_named_and_none_that_is_gone(dora, export):
    assert dora.get(at("snapshot_export_file", export.pk, "secret_key")).status_code == 404
    assert dora.get(at("snapshot_export_file", export.pk, "..")).status_code == 404
    (actions.folder(export) / "train.jsonl").unlink()
    assert dora.get(at("snapshot_export_file", export.pk, "train.jsonl")).status_code == 404


def test_a_push_is_an_export_of_its_own(dora, export):
    refused = dora.post(at("snapshot_export_push", export.pk), {"hub_id": "june", "request_key": uuid.uuid4()})
    assert refused.status_code == 422
    assert "Write owner/name" in refused.content.decode().replace("&quot;", '"')
    data = {"hub_id": "acme/june", "is_private": "on", "request_key": uuid.uuid4()}
    pushed = dora.post(at("snapshot_export_push", export.pk), data)
    push = SnapshotExport.objects.get(hub_id="acme/june")
    assert (pushed.url, push.is_private, push.layout) == (push.get_absolute_url(), True, "trl_preference")
    assert "acme/june" in dora.get(export.get_absolute_url()).content.decode()


def test_the_old_address_serves_what_is_made_and_else_leads_to_where_it_is(dora, snapshot, export):
    old = at("snapshot_download", snapshot.pk)
    assert dora.get(f"{old}?rows=judgment&file=train").url == at("snapshot_export_file", export.pk, "train.jsonl")
    assert dora.get(f"{old}?file=zip").url == at("snapshot_export_file", export.pk, "june.zip")
    assert dora.get(f"{old}?rows=majority").url.endswith("?rows=majority#export")
    assert dora.get(f"{old}?file=eval").status_code == 404  # no eval pair
    assert dora.get(f"{old}?file=card").status_code == 404


def test_others_see_nothing_of_it(client, snapshot, export):
    pages = [
        at("snapshot_exports", snapshot.pk), at("snapshot_export", export.pk), at("snapshot_download", snapshot.pk),
        at("snapshot_export_file", export.pk, "train.jsonl"),
    ]  # fmt: skip
    posts = [at(f"snapshot_export_{what}", export.pk) for what in ("cancel", "retry", "push")]
    assert {client.get(page).url.split("?")[0] for page in pages} == {reverse("login")}
    client.force_login(make_user("bob"))
    assert {client.get(page).status_code for page in pages} == {403}
    assert {client.post(post).status_code for post in posts} == {403}
    assert {client.get(post).status_code for post in posts} == {405}
