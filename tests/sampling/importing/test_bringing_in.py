"""What is brought in, what is left out and why, and that neither depends on how often the import was interrupted."""

import json

import pytest
from django.db import DataError

from sampling.importing import actions, bringing_in, reading, rejects
from sampling.importing.actions import ImportFailed
from sampling.importing.options import Options
from sampling.importing.prompts import PromptStore
from sampling.lifecycle import StaleState
from sampling.models import Completion, DataImport, Doing, LeftOutRow, Prompt

pytestmark = pytest.mark.django_db


def test_what_cannot_be_used_is_kept_with_line_reason_and_content(jsonl, brought_in):
    done = brought_in(jsonl({"prompt": "one"}, "{", {"prompt": "two"}, {"prompt": " "}))

    assert (done.prompts_added, done.rejected_count, done.next_row) == (2, 2, 4)
    first, second = done.left_out.all()
    assert (first.line, first.why, first.content) == (2, "rejected", "{")
    assert "JSON" in first.reason
    assert (second.line, second.content) == (4, '{"prompt": " "}')
    assert "empty" in second.reason


def test_the_same_file_twice_adds_nothing(jsonl, brought_in):
    path = jsonl({"prompt": "one"}, {"prompt": "two"})
    brought_in(path)
    again = brought_in(path)
    assert (again.prompts_added, again.known_count, again.rejected_count) == (0, 2, 0)
    assert Prompt.objects.count() == 2


def test_a_prompt_that_stands_twice_in_a_file_is_known_the_second_time(jsonl, brought_in):
    done = brought_in(jsonl({"prompt": "one"}, {"prompt": "one"}))
    assert (done.prompts_added, done.known_count) == (1, 1)


def test_the_format_is_written_down_before_the_first_row(jsonl, brought_in):
    done = brought_in(jsonl({"prompt": "one"}))
    assert DataImport.objects.get(pk=done.pk).options["format"] == done.options["format"] != ""


def test_a_row_that_the_database_refuses_is_rejected_alone(jsonl, brought_in, monkeypatch):
    kept = PromptStore.store

    def picky(self, batch):
        if any("five" in str(numbered.record.messages) for numbered in batch):
            raise DataError("it does not like fives")
        return kept(self, batch)

    monkeypatch.setattr(PromptStore, "store", picky)
    words = ("one", "two", "three", "four", "five", "six", "seven")

    done = brought_in(jsonl(*({"prompt": word} for word in words)))

    assert (done.prompts_added, done.rejected_count) == (6, 1)
    row = done.left_out.get()
    assert (row.line, row.content) == (5, '{"prompt": "five"}')
    assert "it does not like fives" in row.reason


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(reading, "BATCH_ROWS", 3)


STEPS = [{"filter": "duplicates"}]
DRAWN = [{"filter": "per_subset", "most": 4, "key": "subject"}, *STEPS]


