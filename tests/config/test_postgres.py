"""A real server in a folder of each test's own: about a second each."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg
import pytest

from config import postgres
from config.postgres import PostgresError

USE_FOR = (
    "import sys, time; from pathlib import Path; from config import postgres; "
    "print(postgres.bundled_database(Path(sys.argv[1]))['HOST'], flush=True); time.sleep(float(sys.argv[2]))"
)


@pytest.fixture
def data_dir(monkeypatch):
    """Short, for a socket's path is, and open, so that root's tests say nothing about it."""
    monkeypatch.delenv("WHETSTONE_POSTGRES_OPTIONS")  # the tests' server forgets its last second when it is killed
    with tempfile.TemporaryDirectory(prefix="whetstone-pg-") as folder:
        os.chmod(folder, 0o711)
        path = Path(folder).resolve() / "postgres"
        yield path
        postgres.stop(path)


def use(data_dir: Path, *, seconds: float = 0) -> subprocess.Popen:
    """A command that uses the server for some time and then ends."""
    argv = [sys.executable, "-c", USE_FOR, str(data_dir), str(seconds)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])


def ask(server: postgres.Running, query: str) -> object:
    with psycopg.connect(host=str(server.socket_dir), user="postgres", dbname="postgres") as connection:
        return connection.execute(query).fetchone()[0]


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and not postgres._is_zombie(pid) and time.monotonic() < deadline:
        time.sleep(0.05)


def test_a_server_is_made_started_and_stopped(data_dir):
    assert postgres.running(data_dir) is None
    server = postgres.start(data_dir)
    assert postgres.running(data_dir) == server
    assert ask(server, "SELECT 'x' || current_setting('listen_addresses')") == "x"  # nothing on the network
    postgres.stop(data_dir)
    assert postgres.running(data_dir) is None
    postgres.stop(data_dir)  # a second time is no error


def test_what_was_committed_outlives_a_kill(data_dir):
    server = postgres.start(data_dir)
    with psycopg.connect(host=str(server.socket_dir), user="postgres", dbname="postgres") as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    kill(server.pid)
    assert postgres.running(data_dir) is None
    assert ask(postgres.start(data_dir), "SELECT number FROM kept") == 7


def test_a_stale_pid_whose_number_is_somebody_elses_now_is_no_obstacle(data_dir):
    server = postgres.start(data_dir)
    kill(server.pid)
    for path in (data_dir / "postmaster.pid", data_dir / ".s.PGSQL.5432.lock"):
        lines = path.read_text().splitlines()
        path.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    assert postgres.running(data_dir) is None
    assert postgres.start(data_dir).pid != os.getpid()


def test_a_torn_pid_file_is_no_obstacle(data_dir):
    server = postgres.start(data_dir)
    kill(server.pid)
    (data_dir / "postmaster.pid").write_text("")
    assert postgres.running(data_dir) is None
    assert ask(postgres.start(data_dir), "SELECT 1") == 1


def test_commands_that_start_together_share_one_server_and_the_last_one_stops_it(data_dir):
    commands = [use(data_dir, seconds=1) for _ in range(4)]
    assert {command.communicate(timeout=60)[0].strip() for command in commands} == {str(data_dir)}
    assert [command.returncode for command in commands] == [0, 0, 0, 0]
    assert (data_dir / "log").read_text().count("ready to accept connections") == 1
    assert postgres.running(data_dir) is None


def test_a_command_leaves_the_server_to_who_still_uses_it(data_dir):
    longer = use(data_dir, seconds=60)
    longer.stdout.readline()
    use(data_dir).communicate(timeout=60)
    assert postgres.running(data_dir)
    longer.kill()
    longer.communicate()
    # Nobody stops a server for a killed command; the next one that ends does.
    assert postgres.running(data_dir)
    use(data_dir).communicate(timeout=60)
    assert postgres.running(data_dir) is None


def test_a_kill_while_the_database_is_made_leaves_nothing_half(data_dir):
    unfinished = data_dir.with_name(".postgres-unfinished")
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("18\n")
    assert ask(postgres.start(data_dir), "SELECT 1") == 1
    assert not unfinished.exists()


def test_a_folder_with_other_things_in_it_is_left_alone(data_dir):
    data_dir.mkdir()
    (data_dir / "diary.txt").write_text("dear")
    with pytest.raises(PostgresError, match="is not empty and holds no database"):
        postgres.start(data_dir)
    assert (data_dir / "diary.txt").read_text() == "dear"


def test_a_database_of_another_release_is_refused_with_the_remedy(data_dir):
    data_dir.mkdir()
    (data_dir / "PG_VERSION").write_text("16\n")
    with pytest.raises(PostgresError, match="made by PostgreSQL 16; the bundled one is 18"):
        postgres.start(data_dir)


def test_a_server_that_cannot_start_says_what_its_log_says(data_dir, monkeypatch):
    monkeypatch.setenv("WHETSTONE_POSTGRES_OPTIONS", "-c shared_buffers=lots")
    with pytest.raises(PostgresError, match=r"did not start(.|\n)*shared_buffers"):
        postgres.start(data_dir)


def test_a_path_too_long_for_a_socket_gets_its_socket_elsewhere(data_dir):
    deep = data_dir.parent / ("deep" * 20) / "postgres"
    server = postgres.start(deep)
    try:
        assert server.socket_dir != deep
        assert ask(server, "SELECT 1") == 1
    finally:
        postgres.stop(deep)
        server.socket_dir.rmdir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to run the server as another user")
def test_below_a_folder_of_roots_own_the_server_is_let_through_and_no_more(data_dir, capfd):
    private = data_dir.parent / "private"
    private.mkdir(mode=0o700)
    try:
        assert ask(postgres.start(private / "postgres"), "SELECT 1") == 1
    finally:
        postgres.stop(private / "postgres")
    assert private.stat().st_mode & 0o777 == 0o701
    assert f"{private}: users may now pass through it" in capfd.readouterr().err
