"""The run directory: whole files only, torn lines left out, errors in words that a person can act on."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from sampling.engine import run_dir as files
from sampling.engine.run_dir import Progress, RunDirError, explain, read_json_lines, write_json_lines

ROOT = Path(__file__).resolve().parents[3]


def run_program(run_dir, body, **kwargs):
    """Run `body` as the `run` of a program in `run_dir`."""
    code = f"from sampling.engine.run_dir import *\ndef run(run_dir):\n    {body}\nmain(run)"
    return subprocess.Popen(
        [sys.executable, "-c", code, "--run-dir", str(run_dir)], cwd=ROOT, stderr=subprocess.PIPE, **kwargs
    )


def finish(program):
    _, stderr = program.communicate(timeout=30)
    return program.returncode, stderr.decode()


def test_a_stage_is_read_back_as_it_was_written(tmp_path):
    files.write_stage(tmp_path / "new", {"seed": 17, "inputs": {"policy": "a"}})

    assert files.read_stage(tmp_path / "new") == {"seed": 17, "inputs": {"policy": "a"}}


@pytest.mark.parametrize(
    ("content", "problem"), [(None, "does not exist"), ("{", "not valid JSON"), ("[]", "holds a list")]
)
def test_a_stage_that_cannot_be_read_is_an_error_that_says_why(tmp_path, content, problem):
    if content is not None:
        (tmp_path / "stage.json").write_text(content)

    with pytest.raises(RunDirError, match=problem):
        files.read_stage(tmp_path)


def test_progress_keeps_what_is_left_out(tmp_path):
    progress = Progress(tmp_path, unit="steps", every_seconds=0)
    progress.update(total=10, phase="training")
    progress.update(3)

    written = files.read_progress(tmp_path)
    assert written.pop("updated_at").endswith("+00:00")
    assert written == {"done": 3, "total": 10, "unit": "steps", "phase": "training"}


def test_progress_is_written_rarely_but_a_new_phase_and_the_last_step_always(tmp_path):
    progress = Progress(tmp_path, unit="steps", total=3, every_seconds=3600)
    progress.update(0, phase="training")
    progress.update(1)
    assert files.read_progress(tmp_path)["done"] == 0  # too soon
    progress.update(2, phase="saving")
    assert files.read_progress(tmp_path)["done"] == 2
    progress.update(3)
    assert files.read_progress(tmp_path)["done"] == 3


def test_metrics_are_appended_and_what_json_cannot_say_is_null(tmp_path):
    files.append_metrics(tmp_path, step=1, loss=0.5)
    files.append_metrics(tmp_path, step=2, loss=float("nan"), rate=float("inf"))

    assert files.read_metrics(tmp_path) == [{"step": 1, "loss": 0.5}, {"step": 2, "loss": None, "rate": None}]


def test_a_line_that_is_being_written_is_left_out(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2')

    assert files.read_metrics(tmp_path) == [{"step": 1}]


@pytest.mark.parametrize(
    ("before", "after"),
    [("a\nb\n", "a\nb\n"), ("a\nb", "a\n"), ("b", ""), ("", ""), ("a\n" + "b" * 200_000, "a\n")],
)
def test_a_torn_last_line_is_cut_off(tmp_path, before, after):
    path = tmp_path / "lines"
    path.write_text(before)

    files.cut_torn_line(path)

    assert path.read_text() == after


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    files.write_result(tmp_path, {"pairs": 1})

    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_result(tmp_path, {"pairs": float("nan")})

    assert files.read_result(tmp_path) == {"pairs": 1}
    assert os.listdir(tmp_path) == ["result.json"]


def test_lines_are_written_all_of_them_or_none(tmp_path):
    path = tmp_path / "kept.jsonl"
    write_json_lines(path, [{"text": "süß"}, {"text": "two\nlines"}])
    assert path.read_text(encoding="utf-8") == '{"text": "süß"}\n{"text": "two\\nlines"}\n'

    def fails_in_the_middle():
        yield {"text": "new"}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_json_lines(path, fails_in_the_middle())
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json_lines(path, [{"score": float("nan")}])
    assert len(list(read_json_lines(path))) == 2
    assert [each.name for each in tmp_path.iterdir()] == ["kept.jsonl"]


def test_lines_are_on_the_disk_before_they_are_in_place(tmp_path, monkeypatch):
    done = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: done.append("fsync") or fsync(descriptor))
    monkeypatch.setattr(Path, "replace", lambda self, other: done.append("replace") or replace(self, other))
    write_json_lines(tmp_path / "kept.jsonl", [{"score": 1.0}])
    assert done == ["fsync", "replace", "fsync"]  # of the file, and of the directory that names it


def test_a_result_may_be_a_dataclass_and_takes_an_earlier_error_away(tmp_path):
    @dataclass
    class Result:
        pairs: int

    files.write_error(tmp_path, RunDirError("old"))
    files.write_result(tmp_path, Result(pairs=12))

    assert files.read_result(tmp_path) == {"pairs": 12}
    assert files.read_error(tmp_path) is None


def test_the_logs_tail_is_its_last_lines(tmp_path):
    (tmp_path / "output.log").write_text("x" * 100_000 + "\none\ntwo\n")

    assert files.read_log_tail(tmp_path, lines=2) == "one\ntwo"
    assert files.read_log_tail(tmp_path / "nowhere") == ""


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RunDirError("June has 12 pairs."), "June has 12 pairs."),
        (MemoryError(), "Out of memory"),
        (type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory."), "Use a smaller batch"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes"), "Out of memory"),
        (OSError(errno.ENOSPC, "No space", "/data/model"), "The disk is full (/data/model)"),
        (FileNotFoundError(errno.ENOENT, "No such file", "pairs.jsonl"), "pairs.jsonl does not exist"),
        (OSError("acme/x is not a local folder and not a model"), "The model was not found"),
        (KeyError("chosen"), "KeyError: 'chosen'"),
    ],
)
def test_an_error_is_explained(error, words):
    assert words in explain(error)


def test_a_program_that_returns_ends_with_its_result(tmp_path):
    assert finish(run_program(tmp_path, "return {'pairs': 12}")) == (0, "")
    assert files.read_result(tmp_path) == {"pairs": 12}


def test_a_program_that_raises_ends_with_an_error_and_no_result(tmp_path):
    files.write_result(tmp_path, {"pairs": "of an earlier attempt"})

    code, stderr = finish(run_program(tmp_path, "raise MemoryError"))

    assert code == 1
    assert "Traceback" in stderr
    assert files.read_result(tmp_path) is None
    error = json.loads((tmp_path / "error.json").read_text())
    assert error["error"] == "MemoryError"
    assert "Out of memory" in error["message"]


def test_a_program_ends_promptly_on_sigterm_whatever_it_waits_for(tmp_path):
    body = "import atexit, time; atexit.register(time.sleep, 60); print('up', flush=True); time.sleep(60)"
    program = run_program(tmp_path, body, stdout=subprocess.PIPE)
    assert program.stdout.readline() == b"up\n"
    started = time.monotonic()

    program.send_signal(signal.SIGTERM)

    assert finish(program)[0] == 128 + signal.SIGTERM
    assert time.monotonic() - started < 5


def test_a_program_of_a_worker_ends_without_being_taken_apart_but_runs_its_exit_handlers(tmp_path, monkeypatch):
    monkeypatch.setenv(files.STARTED_FOR, str(tmp_path))
    body = (
        "import atexit, threading, time\n"
        "    class Kept:\n"
        "        def __del__(self): print('taken apart', flush=True)\n"
        "    global kept; kept = Kept()\n"
        "    threading.Timer(0.05, print, ['the thread']).start()\n"
        "    atexit.register(print, 'the handler')\n"
        "    return {'a': 1}"
    )
    program = run_program(tmp_path, body, stdout=subprocess.PIPE)
    said = program.communicate(timeout=30)[0]
    assert program.returncode == 0
    assert said.split(b"\n")[:-1] == [b"the thread", b"the handler"]
    assert files.read_result(tmp_path) == {"a": 1}


def test_a_program_whose_worker_ended_while_it_was_loading_ends_too(tmp_path, monkeypatch):
    monkeypatch.setenv(files.STARTED_FOR, str(tmp_path))
    worker = subprocess.Popen(["sleep", "60"])
    monkeypatch.setenv(files.STARTED_BY, files.identity_of(worker.pid))
    assert finish(run_program(tmp_path, "return {}"))[0] == 0

    worker.kill()
    worker.wait()

    code, stderr = finish(run_program(tmp_path, "return {}"))
    assert code == 1
    assert "The worker ended before its program began." in stderr


def test_a_dead_process_that_nobody_has_waited_for_counts_as_gone():
    process = subprocess.Popen(["true"])
    deadline = time.monotonic() + 10
    while files.identity_of(process.pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert files.identity_of(process.pid) is None
    process.wait()
