"""`make run`: the whole product on one machine, in the foreground, until Ctrl-C."""

import contextlib
import errno
import fcntl
import os
import shlex
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from config import broker, installation, postgres
from config.supervisor import Output, Program, Supervisor

ANSWER_SECONDS = 90
POSTGRES_CHECK_SECONDS = 2
HOST = "127.0.0.1"


class Command(BaseCommand):
    help = (
        "Run the web server, the workers and the periodic process, with the bundled PostgreSQL unless DATABASE_URL "
        "is set, until Ctrl-C. The first start makes an administrator. Example: manage.py serve --port 8001"
    )
    requires_system_checks = []

    def add_arguments(self, parser) -> None:
        parser.add_argument("--port", type=int, default=int(os.environ.get("PORT") or 8000))
        parser.add_argument("--quiet", action="store_true", help="programs write to var/log/NAME.log, not here")
        parser.add_argument(
            "--then", metavar="COMMAND", help='run "manage.py COMMAND" here once the site answers; implies --quiet'
        )
        parser.add_argument("--exit-after", action="store_true", help="end everything when that command has ended")

    def handle(self, *args, port: int, quiet: bool, then: str | None, exit_after: bool, **options) -> None:
        with only_one(settings.VAR_DIR), stop_signals() as stopping:
            check_port_free(port)
            output = Output(log_dir=settings.VAR_DIR / "log" if quiet or then else None, console=sys.stdout)
            service = Service(port=port, output=output, stopping=stopping)
            exit_code = service.run(then=shlex.split(then) if then else None, exit_after=exit_after)
        if exit_code:
            sys.exit(exit_code)


class Service:
    """One run of the product: prepare, start, look after, end."""

    def __init__(self, *, port: int, output: Output, stopping: Callable[[], bool]) -> None:
        self.port = port
        self.output = output
        self.stopping = stopping
        self.address = f"http://{HOST}:{port}"
        self.bundled = None if os.environ.get("DATABASE_URL") else settings.VAR_DIR / "postgres"
        self.supervisor = Supervisor(
            programs(port), output, env=os.environ | {"PYTHONUNBUFFERED": "1"}, spare=self._is_postgres
        )
        self._next_postgres_check = 0.0

    def run(self, *, then: list[str] | None, exit_after: bool) -> int:
        try:
            self._prepare()
            self.supervisor.start()
            if not self._wait_until_it_answers():
                return 0
            self._say(f"Whetstone is at {self.address}   (Ctrl-C ends it)")
            if then:
                exit_code = self._run_command(then)
                if exit_after or exit_code or self.stopping():
                    return exit_code
            while not self.stopping():
                self._look_after()
            return 0
        finally:
            self._end()

    def _prepare(self) -> None:
        self._say("Preparing the database ...")
        call_command("migrate", interactive=False, verbosity=0)
        if settings.CELERY_BROKER_URL == broker.OWN_DATABASE:
            broker.install()
        call_command("collectstatic", interactive=False, verbosity=0)
        if made := installation.first_administrator(os.environ):
            password = made.password or "the one in WHETSTONE_ADMIN_PASSWORD"
            self._say(f"An administrator was made. User name: {made.username}   password: {password}")
            if made.password:
                self._say("The password is shown this once. To change it: manage.py changepassword " + made.username)
        connections.close_all()  # the programs have their own; this process only looks after them

    def _wait_until_it_answers(self) -> bool:
        deadline = time.monotonic() + ANSWER_SECONDS
        while not self.stopping():
            self._look_after()
            if answers(self.address):
                return True
            if time.monotonic() > deadline or self.supervisor.keeps_ending("web"):
                log = self.output.log_of("web")
                where = f"See {log}." if log else "Its lines above say why."
                raise CommandError(f"The web server does not come up. {where}")
        return False

    def _run_command(self, then: list[str]) -> int:
        argv = [sys.executable, str(settings.BASE_DIR / "manage.py"), *then]
        return self.supervisor.run_foreground(argv, os.environ | {"WHETSTONE_ADDRESS": self.address}, self._tick)

    def _tick(self) -> bool:
        self._keep_postgres()
        return self.stopping()

    def _look_after(self) -> None:
        self.supervisor.check()
        self._keep_postgres()
        time.sleep(0.2)

    def _keep_postgres(self) -> None:
        """Start the bundled server again when it has died; the programs reconnect by themselves."""
        if self.bundled is None or time.monotonic() < self._next_postgres_check:
            return
        self._next_postgres_check = time.monotonic() + POSTGRES_CHECK_SECONDS
        if postgres.running(self.bundled) or self.stopping():
            return
        self._say("The bundled PostgreSQL is not running; starting it.")
        try:
            postgres.start(self.bundled)
            self._say("PostgreSQL: it is running again.")
        except postgres.PostgresError as error:
            self._say(str(error))
            self._next_postgres_check = time.monotonic() + 10

    def _end(self) -> None:
        self._say("Ending ...")
        self.supervisor.stop()
        connections.close_all()
        if self.bundled and not postgres.stop_if_unused(self.bundled):
            self._say("Another command still uses the bundled PostgreSQL; it ends with that command.")
        self._say("All ended.")

    def _is_postgres(self, pid: int) -> bool:
        server = postgres.running(self.bundled) if self.bundled else None
        return server is not None and server.pid == pid

    def _say(self, line: str) -> None:
        self.output.say("whetstone", line)