def rows_with_repetitions() -> list[dict | str]:
    """20 rows: 8 different prompts of three subjects, each with more spaces at its repetitions, and two bad ones."""
    rows: list[dict | str] = [
        {"prompt": f"Question {number % 8}" + " " * (number // 8), "metadata": {"subject": number % 3}}
        for number in range(18)
    ]
    return [*rows[:7], "{", *rows[7:13], '{"prompt": 7}', *rows[13:]]


def outcome() -> tuple:
    """Everything that an import leaves behind, but for its numbers and times."""
    done = DataImport.objects.get()
    counts = (done.prompts_added, done.known_count, done.rejected_count, done.filtered_count, done.next_row)
    left_out = list(LeftOutRow.objects.values_list("line", "why", "reason"))
    return counts, left_out, list(Prompt.objects.values_list("content_hash", "split"))


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("steps", [[], STEPS, DRAWN], ids=["no filters", "duplicates", "drawn"])
def test_an_import_that_dies_after_any_batch_ends_as_if_it_had_not(jsonl, steps, monkeypatch, brought_in):
    path = jsonl(*rows_with_repetitions())
    brought_in(path, steps=steps, eval_percent=30.0)
    expected = outcome()
    batches = -(-20 // 3)

    for fatal in range(1, batches + 1):
        for model in (LeftOutRow, Prompt, DataImport):
            model.objects.all().delete()
        _dies_in_batch(fatal, path, steps, monkeypatch)
        goes_on = DataImport.objects.get()
        assert goes_on.next_row == 3 * (fatal - 1)
        goes_on.put_back()
        actions.go_on_now(data_import=goes_on)
        assert outcome() == expected


def _dies_in_batch(fatal: int, path, steps, monkeypatch) -> None:
    seen = []

    def dying(*args, **kwargs):
        seen.append(1)
        tally = stores(*args, **kwargs)
        if len(seen) == fatal:
            raise KeyboardInterrupt  # in the middle of the batch's transaction
        return tally

    stores = bringing_in.store_all
    options = Options(steps=steps, eval_percent=30.0)
    with monkeypatch.context() as patch:
        patch.setattr(bringing_in, "store_all", dying)
        patch.setattr("sampling.importing.carrying_out._end", lambda *args: None)  # as kill -9 leaves it
        with pytest.raises(KeyboardInterrupt):
            actions.import_now(what="prompts", prompt_set_name="everyday", location=str(path), options=options)


@pytest.mark.usefixtures("small_batches")
def test_a_worker_that_was_given_up_on_stores_nothing(jsonl, monkeypatch, db):
    path = jsonl(*({"prompt": str(number)} for number in range(10)))
    mine = actions.create_import(
        what="prompts", prompt_set_name="everyday", location=str(path), doing=Doing.IMPORT, enqueue=False
    )
    stores = bringing_in.store_all

    def slowly(store, batch):
        if DataImport.objects.get().next_row == 3:  # meanwhile the reaper has given the row to another worker
            DataImport.objects.update(claim=mine.request_key)
        return stores(store, batch)

    monkeypatch.setattr(bringing_in, "store_all", slowly)
    actions.execute(data_import=mine)

    # The update of the claim above is in the batch's own transaction here, so it goes back with it too.
    row = DataImport.objects.get()
    assert (row.next_row, row.prompts_added, Prompt.objects.count()) == (3, 3, 3)
    assert row.state == "running"


@pytest.mark.usefixtures("small_batches")
def test_a_cancelled_import_keeps_what_it_has_and_goes_on_from_there(jsonl, monkeypatch, db):
    path = jsonl(*({"prompt": str(number)} for number in range(10)))
    mine = actions.create_import(
        what="prompts", prompt_set_name="everyday", location=str(path), doing=Doing.IMPORT, enqueue=False
    )
    seen = []

    def cancel_at_six(progress):
        seen.append(progress)
        if progress.rows == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        actions.execute(data_import=mine, on_progress=cancel_at_six)
    mine.refresh_from_db()
    assert (mine.state, mine.next_row, Prompt.objects.count()) == ("cancelled", 3, 3)

    actions.retry(data_import=mine, enqueue=False)
    mine.refresh_from_db()
    actions.execute(data_import=mine)

    assert (mine.state, mine.prompts_added, Prompt.objects.count()) == ("finished", 10, 10)


def test_a_file_that_changed_is_not_gone_on_with(jsonl, db):
    path = jsonl({"prompt": "one"}, {"prompt": "two"})
    mine = actions.create_import(
        what="prompts", prompt_set_name="everyday", location=str(path), doing=Doing.IMPORT, enqueue=False
    )
    DataImport.objects.update(next_row=1, source_hash="0" * 64, options=mine.options | {"format": "prompts"})
    with pytest.raises(ImportFailed, match="has changed since this import began"):
        actions.go_on_now(data_import=mine)
    assert not Prompt.objects.exists()


def test_a_finished_import_is_not_done_again(jsonl, brought_in):
    done = brought_in(jsonl({"prompt": "one"}))
    with pytest.raises(StaleState):
        actions.go_on_now(data_import=done)


def test_a_source_that_is_not_there_fails_in_words(tmp_path, brought_in):
    with pytest.raises(ImportFailed, match=r"gone\.jsonl"):
        brought_in(tmp_path / "gone.jsonl")
    assert DataImport.objects.get().state == "failed"


def test_completions_come_once_each_with_their_writer(jsonl, brought_in):
    pair = {"prompt": "Hi", "chosen": "Hello!", "rejected": "What?"}
    done = brought_in(jsonl(pair, pair | {"rejected": "Go away."}), what="completions")

    assert (done.prompts_added, done.completions_added) == (1, 3)
    assert set(Completion.objects.values_list("text", flat=True)) == {"Hello!", "What?", "Go away."}
    assert {row.origin for row in Completion.objects.all()} == {"imported"}
    again = brought_in(jsonl(pair), what="completions")
    assert (again.completions_added, again.known_count) == (0, 1)


def test_two_writers_whose_names_differ_only_late_are_two(jsonl, brought_in):
    long = "org/" + "x" * 300
    row = {"prompt": "Hi", "completion": "Hello!"}
    done = brought_in(jsonl(*(row | {"model": long + end} for end in ("a", "b", "a"))), what="completions")
    assert (done.completions_added, done.known_count, done.rejected_count) == (2, 1, 0)
    assert set(Completion.objects.values_list("written_by_model", flat=True)) == {long[:200]}  # as it is shown


def test_neither_the_look_nor_what_is_left_out_names_who_judged(jsonl, looked_at):
    pair = {"prompt": "Hi", "chosen": "Hello!", "rejected": "What?", "annotator": "dora@example.org"}
    rows = [pair, pair | {"chosen": [7]}, pair | {"prompt": ""}]
    mine = looked_at(jsonl(*rows, "{ " + json.dumps(pair)), what="completions")
    assert "dora" not in str(mine.seen)
    assert mine.seen["first_records"][0]["judgments"][0]["annotator"] == "annotator 1"
    actions.start(data_import=mine, enqueue=False)
    done = actions.go_on_now(data_import=mine)
    assert done.rejected_count == 3
    assert "dora" not in str(list(done.left_out.values()))


def test_a_row_without_a_completion_is_no_row_of_completions(jsonl, brought_in):
    done = brought_in(jsonl({"prompt": "Hi"}), what="completions")
    assert done.rejected_count == 1
    assert "no completion" in done.left_out.get().reason


def test_a_split_by_group_keeps_each_group_together(jsonl, brought_in):
    rows = [{"prompt": f"Question {number}", "metadata": {"source": f"book {number % 20}"}} for number in range(200)]
    brought_in(jsonl(*rows), eval_percent=50.0, split_group="source")
    by_group: dict[str, set[str]] = {}
    for prompt in Prompt.objects.all():
        by_group.setdefault(prompt.metadata["source"], set()).add(prompt.split)
    assert len(by_group) == 20
    assert all(len(splits) == 1 for splits in by_group.values())
    assert {split for splits in by_group.values() for split in splits} == {"train", "eval"}


def test_the_rejects_can_be_read_again_as_json_lines(jsonl, brought_in):
    done = brought_in(jsonl({"prompt": "one"}, "{", {"prompt": "one"}), steps=STEPS)
    rows = [json.loads(line) for line in rejects.lines(done)]
    assert [(row["line"], row["why"], row["content"]) for row in rows] == [
        (2, "rejected", "{"),
        (3, "filtered", '{"prompt": "one"}'),
    ]
    assert [json.loads(line)["line"] for line in rejects.lines(done, why="filtered")] == [3]
