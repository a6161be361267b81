"""A policy, a snapshot and the fake stages, for the tests of rounds."""

import pytest

from tests.training import rounds
from training import round_plan


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


@pytest.fixture
def round(policy, snapshot, fake_stages):
    """A queued round of all five stages that no worker was told about."""
    return rounds.launch_for_tests("r1", policy, snapshot)
