"""What every test may use: the cast, and one PostgreSQL server for the whole run, gone at its end."""

import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from config import postgres
from tests.browsers import browser, mark_browser_tests, new_page, requests  # noqa: F401 (fixtures of every folder)


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        _remove_left_over_runs()


def pytest_collection_modifyitems(items) -> None:
    mark_browser_tests(items)


def pytest_unconfigure(config: pytest.Config) -> None:
    """At the very end, after the workers: stop the server and remove the run's folder."""
    folder = Path(os.environ["WHETSTONE_TESTS_FOLDER"])
    if hasattr(config, "workerinput") or not folder.exists():
        return
    from django.db import connections

    connections.close_all()
    if postgres.stop_if_unused(folder.resolve() / "postgres"):
        shutil.rmtree(folder, ignore_errors=True)


def _remove_left_over_runs() -> None:
    """Stop the servers of runs that were killed, which nobody else would ever do."""
    for folder in Path(tempfile.gettempdir()).glob("whetstone-tests-*"):
        users = folder / ".postgres-users.lock"
        if not os.access(users, os.W_OK) or time.time() - users.stat().st_mtime < 60:
            continue  # somebody else's, or of a run that is just starting
        with open(users, "a") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            postgres.stop(folder / "postgres")
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def alice(db) -> User:
    """Staff: she runs the site and manages projects."""
    return User.objects.create_user("alice", password="alice's password", is_staff=True)


@pytest.fixture
def bob(db) -> User:
    """An annotator, once a test makes him a member."""
    return User.objects.create_user("bob", password="bob's password")


@pytest.fixture
def charlie(db) -> User:
    """Signed in, and a member of nothing."""
    return User.objects.create_user("charlie", password="charlie's password")


@pytest.fixture(scope="session")
def demo_model(tmp_path_factory) -> Path:
    """The real model, unpacked once for all slow tests of a session."""
    from sampling.engine.demo_model import unpack

    directory = tmp_path_factory.mktemp("models") / "smollm2"
    unpack(directory)
    return directory
