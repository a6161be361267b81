"""A supervisor in a process of its own, over two small programs (see supervised.py)."""

import io
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from config.supervisor import Output

ROOT = Path(__file__).parents[2]


def wait_until(true: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def numbers(path: Path) -> list[int]:
    return [int(word) for word in path.read_text().split()] if path.exists() else []


@pytest.fixture
def supervised(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.config.supervised", str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wait_until(lambda: len(numbers(tmp_path / "stubborn")) == 2)
    yield process
    (tmp_path / "stop").touch()
    process.communicate()


def test_a_program_that_ends_is_started_again_after_a_growing_pause_and_said_so(supervised, tmp_path):
    wait_until(lambda: (tmp_path / "frail").read_text() == "xxx")  # at once, after 1 s, after 2 s more
    (tmp_path / "stop").touch()
    said = supervised.communicate(timeout=30)[0]
    assert "frail      | frail was here" in said
    assert "whetstone  | frail ended with exit code 3; it starts again in 1 s." in said
    assert "whetstone  | frail ended with exit code 3; it starts again in 2 s." in said


def test_stopping_ends_the_stubborn_and_what_they_left_behind(supervised, tmp_path):
    pids = numbers(tmp_path / "stubborn")
    assert all(map(is_alive, pids))
    started = time.monotonic()
    (tmp_path / "stop").touch()
    assert supervised.communicate(timeout=30)[0].endswith("stopped\n")
    assert time.monotonic() - started < 10
    assert not any(map(is_alive, pids))


def test_the_programs_of_a_killed_supervisor_end_with_it(supervised, tmp_path):
    program, left_behind = numbers(tmp_path / "stubborn")
    supervised.kill()
    supervised.wait()
    wait_until(lambda: not is_alive(program))
    subprocess.run(["kill", "-9", str(left_behind)], check=True)  # of a session of its own: not the kernel's affair


def test_each_line_carries_its_programs_name():
    console = io.StringIO()
    output = Output(console=console)
    output.say("web", "ready\n")
    output.say("accelerator", "ready")
    assert console.getvalue() == "web        | ready\naccelerator| ready\n"


def test_a_long_log_is_moved_aside_at_the_next_start(tmp_path, monkeypatch):
    monkeypatch.setattr("config.supervisor.LOG_LIMIT", 3)
    (tmp_path / "web.log").write_text("long enough")
    file, attached = Output(log_dir=tmp_path).attach("web")
    attached(None)
    assert file.closed
    assert (tmp_path / "web.log.1").read_text() == "long enough"
    assert (tmp_path / "web.log").read_text() == ""
