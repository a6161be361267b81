"""What may be asked of an import, when, and that asking twice is asking once."""

import hashlib
import io
import uuid

import pytest
from django.core.exceptions import ValidationError

from sampling.importing import actions
from sampling.importing.options import Options
from sampling.lifecycle import StaleState
from sampling.models import DataImport, Doing, Prompt, PromptSet
from sampling.tasks import reap, run_import

pytestmark = pytest.mark.django_db
LINES = b'{"prompt": "one"}\n{"prompt": "two"}\n'


def created(**changes) -> DataImport:
    asked = {"what": "prompts", "prompt_set_name": "everyday", "upload": io.BytesIO(LINES), "enqueue": False}
    return actions.create_import(**asked | changes)


def looked() -> DataImport:
    return actions.execute(data_import=created())


@pytest.fixture
def announced(monkeypatch, django_capture_on_commit_callbacks):
    """The ids that workers were told, with what follows the end of a transaction done at once."""
    ids: list[int] = []
    monkeypatch.setattr("sampling.tasks.run_import.delay", ids.append)
    return ids


def test_an_upload_is_kept_in_a_folder_of_its_own_with_its_hash(var_dir, alice):
    mine = created(name="../up.jsonl", created_by=alice)

    assert (mine.is_uploaded, mine.name, mine.prompt_set.created_by) == (True, "../up.jsonl", alice)
    assert mine.source_hash == hashlib.sha256(LINES).hexdigest()
    assert mine.location == str(mine.folder / "source")
    assert (mine.folder / "source").read_bytes() == LINES
    assert [path.name for path in (var_dir / "imports").iterdir()] == [mine.folder_name]


def test_nothing_is_left_of_an_upload_that_breaks_off(var_dir):
    class Broken(io.BytesIO):
        def read(self, size=-1):
            raise OSError("the line was cut")

    with pytest.raises(OSError, match="cut"):
        created(upload=Broken())
    assert not list((var_dir / "imports").iterdir())
    assert not DataImport.objects.exists()


