"""Several at once: two imports of one file, a cancel from another process, and a process that is killed."""

import os
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest
from django.db import connection

from sampling.importing import actions, carrying_out, reading, watching
from sampling.importing.options import Options
from sampling.models import Completion, DataImport, Doing, LeftOutRow, Prompt

pytestmark = pytest.mark.django_db(transaction=True)


def test_two_imports_of_one_file_at_the_same_time_bring_it_once(jsonl, monkeypatch):
    """In opposite orders, so that each would wait for rows of the other if they did not take turns."""
    monkeypatch.setattr(reading, "BATCH_ROWS", 7)
    rows = [{"prompt": f"Q {number}", "chosen": f"yes {number}", "rejected": "no"} for number in range(60)]
    paths = [jsonl(*rows, name="a.jsonl"), jsonl(*reversed(rows), name="b.jsonl")]
    both_there = threading.Barrier(2, timeout=30)
    done, errors = [], []

    def bring(path: Path) -> None:
        try:
            mine = actions.create_import(
                what="completions", prompt_set_name="both", location=str(path), doing=Doing.IMPORT, enqueue=False
            )
            both_there.wait()
            done.append(actions.go_on_now(data_import=mine))
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=bring, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not errors
    assert (Prompt.objects.count(), Completion.objects.count()) == (60, 120)
    # Each of the two says what it has added itself: together all, and nothing twice.
    assert sum(each.prompts_added for each in done) == 60
    assert sum(each.completions_added for each in done) == 120
    assert sum(each.known_count for each in done) == 60


def test_a_cancel_from_elsewhere_ends_it_between_two_batches(jsonl, monkeypatch):
    monkeypatch.setattr(reading, "BATCH_ROWS", 2)
    monkeypatch.setattr(watching, "kept_alive", partial(watching.kept_alive, every_seconds=0.01))
    heard = threading.Event()
    beat = DataImport.beat

    def beating(self, **progress):
        if not (is_wanted := beat(self, **progress)):
            heard.set()
        return is_wanted

    def cancel_at_ten(progress):
        if progress.rows == 10:
            actions.cancel(data_import=DataImport.objects.get())
            assert heard.wait(30)

    monkeypatch.setattr(DataImport, "beat", beating)
    mine = actions.create_import(
        what="prompts", prompt_set_name="x", doing=Doing.IMPORT, enqueue=False,
        location=str(jsonl(*({"prompt": str(number)} for number in range(200)))),
    )  # fmt: skip
    actions.execute(data_import=mine, on_progress=cancel_at_ten)

    mine.refresh_from_db()
    assert mine.state == "cancelled"
    assert 8 <= mine.next_row < 200  # 8 were in when it was told of; the beat's thread may take a moment more
    assert Prompt.objects.count() == mine.next_row
    actions.retry(data_import=mine, enqueue=False)
    assert actions.go_on_now(data_import=mine).prompts_added == 200


WORKER = """
import os, sys
import django
django.setup()
from django.conf import settings
from django.db import connection
connection.settings_dict["NAME"] = sys.argv[1]
from sampling.importing import actions, reading
from sampling.models import DataImport
reading.BATCH_ROWS = 50
mine = DataImport.objects.get(pk=int(sys.argv[2]))
def tell(progress):
    print(progress.rows, flush=True)
actions.execute(data_import=mine, on_progress=tell)
print("end", flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("steps", [[], [{"filter": "duplicates"}]], ids=["no filters", "duplicates"])
def test_a_process_that_is_killed_at_any_time_loses_nothing_and_brings_nothing_twice(jsonl, steps):
    rows = [{"prompt": f"Question {number % 1500}{' ' * (number // 1500)}"} for number in range(2000)]
    path = jsonl(*rows[:700], "{", *rows[700:])
    mine = actions.create_import(
        what="prompts", prompt_set_name="x", location=str(path), doing=Doing.IMPORT, enqueue=False,
        options=Options(steps=steps),
    )  # fmt: skip
    kills = 0
    while _killed_after(mine, rows=300 * (kills + 1)):
        kills += 1
        mine.refresh_from_db()
        assert mine.next_row == Prompt.objects.count() + LeftOutRow.objects.count() + mine.known_count
        mine.put_back()
    mine.refresh_from_db()

    assert kills >= 3
    assert (mine.state, mine.next_row, Prompt.objects.count()) == ("finished", 2001, mine.prompts_added)
    assert (mine.rejected_count, list(mine.left_out.filter(why="rejected").values_list("line", flat=True))) == (
        1,
        [701],
    )
    if steps:  # "Question 7" and "Question 7 " are one
        assert (mine.prompts_added, mine.filtered_count, mine.known_count) == (1500, 500, 0)
    else:
        assert (mine.prompts_added, mine.filtered_count, mine.known_count) == (2000, 0, 0)


def _killed_after(mine: DataImport, *, rows: int) -> bool:
    """Start a worker of its own, kill it once it tells of so many rows; False where it came to its end first."""
    argv = [sys.executable, "-c", WORKER, connection.settings_dict["NAME"], str(mine.pk)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=os.environ.copy()) as process:
        for line in process.stdout:
            if line.strip() == "end":
                return False
            if int(line) >= rows:
                os.kill(process.pid, signal.SIGKILL)
                return True
    raise AssertionError(f"The worker ended badly: {process.returncode}")


class Died(Exception):
    """Stands for the end of the process at this moment."""


def test_an_import_that_dies_at_any_statement_ends_as_if_it_had_not(jsonl, monkeypatch):
    monkeypatch.setattr(reading, "BATCH_ROWS", 7)
    rows = [{"prompt": f"Q {number % 8}", "chosen": f"yes {number}", "rejected": "no"} for number in range(11)]
    path = jsonl(*rows[:4], "{", *rows[4:], rows[0])

    statements = _dies_at(10_000, path)  # it does not come to that
    expected = _outcome()
    assert expected[0] == (8, 19, 1, 1, 13)  # 8 prompts; 11 "yes" and 8 "no"; the last row known; one no JSON; 13 rows

    for fatal in range(1, statements + 1):
        for model in (LeftOutRow, Completion, Prompt, DataImport):
            model.objects.all().delete()
        _dies_at(fatal, path)
        mine = DataImport.objects.get()
        mine.put_back()
        actions.execute(data_import=mine)
        assert _outcome() == expected


def _dies_at(fatal: int, path: Path) -> int:
    """Run an import, up to its ``fatal``-th statement; how many it has made."""
    count = 0

    def dying(execute, *args):
        nonlocal count
        count += 1
        if count == fatal:
            raise Died
        return execute(*args)

    mine = actions.create_import(
        what="completions", prompt_set_name="x", location=str(path), doing=Doing.IMPORT, enqueue=False
    )
    mine.take()
    with connection.execute_wrapper(dying):
        carrying_out._outcome(mine, lambda progress: None)
    return count


def _outcome() -> tuple:
    mine = DataImport.objects.get()
    counts = (mine.prompts_added, mine.completions_added, mine.known_count, mine.rejected_count, mine.next_row)
    completions = Completion.objects.order_by("pk").values_list("prompt__content_hash", "text", "index")
    return counts, list(completions), list(LeftOutRow.objects.values_list("line", "why", "reason"))
