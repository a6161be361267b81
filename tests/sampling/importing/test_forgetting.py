"""What is kept of imports for some days goes then, and nothing else does."""

import io
import os
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from sampling.importing import actions, forgetting
from sampling.importing.actions import ImportFailed
from sampling.models import DataImport, Doing, Prompt, PromptSet
from sampling.tasks import forget_old, run_curation

pytestmark = pytest.mark.django_db
LINES = b'{"prompt": "one"}\n'


def uploaded(**more) -> DataImport:
    mine = actions.create_import(
        what="prompts", prompt_set_name="june", upload=io.BytesIO(LINES), enqueue=False, **more
    )
    return actions.execute(data_import=mine)


def aged(mine: DataImport, *, days: float, column: str = "finished_at") -> None:
    DataImport.objects.filter(pk=mine.pk).update(**{column: timezone.now() - timedelta(days=days)})


@pytest.mark.parametrize(("days", "is_kept"), [(29, True), (31, False)])
def test_an_uploaded_file_goes_thirty_days_after_its_imports_end(days, is_kept):
    mine = uploaded(doing=Doing.IMPORT)
    aged(mine, days=days)
    forget_old()
    assert mine.folder.exists() == is_kept
    assert Prompt.objects.count() == 1
    if not is_kept:
        actions.undo(data_import=mine, enqueue=False)
        actions.go_on_now(data_import=mine)
        actions.start(data_import=mine, enqueue=False)
        with pytest.raises(ImportFailed, match=r"no longer kept\. Upload it again"):
            actions.go_on_now(data_import=mine)


def test_that_of_an_undone_one_goes_after_a_day(django_capture_on_commit_callbacks):
    mine = uploaded(doing=Doing.IMPORT)
    actions.undo(data_import=mine, enqueue=False)
    actions.go_on_now(data_import=mine)
    forget_old()
    assert mine.folder.exists()
    aged(mine, days=1.1, column="undone_at")
    forget_old()
    assert not mine.folder.exists()


def test_the_file_of_one_that_is_worked_on_stays():
    mine = uploaded(doing=Doing.IMPORT)
    aged(mine, days=40)
    DataImport.objects.update(state="running")
    forget_old()
    assert mine.folder.exists()


def test_what_never_arrived_goes_after_a_day_and_folders_of_others_stay(var_dir):
    folder = var_dir / "imports"
    old, new, others = folder / "arriving-1", folder / "arriving-2", folder / "77-0123abcd"
    for path in (old, new, others):
        path.mkdir(parents=True)
    os.utime(old, (0, 0))
    forget_old()
    assert [path.exists() for path in (old, new, others)] == [False, True, True]


def test_a_look_that_nothing_came_of_goes_with_the_set_that_it_made(django_capture_on_commit_callbacks):
    mine = uploaded()
    forget_old()
    assert PromptSet.objects.count() == 1
    aged(mine, days=31)
    with django_capture_on_commit_callbacks(execute=True):
        forget_old()
    assert not DataImport.objects.exists()
    assert not PromptSet.objects.exists()
    assert not mine.folder.exists()


@pytest.mark.parametrize("use", ["older", "prompts", "another import"])
def test_a_set_that_somebody_else_made_or_uses_stays(use, jsonl, looked_at):
    if use == "older":
        PromptSet.objects.create(name="june")
        PromptSet.objects.update(created_at=timezone.now() - timedelta(days=50))
    mine = uploaded()
    if use == "prompts":
        Prompt.objects.create(prompt_set=mine.prompt_set, messages=[], content_hash="1")
    if use == "another import":
        looked_at(jsonl({"prompt": "one"}), into="june")
    assert forgetting.forget(mine.pk)
    assert PromptSet.objects.filter(name="june").exists()


def test_an_import_that_brought_something_is_not_forgotten():
    mine = uploaded(doing=Doing.IMPORT)
    assert not forgetting.forget(mine.pk)
    assert DataImport.objects.exists()


def test_a_source_that_cannot_be_read_leaves_nothing_of_a_command(jsonl, django_capture_on_commit_callbacks):
    path = jsonl({"sunshine": 1})
    with pytest.raises(CommandError, match="Nothing of it was brought in") as refused:
        call_command("import_prompts", str(path), set="new")
    assert "--resume" not in str(refused.value)
    assert not DataImport.objects.exists()
    assert not PromptSet.objects.exists()


def test_a_task_for_a_curation_that_is_gone_does_nothing():
    run_curation(12345)
