"""Programs are started apart, followed to their end, and leave nothing behind: tiny ones stand in for them."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from sampling import processes
from sampling.engine import run_dir as files
from sampling.processes import Failed, Finished, Stopped, follow, start, stop_leftover

ROOT = Path(__file__).resolve().parents[2]
WRITE_RESULT = "open(run_dir + '/result.json', 'w').write('{\"pairs\": 12}')"
# A child of the program's own, which ignores SIGTERM as a stuck engine does.
STUBBORN_CHILD = """
import subprocess
child = subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); "
    "print('child', flush=True); time.sleep(60)"], **options)
open(run_dir + "/child", "w").write(str(child.pid))
"""


def program(body):
    """The command line of a program that runs `body`, which may use run_dir, sys, os, time."""
    start_up = "import os, signal, sys, time\nrun_dir = os.environ['WHETSTONE_RUN_DIR']\noptions = {}\n"
    return [sys.executable, "-c", start_up + textwrap.dedent(body)]


def run_to_the_end(body, run_dir, **options):
    process = start(program(body), run_dir)
    options = {"on_tick": lambda: None, "should_stop": lambda: False, "tick_seconds": 0.02} | options
    return follow(process, **options)


def living(pid):
    stat = processes._stat(pid)
    return stat is not None and stat.state not in "ZX"


def wait_for(condition):
    for _ in range(500):
        if condition():
            return
        time.sleep(0.02)
    pytest.fail("It did not happen within ten seconds.")


def read_pid(path):
    wait_for(lambda: path.exists() and path.read_text().strip())
    return int(path.read_text())


def test_a_program_that_ends_well_gives_its_result(tmp_path):
    assert run_to_the_end(WRITE_RESULT, tmp_path) == Finished({"pairs": 12})


def test_what_a_program_says_is_appended_to_its_log(tmp_path):
    (tmp_path / "output.log").write_text("earlier\n")

    run_to_the_end("print('out'); print('err', file=sys.stderr)", tmp_path)

    assert (tmp_path / "output.log").read_text() == "earlier\nout\nerr\n"


def test_a_program_may_know_neither_database_nor_secret(tmp_path, monkeypatch):
    for name in ("DATABASE_URL", "SECRET_KEY", "WHETSTONE_VAR", "CELERY_BROKER_URL", "DJANGO_SETTINGS_MODULE"):
        monkeypatch.setenv(name, "hidden")
    monkeypatch.setenv("HF_HOME", "kept")
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")

    body = "import json; json.dump(dict(os.environ), open(run_dir + '/result.json', 'w'))"
    seen = run_to_the_end(body, tmp_path).result

    assert "hidden" not in seen.values()
    assert (seen["HF_HOME"], seen["VLLM_CPU_KVCACHE_SPACE"]) == ("kept", "1")
    assert seen["PYTHONPATH"] == str(ROOT)
    assert seen["WHETSTONE_RUN_DIR"] == str(tmp_path)
    assert seen["WHETSTONE_STARTED_BY"].startswith(f"{os.getpid()} ")


def test_what_the_caller_adds_to_the_environment_is_there(tmp_path):
    process = start(program("print(os.environ['EXTRA'])"), tmp_path, {"EXTRA": "more"})
    follow(process, on_tick=lambda: None, should_stop=lambda: False, tick_seconds=0.02)

    assert (tmp_path / "output.log").read_text() == "more\n"


def test_a_failure_is_told_in_the_programs_own_words(tmp_path):
    body = """
    open(run_dir + '/error.json', 'w').write('{"error": "RunDirError", "message": "12 pairs; 64 are needed."}')
    sys.exit(1)
    """
    assert run_to_the_end(body, tmp_path) == Failed("12 pairs; 64 are needed.")


def test_a_result_does_not_make_a_bad_exit_code_good(tmp_path):
    outcome = run_to_the_end(WRITE_RESULT + "\nsys.exit(3)", tmp_path)

    assert isinstance(outcome, Failed)
    assert "exit code 3" in outcome.reason


def test_a_failure_without_words_shows_the_logs_last_lines(tmp_path):
    outcome = run_to_the_end("raise ImportError('no such module')", tmp_path)

    assert "exit code 1" in outcome.reason
    assert outcome.reason.endswith("ImportError: no such module")


def test_exit_code_zero_without_a_result_is_a_failure(tmp_path):
    assert "without writing result.json" in run_to_the_end("pass", tmp_path).reason


def test_an_earlier_attempts_result_is_not_taken_for_this_ones(tmp_path):
    files.write_result(tmp_path, {"pairs": "old"})

    assert isinstance(run_to_the_end("pass", tmp_path), Failed)


@pytest.mark.parametrize(
    "body", ["os.kill(os.getpid(), 9)", "print('x.py died with <Signals.SIGKILL: 9>.'); sys.exit(1)"]
)
def test_a_program_that_the_kernel_killed_was_most_likely_too_big(tmp_path, body):
    assert "most likely because the machine was out of memory" in run_to_the_end(body, tmp_path).reason


def test_another_signal_is_named(tmp_path):
    assert "ended by SIGSEGV" in run_to_the_end("os.kill(os.getpid(), signal.SIGSEGV)", tmp_path).reason


def test_a_program_that_does_not_exist_is_a_failure_with_its_name(tmp_path):
    process = start(["no-such-program"], tmp_path)
    outcome = follow(process, on_tick=lambda: None, should_stop=lambda: False, tick_seconds=0.02)

    assert "Could not start no-such-program" in outcome.reason


def test_the_follower_ticks_while_the_program_works(tmp_path):
    ticks = []
    run_to_the_end("time.sleep(0.5)", tmp_path, on_tick=lambda: ticks.append(1))

    assert len(ticks) > 3


def test_a_stop_reaches_everything_that_the_program_started(tmp_path):
    body = STUBBORN_CHILD + "time.sleep(60)"
    started = time.monotonic()

    outcome = run_to_the_end(body, tmp_path, should_stop=(tmp_path / "child").exists, stop_grace_seconds=0.3)

    assert outcome == Stopped()
    assert not living(read_pid(tmp_path / "child"))
    assert time.monotonic() - started < 10


def test_a_program_is_given_time_to_end_by_itself(tmp_path):
    body = """
    def stop(*_):
        time.sleep(0.3)
        open(run_dir + '/tidied', 'w').close()
        os._exit(0)
    signal.signal(signal.SIGTERM, stop)
    open(run_dir + '/ready', 'w').close()
    time.sleep(60)
    """
    outcome = run_to_the_end(body, tmp_path, should_stop=(tmp_path / "ready").exists)

    assert outcome == Stopped()
    assert (tmp_path / "tidied").exists()


def test_a_tick_that_raises_stops_the_program(tmp_path):
    def fail():
        raise ZeroDivisionError

    process = start(program("time.sleep(60)"), tmp_path)
    with pytest.raises(ZeroDivisionError):
        follow(process, on_tick=fail, should_stop=lambda: False, tick_seconds=0.02)

    assert not living(process.pid)


@pytest.mark.parametrize("apart", ["", "options = {'start_new_session': True}\n"])
def test_what_outlives_the_program_is_ended_with_it(tmp_path, apart):
    body = apart + STUBBORN_CHILD + WRITE_RESULT

    assert isinstance(run_to_the_end(body, tmp_path), Finished)
    assert not living(read_pid(tmp_path / "child"))


WORKER = """
import sys
from sampling import processes
process = processes.start([sys.executable, "-c", sys.argv[2]], sys.argv[1])
processes.follow(process, on_tick=lambda: None, should_stop=lambda: False)
"""


def killed_worker(tmp_path, body):
    """Start a worker that starts `body`, which must write its pid to `leader`, and kill it; return that
    pid.
    """
    body = "open(run_dir + '/leader', 'w').write(str(os.getpid()))\n" + body
    command = [sys.executable, "-c", WORKER, str(tmp_path), program(body)[2]]
    worker = subprocess.Popen(command, cwd=ROOT)
    leader = read_pid(tmp_path / "leader")
    if "child" in body:
        read_pid(tmp_path / "child")
    wait_for((tmp_path / "process.json").exists)
    worker.kill()
    worker.wait()
    return leader


def test_a_program_dies_with_its_worker(tmp_path):
    leader = killed_worker(tmp_path, "time.sleep(60)")

    wait_for(lambda: not living(leader))


@pytest.mark.parametrize(
    "apart",
    [
        "",
        "options = {'start_new_session': True}\n",  # as torch's elastic launcher does
        "options = {'env': {}}\n",  # as if it had written over its environment
    ],
)
def test_the_next_worker_ends_what_both_left_behind(tmp_path, apart):
    leader = killed_worker(tmp_path, apart + STUBBORN_CHILD + "time.sleep(60)")
    wait_for(lambda: not living(leader))
    child = read_pid(tmp_path / "child")
    assert living(child)

    assert stop_leftover(tmp_path) is True

    assert not living(child)
    assert stop_leftover(tmp_path) is False


def test_a_running_program_is_found_by_its_record_alone(tmp_path):
    # env and log are those of nobody: only process.json leads to it.
    stranger = subprocess.Popen(["sleep", "60"], start_new_session=True, env={})
    record(tmp_path, stranger.pid, start_ticks=processes._stat(stranger.pid).start_ticks)

    assert stop_leftover(tmp_path) is True
    assert stranger.wait() == -signal.SIGKILL


@pytest.mark.parametrize("change", [{"start_ticks": 1}, {"boot_id": "another boot"}])
def test_a_number_that_belongs_to_somebody_else_now_is_never_killed(tmp_path, change):
    stranger = subprocess.Popen(["sleep", "60"], start_new_session=True, env={})
    try:
        ticks = processes._stat(stranger.pid).start_ticks
        record(tmp_path, stranger.pid, **({"start_ticks": ticks} | change))

        assert stop_leftover(tmp_path) is False
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.parametrize("content", [None, "", "{}", '{"pid": "x"'])
def test_a_directory_without_a_readable_record_has_no_leftover(tmp_path, content):
    if content is not None:
        (tmp_path / "process.json").write_text(content)

    assert stop_leftover(tmp_path) is False


def test_a_program_in_another_directory_is_left_alone(tmp_path):
    process = start(program("time.sleep(60)"), tmp_path / "one")
    try:
        assert stop_leftover(tmp_path / "two") is False
        assert process.popen.poll() is None
    finally:
        processes.stop(process, grace_seconds=0)


def test_a_program_can_be_followed_from_a_thread(tmp_path):
    outcomes = []
    thread = threading.Thread(target=lambda: outcomes.append(run_to_the_end(WRITE_RESULT, tmp_path)))
    thread.start()
    thread.join(30)

    assert outcomes == [Finished({"pairs": 12})]


def record(run_dir, pid, *, start_ticks, boot_id=None):
    boot_id = boot_id or processes._boot_id()
    content = {"pid": pid, "pgid": os.getpgid(pid), "start_ticks": start_ticks, "boot_id": boot_id}
    (run_dir / "process.json").write_text(json.dumps(content))
