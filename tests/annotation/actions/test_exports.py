"""Exports as long tasks: asked for once, made once, pushed as often as one likes."""

import os
import uuid

import pytest
from django.utils import timezone

from annotation import tasks
from annotation.actions import exports as actions
from annotation.actions.withdrawals import withdraw_work
from annotation.datasets import hub
from annotation.datasets.export_cache import FORMAT, LEFT_AFTER, path_of
from annotation.datasets.exports import ExportRefused
from annotation.datasets.snapshots import freeze_snapshot
from annotation.models import JudgeKind, SnapshotExport
from sampling.lifecycle import StaleState
from sampling.long_tasks import LOST_AFTER, TaskState
from sampling.models import Completion
from sampling.program_runs import worker_stopping
from tests.annotation.judged import judge, make_comparison, make_project, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def exports_in_a_folder_of_their_own(settings, tmp_path):
    settings.VAR_DIR = tmp_path / "var"


@pytest.fixture
def snapshot():
    project = make_project()
    judge(make_comparison(project, ["Yes.", "No."]), "alice", [[0], [1]], rationale="Al says so.")
    judge(make_comparison(project, ["Yes.", "No."], split="eval"), "alice", [[0], [1]])
    return freeze_snapshot(project=project, name="june", kinds=[JudgeKind.PERSON])


def asked(snapshot, **more):
    return actions.request_export(snapshot=snapshot, **{"rows": "judgment", "enqueue": False} | more)


def made(snapshot, **more):
    return actions.execute_export(export=asked(snapshot, **more))


def test_an_export_is_made_with_a_line_for_each_file_and_a_zip(snapshot):
    export = made(snapshot, layout="trl_unpaired", file_type="parquet")
    assert (export.state, export.failure, export.done) == (TaskState.FINISHED, "", 2)
    assert [(file["name"], file["rows"]) for file in export.files] == [
        ("train.parquet", 2), ("eval.parquet", 2), ("README.md", None), ("june.zip", None),
    ]  # fmt: skip
    folder = actions.folder(export)
    for file in export.files[:-1]:
        assert (folder / file["name"]).stat().st_size == file["bytes"]
    assert actions.is_ready(export)


def test_the_same_view_is_one_export_and_another_view_another(snapshot):
    export = made(snapshot)
    assert asked(snapshot).pk == export.pk
    assert asked(snapshot).state == TaskState.FINISHED
    others = [{"rows": "majority"}, {"layout": "sft"}, {"file_type": "parquet"}, {"has_rationales": True}]
    assert len({export.pk, *(asked(snapshot, **more).pk for more in others)}) == 5


def test_rationales_are_in_the_files_only_where_somebody_asked(snapshot):
    with_them, without = made(snapshot, has_rationales=True), made(snapshot)
    assert b"Al says so." in (actions.folder(with_them) / "train.jsonl").read_bytes()
    assert b"Al says so." not in (actions.folder(without) / "train.jsonl").read_bytes()
    assert "It is exported as it was written" not in (actions.folder(without) / "README.md").read_text()


def test_what_is_gone_from_the_disk_is_made_again_to_the_same_bytes(snapshot):
    export = made(snapshot)
    before = export.files
    (actions.folder(export) / "README.md").unlink()
    assert not actions.is_ready(export)
    again = asked(snapshot)
    assert (again.pk, again.state) == (export.pk, TaskState.QUEUED)
    again = actions.execute_export(export=again)
    assert (again.state, again.files) == (TaskState.FINISHED, before)


def test_a_repeated_click_queues_nothing_twice(snapshot):
    key = uuid.uuid4()
    export = asked(snapshot, request_key=key)
    actions.cancel_export(export=export)
    assert asked(snapshot, request_key=key).state == TaskState.CANCELLED
    assert asked(snapshot, request_key=uuid.uuid4()).state == TaskState.QUEUED
    assert SnapshotExport.objects.count() == 1


def test_a_view_that_cannot_be_is_refused(snapshot):
    for more, words in [
        ({"layout": "csv"}, 'no layout "csv"'), ({"rows": "votes"}, 'no rows "votes"'),
        ({"file_type": "xml"}, 'no file type "xml"'),
        ({"layout": "arena", "has_rationales": True}, "has no place for rationales"),
    ]:  # fmt: skip
        with pytest.raises(ExportRefused, match=words):
            asked(snapshot, **more)
    with pytest.raises(hub.PushRefused, match="Write owner/name"):
        asked(snapshot, hub_id="../../etc")


