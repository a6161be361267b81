"""Programs that are forked from one that has imported: they are like any other, but for how they begin."""

import os
import signal
import sys

import pytest

from sampling import processes
from sampling.engine import run_dir as files
from sampling.engine import timings
from sampling.processes import Failed, Finished, Stopped
from sampling.warm_processes import WarmProcesses

MODULE = "tests.sampling.warm_program"


@pytest.fixture
def warm(tmp_path):
    made = WarmProcesses([MODULE], tmp_path / "warm")
    made.wait_until_ready(go_on=lambda: None)
    yield made
    made.close()


def started(warm, run_dir, do="nothing", **env):
    files.write_stage(run_dir, {"do": do})
    return warm.start([sys.executable, "-m", MODULE, "--run-dir", str(run_dir)], run_dir, env)


def follow(process, should_stop=lambda: False):
    return processes.follow(process, on_tick=lambda: None, should_stop=should_stop, tick_seconds=0.05)


def alive(pid):
    return files.identity_of(pid) is not None


def test_a_program_runs_as_a_group_of_its_own_with_its_own_log_and_environment(warm, tmp_path, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgres://secret")
    process = started(warm, tmp_path / "a", WHETSTONE_TEST="1")
    match follow(process):
        case Finished(result=result):
            assert result["pid"] == result["group"] == process.pid
            assert result["parent"] == warm._process.pid
            assert result["environment"]["WHETSTONE_TEST"] == "1"
            assert result["environment"]["WHETSTONE_RUN_DIR"] == str(tmp_path / "a")
            assert "DATABASE_URL" not in result["environment"]
        case other:
            raise AssertionError(other)
    assert (tmp_path / "a" / "output.log").read_text().startswith("hello from")
    assert process.group is None


def test_programs_follow_each_other_and_one_that_fails_harms_none(warm, tmp_path):
    outcomes = [follow(started(warm, tmp_path / do, do)) for do in ("nothing", "fail", "exit", "die", "nothing-2")]
    assert isinstance(outcomes[0], Finished)
    assert outcomes[1] == Failed("It has 3 rows; it needs 16. Add rows.")
    assert "exit code 7" in outcomes[2].reason
    assert "killed by the kernel" in outcomes[3].reason
    assert isinstance(outcomes[4], Finished)
    parents = {outcome.result["parent"] for outcome in (outcomes[0], outcomes[4])}
    assert len(parents) == 1  # the same process has forked them


def test_one_that_is_to_stop_is_stopped(warm, tmp_path):
    process = started(warm, tmp_path / "a", "wait")
    is_training = lambda: (files.read_progress(tmp_path / "a") or {}).get("phase") == "training"  # noqa: E731
    assert follow(process, should_stop=is_training) == Stopped()
    assert process.popen.returncode == 128 + signal.SIGTERM  # it saw the signal and ended by itself
    assert isinstance(follow(started(warm, tmp_path / "b")), Finished)


def test_a_later_worker_finds_and_stops_one_that_was_left_behind(warm, tmp_path):
    process = started(warm, tmp_path / "a", "wait")
    assert processes.stop_leftover(tmp_path / "a")
    assert process.popen.wait(10) == -signal.SIGKILL


def test_with_the_process_that_forked_it_a_program_ends_and_the_next_starts_by_itself(warm, tmp_path):
    process = started(warm, tmp_path / "a", "wait")
    os.kill(warm._process.pid, signal.SIGKILL)
    assert "killed by the kernel" in follow(process).reason
    assert not alive(process.pid)
    match follow(started(warm, tmp_path / "b")):
        case Finished(result=result):
            assert result["parent"] == os.getpid()
        case other:
            raise AssertionError(other)


def test_closing_ends_everything(warm, tmp_path):
    process, parent = started(warm, tmp_path / "a", "wait"), warm._process.pid
    warm.close()
    assert not alive(process.pid)
    assert not alive(parent)


def test_where_the_imports_fail_programs_start_by_themselves(tmp_path):
    warm = WarmProcesses([MODULE, "no.such.module"], tmp_path / "warm")
    warm.wait_until_ready(go_on=lambda: None)
    assert isinstance(follow(started(warm, tmp_path / "a")), Finished)
    warm.close()
    assert "No module named" in (tmp_path / "warm" / "output.log").read_text()


def test_what_is_no_such_module_starts_by_itself(warm, tmp_path):
    process = warm.start([sys.executable, "-c", "print('hello')"], tmp_path / "a", {})
    assert "without writing result.json" in follow(process).reason


def test_who_waits_for_the_imports_may_leave(tmp_path):
    warm = WarmProcesses([MODULE], tmp_path / "warm")

    def leave():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        warm.wait_until_ready(go_on=leave)
    warm.close()


def test_its_times_are_recorded_as_of_any_program(warm, tmp_path):
    follow(started(warm, tmp_path / "a"))
    spans = timings.read(tmp_path / "a")
    assert "preparing" in [span.phase for span in spans]
    assert all(span.end is not None for span in spans)
