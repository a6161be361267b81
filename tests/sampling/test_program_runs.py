"""A child program and the row that stands for it."""

import sys
import time

import pytest
from django.db import OperationalError

from sampling import actions, program_runs
from sampling.models import SamplingRun
from sampling.processes import Failed, Finished
from sampling.program_runs import DatabaseFull, WorkerStopping, run_program

FINISHES = """
import pathlib, time
run = pathlib.Path(sys.argv[1])
(run / "progress.json").write_text(json.dumps({"done": 3, "total": 4, "phase": "x" * 300}))
time.sleep(0.5)
(run / "result.json").write_text(json.dumps({"answer": 42}))
"""


def program(body: str, run_dir) -> list[str]:
    return [sys.executable, "-c", f"import json, sys\n{body}", str(run_dir)]


@pytest.fixture
def task(prompt_set, policy, quick_heart) -> SamplingRun:
    run = actions.create_sampling_run(prompt_set=prompt_set, policies=[policy], enqueue=False)
    run.take()
    return run


def test_a_program_that_ends_well_gives_its_result_and_its_progress(task, tmp_path):
    outcome = run_program(task=task, argv=program(FINISHES, tmp_path), run_dir=tmp_path, tick_seconds=0.1)
    assert outcome == Finished({"answer": 42})
    task.refresh_from_db()
    assert (task.done, task.total, task.phase) == (3, 4, "x" * 200)


def test_the_caller_may_decide_what_is_stored(task, tmp_path):
    seen = []

    def on_tick(progress):
        seen.append(progress)
        return {"done": 7}

    run_program(task=task, argv=program(FINISHES, tmp_path), run_dir=tmp_path, on_tick=on_tick, tick_seconds=0.1)
    task.refresh_from_db()
    assert (task.done, task.total) == (7, 16)  # 4 prompts, n = 4: as it was made
    assert seen[-1]["done"] == 3


def test_what_an_earlier_attempt_left_is_not_taken_for_this_ones(task, tmp_path):
    (tmp_path / "result.json").write_text('{"stale": true}')
    (tmp_path / "progress.json").write_text('{"done": 99, "total": 99, "phase": "stale"}')
    outcome = run_program(task=task, argv=program("sys.exit(3)", tmp_path), run_dir=tmp_path)
    assert isinstance(outcome, Failed)
    task.refresh_from_db()
    assert task.done == 0


def test_the_program_gets_no_secret(task, tmp_path, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgres://secret")
    body = (
        'import os\nopen(sys.argv[1] + "/result.json", "w").write(json.dumps({"url": os.environ.get("DATABASE_URL")}))'
    )
    assert run_program(task=task, argv=program(body, tmp_path), run_dir=tmp_path) == Finished({"url": None})


def test_a_database_that_stays_away_stops_the_program_and_is_raised(task, tmp_path, monkeypatch):
    monkeypatch.setattr(program_runs, "DATABASE_PATIENCE_SECONDS", 0.3)
    monkeypatch.setattr(program_runs.connection, "close", lambda: None)  # the test's own transaction lives in it

    def away(progress):
        raise OperationalError("the database system is shutting down")

    with pytest.raises(OperationalError, match="shutting down"):
        run_program(
            task=task,
            argv=program("import time\ntime.sleep(60)", tmp_path),
            run_dir=tmp_path,
            on_tick=away,
            tick_seconds=0.1,
            stop_grace_seconds=1,
        )


def test_an_error_of_the_callers_stops_the_program(task, tmp_path):
    def broken(progress):
        raise RuntimeError("ours")

    with pytest.raises(RuntimeError, match="ours"):
        run_program(
            task=task,
            argv=program("import time\ntime.sleep(60)", tmp_path),
            run_dir=tmp_path,
            on_tick=broken,
            tick_seconds=0.1,
            stop_grace_seconds=1,
        )


def test_a_database_without_room_stops_the_program_at_once_and_says_so(task, tmp_path):
    class DiskFull(Exception):
        sqlstate = "53100"  # as psycopg.errors.DiskFull has it

    def full(progress):
        raise OperationalError("could not extend file") from DiskFull()

    started = time.monotonic()
    with pytest.raises(DatabaseFull, match=r"The database's disk is full\. Free space, then retry\."):
        run_program(
            task=task,
            argv=program("import time\ntime.sleep(60)", tmp_path),
            run_dir=tmp_path,
            on_tick=full,
            tick_seconds=0.1,
            stop_grace_seconds=1,
        )
    assert time.monotonic() - started < 20


def test_a_worker_that_ends_stops_its_program_and_keeps_the_row(task, tmp_path, worker_stopping):
    def asked_to_end(progress):
        worker_stopping.set()

    started = time.monotonic()
    argv = program("import signal, time\nsignal.signal(15, signal.SIG_IGN)\ntime.sleep(60)", tmp_path)
    outcome = run_program(task=task, argv=argv, run_dir=tmp_path, on_tick=asked_to_end, tick_seconds=0.1)

    assert outcome == WorkerStopping()
    assert time.monotonic() - started < 8  # a stubborn program is not waited for
    assert task.beat()


def test_a_program_that_was_told_before_its_worker_has_not_failed(task, tmp_path, worker_stopping, monkeypatch):
    ended = program_runs.processes.follow

    def follow(*args, **options):
        outcome = ended(*args, **options)
        worker_stopping.set()  # the same signal reaches the worker a moment later
        return outcome

    monkeypatch.setattr(program_runs.processes, "follow", follow)
    outcome = run_program(task=task, argv=program("sys.exit(143)", tmp_path), run_dir=tmp_path)
    assert outcome == WorkerStopping()


def test_a_worker_that_ends_starts_no_program(task, tmp_path, worker_stopping):
    worker_stopping.set()
    assert run_program(task=task, argv=program(FINISHES, tmp_path), run_dir=tmp_path) == WorkerStopping()
    assert not (tmp_path / "output.log").exists()
