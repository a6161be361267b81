"""A policy, a snapshot and the fake stages, for the tests of rounds."""

from types import SimpleNamespace

import pytest

from sampling import program_runs
from tests.training import checks, rounds
from training.running import round_plan


@pytest.fixture(autouse=True)
def _data_folder(settings, tmp_path):
    """Every test has run directories of its own."""
    settings.VAR_DIR = tmp_path / "var"


@pytest.fixture
def policy(db, tmp_path):
    return rounds.make_policy(tmp_path / "models" / "base")


@pytest.fixture
def snapshot(db):
    return rounds.make_snapshot()


@pytest.fixture
def fake_stages(monkeypatch):
    """Every stage's program is tests/training/fake_stage.py, and heartbeats are quick."""
    monkeypatch.setattr(round_plan, "program_of", rounds.fake_program)
    monkeypatch.setattr("sampling.program_runs.HEARTBEAT_SECONDS", 0.1)
    monkeypatch.setattr("sampling.program_runs.NEWS_SECONDS", 0)


@pytest.fixture
def fake_check(monkeypatch):
    """The program of a check is tests/training/launching/fake_check.py, and heartbeats are quick."""
    monkeypatch.setattr(round_plan, "program_of", checks.program)
    monkeypatch.setattr("sampling.program_runs.HEARTBEAT_SECONDS", 0.1)
    monkeypatch.setattr("sampling.program_runs.NEWS_SECONDS", 0)


@pytest.fixture
def full_disk(monkeypatch):
    """Ten bytes are free."""
    monkeypatch.setattr("training.launching.disk.shutil.disk_usage", lambda _: SimpleNamespace(free=10))


@pytest.fixture
def worker_stopping():
    """The event that a worker's SIGTERM sets; cleared again at the end, for the process goes on."""
    yield program_runs.worker_stopping
    program_runs.worker_stopping.clear()


@pytest.fixture
def round(policy, snapshot, fake_stages):
    """A queued round of all five stages that no worker was told about."""
    return rounds.launch_for_tests("r1", policy, snapshot)