def test_what_was_changed_by_hand_fails_with_the_reason_and_can_be_retried(snapshot):
    export = asked(snapshot)
    Completion.objects.update(text="Edited by hand")
    export = actions.execute_export(export=export)
    assert export.state == TaskState.FAILED
    assert "was changed in the database by hand" in export.failure
    assert not actions.folder(export).exists()
    Completion.objects.filter(index=0).update(text="Yes.")
    Completion.objects.filter(index=1).update(text="No.")
    export = actions.execute_export(export=actions.retry_export(export=export, enqueue=False))
    assert export.state == TaskState.FINISHED
    with pytest.raises(StaleState):
        actions.retry_export(export=export, enqueue=False)


def test_a_cancelled_export_leaves_nothing_and_a_stopping_worker_hands_it_back(snapshot, monkeypatch):
    monkeypatch.setattr(actions._Progress, "one_more", actions._Progress._beat)  # at each comparison
    export = asked(snapshot)
    export.take()
    SnapshotExport.objects.filter(pk=export.pk).update(state=TaskState.QUEUED)

    def cancel(done):
        export.request_cancel()

    export = actions.execute_export(export=SnapshotExport.objects.get(pk=export.pk), on_progress=cancel)
    assert export.state == TaskState.CANCELLED
    assert not actions.folder(export).exists()
    export = actions.retry_export(export=export, enqueue=False)
    try:
        export = actions.execute_export(export=export, on_progress=lambda done: worker_stopping.set())
    finally:
        worker_stopping.clear()
    assert (export.state, export.attempt) == (TaskState.QUEUED, 0)


class Api:
    """What `huggingface_hub.HfApi` is told; its calls are those of the installed release (see the last test)."""

    calls: list

    def create_repo(self, repo_id, *, repo_type, private, exist_ok):
        self.calls.append(("create_repo", repo_id, repo_type, private, exist_ok))

    def upload_file(self, *, path_or_fileobj, path_in_repo, repo_id, repo_type):
        self.calls.append(("upload_file", repo_id, repo_type, path_in_repo))

    def upload_folder(self, *, repo_id, repo_type, folder_path, commit_message, allow_patterns, delete_patterns):
        self.calls.append(("upload_folder", repo_id, repo_type, folder_path, allow_patterns))
        return "https://hub.example/commit/1"


@pytest.fixture
def api(monkeypatch):
    huggingface_hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setenv("HF_TOKEN", "hf_test")
    monkeypatch.setattr(Api, "calls", [], raising=False)
    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    return Api


def test_a_push_makes_a_private_dataset_and_uploads_the_files(snapshot, api):
    export = made(snapshot, hub_id="acme/june")
    assert (export.state, export.failure) == (TaskState.FINISHED, "")
    assert api.calls == [
        ("create_repo", "acme/june", "dataset", True, True),
        (
            "upload_folder",
            "acme/june",
            "dataset",
            str(actions.folder(export)),
            ["train.jsonl", "eval.jsonl", "README.md"],
        ),
    ]
    assert sorted(path.name for path in actions.folder(export).iterdir()) == ["README.md", "eval.jsonl", "train.jsonl"]
    assert asked(snapshot, hub_id="acme/june").state == TaskState.QUEUED  # pushed again when asked for again


def test_a_push_takes_the_files_that_are_here_and_leaves_them_whole(snapshot, api, monkeypatch):
    """Pushed with a token and without one: what could be downloaded before can be downloaded after."""
    export = made(snapshot)
    written = [path_of(actions.folder(export), file["name"]).stat().st_mtime_ns for file in export.files]
    assert made(snapshot, hub_id="acme/june").state == TaskState.FINISHED
    monkeypatch.delenv("HF_TOKEN")
    assert made(snapshot, hub_id="acme/july").state == TaskState.FAILED
    export.refresh_from_db()
    assert actions.is_ready(export)
    now = [path_of(actions.folder(export), file["name"]).stat().st_mtime_ns for file in export.files]
    assert now == written


def test_a_push_carries_what_was_withdrawn_since(snapshot, api):
    withdraw_work(annotator=make_user("alice"), reason="Asked for.")
    made(snapshot, hub_id="acme/june")
    assert api.calls[1] == ("upload_file", "acme/june", "dataset", "WITHDRAWN.md")


@pytest.mark.parametrize("name", ["june.zip", "train.jsonl", "README.md"])
def test_a_lost_or_shortened_file_is_made_again_when_asked_for(snapshot, name):
    export = made(snapshot)
    before, path = export.files, path_of(actions.folder(export), name)
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    assert not actions.is_ready(export)
    export = actions.execute_export(export=actions.retry_export(export=export, enqueue=False))
    assert (export.state, export.files) == (TaskState.FINISHED, before)
    path.unlink()
    export = actions.execute_export(export=asked(snapshot))
    assert (export.state, path.read_bytes()) == (TaskState.FINISHED, content)