def programs(port: int) -> list[Program]:
    """What is kept running. Celery's workers use threads: a long task is a child process of its own anyway."""
    web = [
        *(sys.executable, "-m", "granian", "--interface", "wsgi", "--host", HOST, "--port", str(port)),
        *("--workers", os.environ.get("WEB_WORKERS") or "2", "--blocking-threads", "4", "--no-ws"),
        *("--respawn-failed-workers", "--workers-kill-timeout", "3s", "--log-level", "warning"),
        "config.wsgi:application",
    ]
    celery = [sys.executable, "-m", "celery", "--app", "config", "--quiet"]

    def worker(queue: str, at_once: int) -> list[str]:
        options = ["--queues", queue, "--pool", "threads", "--concurrency", str(at_once), "--hostname", f"{queue}@%h"]
        return [*celery, "worker", *options, "--without-gossip", "--without-mingle", "--loglevel", "INFO"]

    # Its schedule is short and constant, so it is kept in memory: no file that a kill could spoil.
    beat = [*celery, "beat", "--scheduler", "celery.beat:Scheduler", "--pidfile=", "--loglevel", "WARNING"]
    return [
        # Granian passes the signal on to its workers; a Celery worker would wait for its task, so it is killed.
        Program("web", web, orphan_signal=signal.SIGTERM),
        Program("worker", worker("default", 2)),
        Program("accelerator", worker("accelerator", 1)),
        Program("periodic", beat),
    ]


def check_port_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno == errno.EACCES:
                raise CommandError(f"Port {port} is for root only. Choose one above 1023: PORT=8000") from error
            raise CommandError(
                f"Port {port} is taken by another program. Choose another one: PORT={port + 1}"
            ) from error


@contextlib.contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Refuse a second `serve` on one data folder. The lock ends with the process, however it ends."""
    path = folder / ".serve.lock"
    handle = open(path, "a+")  # noqa: SIM115 - closed below
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        with handle:
            handle.seek(0)
            holder = handle.read().strip() or "unknown"
        raise CommandError(
            f"Whetstone runs already in {folder} (process {holder}). End that one first, "
            "or give this one a data folder of its own: WHETSTONE_VAR=/some/folder PORT=8001"
        ) from None
    with handle:
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        yield


@contextlib.contextmanager
def stop_signals() -> Iterator[Callable[[], bool]]:
    """Turn Ctrl-C, SIGTERM and a closed terminal into a wish that is asked for; nothing is interrupted half-way."""
    wishes: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, lambda number, frame: wishes.append(number)) for number in numbers}
    try:
        yield lambda: bool(wishes)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def answers(address: str) -> bool:
    """Whether the site answers at all; what it says is not judged here."""
    directly = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # http_proxy is for other machines
    try:
        directly.open(f"{address}/sign-in/", timeout=5).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True
