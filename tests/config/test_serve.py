"""The whole product as `make run` starts it, in a data folder of the test's own."""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from django.core.management.base import CommandError

from config import postgres
from config.management.commands import serve

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(true: Callable[[], object], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.1)


def processes_in(folder: Path) -> list[int]:
    """Every process that was started for this data folder, PostgreSQL's included."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            of_ours = f"WHETSTONE_VAR={folder}".encode() in (entry / "environ").read_bytes().split(b"\0")
            of_ours = of_ours or (entry / "cwd").readlink() == folder / "postgres"
        except OSError:
            continue
        if of_ours and "Z" not in (entry / "stat").read_text().rpartition(")")[2].split()[0]:
            found.append(int(entry.name))
    return found


class Installation:
    """A data folder, a port, and the command that serves them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.log = folder / "console.log"

    def serve(self, *arguments: str) -> subprocess.Popen:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("WHETSTONE_", "DJANGO_"))}
        with open(self.log, "ab") as log:
            return subprocess.Popen(
                [sys.executable, "manage.py", "serve", "--port", str(self.port), *arguments],
                env=kept | {"WHETSTONE_VAR": str(self.folder)},
                cwd=ROOT,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def said(self) -> str:
        return self.log.read_text()

    def answers(self) -> bool:
        return serve.answers(f"http://127.0.0.1:{self.port}")


@pytest.fixture
def installation() -> Iterator[Installation]:
    with tempfile.TemporaryDirectory(prefix="whetstone-serve-", ignore_cleanup_errors=True) as name:
        os.chmod(name, 0o711)
        folder = Path(name).resolve()
        yield Installation(folder)
        for pid in processes_in(folder):
            os.kill(pid, signal.SIGKILL)
        postgres.stop(folder / "postgres")


@pytest.mark.slow
@pytest.mark.whole_machine
def test_it_serves_survives_kills_and_leaves_nothing_behind(installation):
    first = installation.serve()
    wait_until(lambda: "Whetstone is at" in installation.said())
    page = urllib.request.urlopen(f"http://127.0.0.1:{installation.port}/sign-in/")
    assert page.status == 200
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    password = re.search(r"User name: admin {3}password: (\S+)", installation.said())[1]
    assert len(password) >= 12

    second = installation.serve()
    assert second.wait(timeout=60) == 1
    assert f"Whetstone runs already in {installation.folder} (process {first.pid})" in installation.said()

    # The supervisor is killed: its programs end with it, and the next start takes over the database as it is.
    server = postgres.running(installation.folder / "postgres")
    first.kill()
    first.wait()
    wait_until(lambda: not installation.answers(), 20)
    third = installation.serve()
    wait_until(lambda: installation.said().count("Whetstone is at") == 2)
    assert postgres.running(installation.folder / "postgres") == server
    assert installation.said().count("An administrator was made") == 1

    # The database is killed: it is started again, and the site answers again.
    os.kill(server.pid, signal.SIGKILL)
    wait_until(lambda: "it is running again" in installation.said(), 40)
    wait_until(installation.answers, 40)

    started = time.monotonic()
    third.send_signal(signal.SIGINT)
    assert third.wait(timeout=30) == 0
    assert time.monotonic() - started < 15
    wait_until(lambda: processes_in(installation.folder) == [], 5)


@pytest.mark.slow
@pytest.mark.whole_machine
def test_a_command_is_run_once_the_site_answers_and_its_exit_code_is_kept(installation):
    served = installation.serve("--then", "shell --command 'raise SystemExit(3)'", "--exit-after")
    assert served.wait(timeout=120) == 3
    assert "Whetstone is at" in installation.said()
    assert (installation.folder / "log" / "accelerator.log").exists()
    assert processes_in(installation.folder) == []


def test_a_port_that_is_taken_is_told_with_the_remedy():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(CommandError, match=f"Port {port} is taken.*PORT={port + 1}"):
            serve.check_port_free(port)


def test_a_proxy_for_other_machines_is_not_asked_whether_the_site_answers(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as site:  # answers 501, which is an answer
        Thread(target=site.handle_request, daemon=True).start()
        assert serve.answers(f"http://127.0.0.1:{site.server_port}")


def test_a_data_folder_is_served_once(tmp_path):
    first = f"process {os.getpid()}"
    with serve.only_one(tmp_path), pytest.raises(CommandError, match=first), serve.only_one(tmp_path):
        pass
    with serve.only_one(tmp_path):
        pass


def test_a_signal_becomes_a_wish_and_interrupts_nothing():
    with serve.stop_signals() as stopping:
        assert not stopping()
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)
        assert stopping()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
