"""A place of the bench's own: a temporary folder, its PostgreSQL with the product's settings, and the web server."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

OF_AN_INSTALLATION = "DATABASE_URL CELERY_BROKER_URL SECRET_KEY DEBUG HTTPS_ONLY ALLOWED_HOSTS CSRF_TRUSTED_ORIGINS"


@contextmanager
def own_database() -> Iterator[Path]:
    """Django, set up on a database of its own that is gone afterwards. Once in a process, before any model."""
    folder = Path(tempfile.mkdtemp(prefix="whetstone-bench-"))
    folder.chmod(0o711)  # PostgreSQL may run as another user
    for name in OF_AN_INSTALLATION.split():
        os.environ.pop(name, None)
    os.environ |= {"WHETSTONE_VAR": str(folder), "DJANGO_SETTINGS_MODULE": "config.settings", "LOG_LEVEL": "WARNING"}
    try:
        set_up()
        yield folder
    finally:
        _clear_away(folder)


def set_up() -> None:
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", interactive=False, verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)


def _clear_away(folder: Path) -> None:
    from django.db import connections

    from config import postgres

    connections.close_all()
    postgres.stop_if_unused(folder.resolve() / "postgres")
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def web_server(folder: Path) -> Iterator[int]:
    """The site as `manage.py serve` starts it; yields its port."""
    from config.management.commands.serve import answers, programs

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    web = next(program for program in programs(port) if program.name == "web")
    with open(folder / "web.log", "wb") as log:
        process = subprocess.Popen(web.argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        deadline = time.monotonic() + 60
        while not answers(f"http://127.0.0.1:{port}"):
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"The web server does not come up:\n{(folder / 'web.log').read_text()[-2000:]}")
            time.sleep(0.2)
        yield port
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
