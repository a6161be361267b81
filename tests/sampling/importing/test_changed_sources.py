"""What is brought in is what was looked through, and one source from its first row to its last."""

import os

import huggingface_hub
import pytest

from sampling.importing import actions, preparing, reading
from sampling.importing.actions import ImportFailed
from sampling.importing.watching import Watch
from sampling.models import DataImport, Doing, Prompt, SourceKind

pytestmark = pytest.mark.django_db
ROWS = [{"prompt": f"old {number}"} for number in range(9)]


def brought(mine: DataImport) -> DataImport:
    actions.start(data_import=mine, enqueue=False)
    return actions.go_on_now(data_import=mine)


def test_a_file_that_changed_since_the_look_is_not_brought_in_until_it_is_looked_at_again(jsonl, looked_at):
    mine = looked_at(jsonl({"prompt": "old"}))
    jsonl({"prompt": "new"})
    with pytest.raises(ImportFailed, match="has changed since it was looked through"):
        brought(mine)
    assert not Prompt.objects.exists()

    again = actions.change_options(data_import=mine, options=actions.Options(), enqueue=False)
    actions.execute(data_import=again)
    brought(again)
    assert Prompt.objects.get().messages[0]["content"] == "new"


@pytest.mark.parametrize("is_looked_at", [True, False], ids=["looked at", "from the shell"])
def test_nor_is_one_that_changed_after_it_was_undone(jsonl, looked_at, brought_in, is_looked_at):
    path = jsonl({"prompt": "old"})
    mine = brought(looked_at(path)) if is_looked_at else brought_in(path)
    actions.undo(data_import=mine, enqueue=False)
    actions.go_on_now(data_import=mine)
    jsonl({"prompt": "new"})
    with pytest.raises(ImportFailed, match="has changed since"):
        brought(mine)


def test_from_the_shell_a_file_that_could_not_be_read_may_be_mended(jsonl):
    path = jsonl({"sunshine": 1})
    mine = actions.create_import(
        what="prompts", prompt_set_name="x", location=str(path), doing=Doing.IMPORT, enqueue=False
    )
    with pytest.raises(ImportFailed):
        actions.go_on_now(data_import=mine)
    jsonl({"prompt": "mended"})
    assert actions.go_on_now(data_import=mine).prompts_added == 1


def a_folder(tmp_path, rows):
    folder = tmp_path / "folder"
    folder.mkdir(exist_ok=True)
    lines = "\n".join(f'{{"prompt": "{row["prompt"]}"}}' for row in rows)
    (folder / "a.jsonl").write_text(lines)
    return folder


def test_a_folder_that_changes_midway_is_not_gone_on_with(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "BATCH_ROWS", 3)
    folder = a_folder(tmp_path, ROWS)
    mine = actions.create_import(
        what="prompts", prompt_set_name="x", source_kind=SourceKind.DIRECTORY, location=str(folder),
        doing=Doing.IMPORT, enqueue=False,
    )  # fmt: skip

    def stop(progress):
        if progress.rows == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        actions.execute(data_import=mine, on_progress=stop)
    assert Prompt.objects.count() == 3
    before = (folder / "a.jsonl").stat()
    a_folder(tmp_path, [{"prompt": row["prompt"].replace("old", "new")} for row in ROWS])
    os.utime(folder / "a.jsonl", ns=(before.st_atime_ns, before.st_mtime_ns))  # as long, and as old
    with pytest.raises(ImportFailed, match="changed since this import began, so it cannot go on after row 3"):
        actions.go_on_now(data_import=mine)
    a_folder(tmp_path, ROWS)
    assert actions.go_on_now(data_import=mine).prompts_added == 9


def test_a_hubs_dataset_is_gone_on_with_at_the_revision_that_it_began_with(monkeypatch):
    class Told:
        sha = "a" * 40

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", lambda self, dataset_id, *, timeout: Told)
    mine = DataImport(
        source_kind=SourceKind.HUB, location="org/name", doing=Doing.IMPORT, next_row=5, source_hash="a" * 40
    )
    watch = Watch(mine, on_progress=lambda progress: None)
    assert preparing.check_unchanged(mine, watch) == "a" * 40
    Told.sha = "b" * 40
    with pytest.raises(preparing.CannotImport, match="changed since this import began"):
        preparing.check_unchanged(mine, watch)