def test_one_request_is_one_import():
    key = uuid.uuid4()
    assert created(request_key=key) == created(request_key=key)
    assert DataImport.objects.count() == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"what": "recipes"}, 'recipes" cannot be imported. There are: prompts'),
        ({"upload": None}, "Say what is to be imported"),
        ({"options": Options(eval_percent=101)}, "between 0 and 100"),
        ({"options": Options(steps=[{"filter": "magic"}])}, '"magic", is unknown'),
        ({"prompt_set_name": ""}, "blank"),
        ({"prompt_set_name": "x" * 121}, "120"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_nothing(change, words):
    with pytest.raises(ValidationError, match=words):
        created(**change)
    assert not DataImport.objects.exists()
    assert not PromptSet.objects.exists()


def test_making_one_tells_the_workers(announced, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        mine = created(enqueue=True)
    assert announced == [mine.pk]


def test_a_look_writes_nothing_but_what_it_saw():
    mine = looked()
    assert (mine.state, mine.doing, mine.seen["rows"]) == ("finished", "look", 2)
    assert not Prompt.objects.exists()


def test_start_brings_it_in_and_a_second_click_changes_nothing():
    mine = looked()
    started = actions.start(data_import=mine, enqueue=False)
    assert actions.start(data_import=mine, enqueue=False) == started
    run_import(mine.pk)
    mine.refresh_from_db()
    assert (mine.state, mine.doing, mine.prompts_added) == ("finished", "import", 2)

    assert actions.start(data_import=mine, enqueue=False).state == "finished"
    run_import(mine.pk)  # a message that comes twice
    assert Prompt.objects.count() == 2


def test_start_waits_for_the_look():
    with pytest.raises(ValidationError, match="being worked on"):
        actions.start(data_import=created(), enqueue=False)


def test_without_a_format_nothing_starts():
    mine = created(upload=io.BytesIO(b'{"sunshine": 3}\n'))
    actions.execute(data_import=mine)
    assert (mine.state, mine.seen["format"], mine.seen["columns"]) == ("finished", "", ["sunshine"])
    assert "no format that is known" in mine.seen["problems"][0]
    with pytest.raises(ValidationError, match="Choose one"):
        actions.start(data_import=mine, enqueue=False)


def test_other_options_are_looked_at_again():
    mine = looked()
    options = Options(format=mine.options["format"], eval_percent=100.0)
    changed = actions.change_options(data_import=mine, options=options, enqueue=False)
    assert (changed.state, changed.doing, changed.seen) == ("queued", "look", {})
    assert actions.change_options(data_import=mine, options=options, enqueue=False).state == "queued"
    actions.execute(data_import=changed)
    assert changed.seen["by_split"] == {"train": 0, "eval": 2}


def test_options_do_not_change_once_it_is_brought_in():
    mine = looked()
    actions.start(data_import=mine, enqueue=False)
    with pytest.raises(ValidationError, match="being worked on"):
        actions.change_options(data_import=mine, options=Options(), enqueue=False)
    run_import(mine.pk)
    with pytest.raises(ValidationError, match="Undo it first"):
        actions.change_options(data_import=mine, options=Options(), enqueue=False)


def test_one_that_brought_nothing_can_be_read_in_another_way():
    created(doing=Doing.IMPORT)
    mine = actions.go_on_now(data_import=DataImport.objects.get())
    again = actions.go_on_now(data_import=created(doing=Doing.IMPORT))
    assert (again.known_count, again.prompts_added) == (2, 0)
    options = Options(format=mine.options["format"], eval_percent=50.0)
    assert actions.change_options(data_import=again, options=options, enqueue=False).doing == "look"


def test_a_look_that_found_nothing_of_its_kind_is_not_brought_in():
    mine = actions.execute(data_import=created(what="completions"))
    assert mine.seen["records"]["completions"] == 0
    with pytest.raises(ValidationError, match="found no completions"):
        actions.start(data_import=mine, enqueue=False)


@pytest.mark.parametrize("state", ["cancelled", "failed"])
def test_options_that_were_not_looked_through_are_not_brought_in(state):
    mine = looked()
    changed = Options(format=mine.options["format"], eval_percent=100.0)
    actions.change_options(data_import=mine, options=changed, enqueue=False)
    DataImport.objects.update(state=state)
    with pytest.raises(ValidationError, match="not looked through to the end"):
        actions.start(data_import=mine, enqueue=False)


OTHERS = [{"upload": io.BytesIO(b"{}")}, {"prompt_set_name": "another"}, {"what": "completions"}]


@pytest.mark.parametrize("other", OTHERS, ids=["file", "prompt set", "kind"])
def test_the_key_of_an_earlier_request_does_not_stand_for_another_one(other):
    key = uuid.uuid4()
    created(request_key=key, name="june.jsonl")
    with pytest.raises(ValidationError, match=r"made the import \"june\.jsonl\""):
        created(request_key=key, **other)


def test_the_key_of_somebody_elses_request_is_refused(alice):
    key = uuid.uuid4()
    created(request_key=key)
    with pytest.raises(ValidationError, match="sent before"):
        created(request_key=key, created_by=alice)


def test_a_finished_task_is_nothing_to_retry_or_reclaim():
    mine = looked()
    for again in (mine.retry, mine.reclaim):
        with pytest.raises(StaleState):
            again()
    assert DataImport.objects.get().state == "finished"


def test_only_what_failed_or_was_cancelled_is_tried_again():
    mine = created()
    actions.cancel(data_import=mine)
    assert actions.retry(data_import=mine, enqueue=False).state == "queued"
    done = looked()
    with pytest.raises(StaleState):
        actions.retry(data_import=done, enqueue=False)


def test_undone_it_can_be_brought_in_again_another_way():
    mine = looked()
    actions.start(data_import=mine, enqueue=False)
    run_import(mine.pk)
    actions.undo(data_import=mine, enqueue=False)
    run_import(mine.pk)
    mine.refresh_from_db()
    assert (mine.state, mine.prompts_added, Prompt.objects.count()) == ("finished", 2, 0)

    options = Options(format=mine.options["format"], eval_percent=100.0)
    actions.change_options(data_import=mine, options=options, enqueue=False)
    run_import(mine.pk)
    actions.start(data_import=mine, enqueue=False)
    run_import(mine.pk)

    mine.refresh_from_db()
    assert (mine.prompts_added, mine.next_row, mine.undone_at) == (2, 2, None)
    assert {prompt.split for prompt in Prompt.objects.all()} == {"eval"}


def test_a_task_for_an_import_that_is_gone_does_nothing():
    run_import(12345)


def test_the_reaper_finds_imports_whose_worker_is_gone(announced, monkeypatch):
    mine = created(doing=Doing.IMPORT)
    mine.take()
    DataImport.objects.update(heartbeat_at=mine.heartbeat_at.replace(year=2020))
    reap()
    assert announced == [mine.pk]
    assert DataImport.objects.get().state == "queued"


def test_a_worker_that_ends_hands_the_import_back(worker_stopping, monkeypatch):
    mine = created(doing=Doing.IMPORT)
    actions.execute(data_import=mine, on_progress=lambda progress: worker_stopping.set())
    assert (mine.state, mine.attempt, Prompt.objects.count()) == ("queued", 0, 0)