def test_rows_that_would_be_other_bytes_than_recorded_are_refused_with_the_remedy(snapshot):
    export = made(snapshot)
    files = [file | {"sha256": "0" * 64} if file["name"] == "eval.jsonl" else file for file in export.files]
    SnapshotExport.objects.filter(pk=export.pk).update(files=files)
    (actions.folder(export) / "README.md").unlink()
    again = actions.execute_export(export=asked(snapshot))
    assert again.state == TaskState.FAILED
    assert "eval.jsonl is not what it was" in again.failure
    assert "freeze a new snapshot" in again.failure
    assert again.files == files
    assert not (actions.folder(export) / "README.md").exists()  # nothing was replaced
    older = [{name: value for name, value in file.items() if name != "format"} for file in files]
    SnapshotExport.objects.filter(pk=export.pk).update(files=older)  # of another format: other bytes are meant
    assert actions.execute_export(export=asked(snapshot)).state == TaskState.FINISHED


def test_parquet_that_another_release_wrote_says_what_it_was(snapshot):
    export = made(snapshot, file_type="parquet")
    files = [file | {"sha256": "0" * 64} if file["name"] == "eval.parquet" else file for file in export.files]
    SnapshotExport.objects.filter(pk=export.pk).update(files=files)
    (actions.folder(export) / "README.md").unlink()
    again = actions.execute_export(export=asked(snapshot, file_type="parquet"))
    assert again.state == TaskState.FINISHED
    assert [file.get("was") for file in again.files] == [None, "0" * 64, None, None]


def test_what_no_export_is_read_from_goes_once_it_is_old(snapshot, settings):
    export, gone = made(snapshot), made(snapshot, rows="majority")
    kept, deleted = actions.folder(export), actions.folder(gone).parent
    root = settings.VAR_DIR / "exports"
    of_older_format = root / kept.parents[1].name.replace(f"-v{FORMAT}", f"-v{FORMAT - 1}")
    of_no_snapshot = root / f"{10**9}-{'0' * 16}-v{FORMAT}"
    not_ours, staged, inside = root / "notes", kept.parent / ".june-export-7-abcdefgh", kept / ".june-abcdefgh"
    for path in (of_older_format, of_no_snapshot, not_ours, staged, inside):
        path.mkdir()
    gone.delete()
    assert tasks.forget_old() == 0  # somebody may be at work in them
    long_ago = timezone.now().timestamp() - LEFT_AFTER - 60
    for path in [*root.rglob("*"), root]:
        os.utime(path, (long_ago, long_ago))
    assert tasks.forget_old() == 5
    assert [path.exists() for path in (of_older_format, of_no_snapshot, deleted, staged, inside)] == [False] * 5
    assert not_ours.is_dir()
    assert actions.is_ready(export)


def test_without_a_token_or_a_network_a_push_says_what_to_do(snapshot, api, monkeypatch):
    def unreachable(self, *args, **kwargs):
        raise ConnectionError("Name or service not known")

    monkeypatch.setattr(Api, "create_repo", unreachable)
    assert "cannot be reached: Name or service not known." in made(snapshot, hub_id="acme/june").failure
    monkeypatch.delenv("HF_TOKEN")
    export = made(snapshot, hub_id="acme/july")
    assert (export.state, "Make a token" in export.failure) == (TaskState.FAILED, True)
    monkeypatch.setenv("HF_TOKEN", "hf_test")


def test_the_fake_hub_takes_what_the_real_one_takes():
    import inspect

    real = pytest.importorskip("huggingface_hub").HfApi
    for name in ("create_repo", "upload_file", "upload_folder"):
        there = inspect.signature(getattr(real, name)).parameters
        assert set(inspect.signature(getattr(Api, name)).parameters) <= set(there)


def test_the_task_makes_it_and_the_reaper_queues_what_lost_its_worker(snapshot, monkeypatch):
    announced = []
    monkeypatch.setattr(tasks.run_export, "delay", announced.append)
    export = asked(snapshot)
    assert tasks.run_export(export.pk) == TaskState.FINISHED
    assert tasks.run_export(export.pk) == TaskState.FINISHED  # a message that comes twice
    assert tasks.run_export(10**9) == "gone"
    lost = asked(snapshot, rows="majority")
    lost.take()
    SnapshotExport.objects.filter(pk=lost.pk).update(heartbeat_at=timezone.now() - 2 * LOST_AFTER)
    tasks.reap()
    lost.refresh_from_db()
    assert (lost.state, announced) == (TaskState.QUEUED, [lost.pk])
