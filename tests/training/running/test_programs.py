"""Who starts a round's programs, and from when on that is worth it."""

import sys

import pytest

from tests.training.rounds import fake_program
from training.models import TrainingRound
from training.running import programs, round_plan
from training.running.programs import Cold

pytestmark = pytest.mark.django_db


class Recorded:
    """Stands in for WarmProcesses."""

    def __init__(self, modules, run_dir, env_extra):
        self.modules, self.run_dir, self.env_extra, self.closed = modules, run_dir, env_extra, False

    def close(self):
        self.closed = True


@pytest.fixture
def recorded(monkeypatch):
    monkeypatch.setattr(programs, "WarmProcesses", Recorded)


@pytest.fixture
def stages(round, monkeypatch, recorded):
    def program_of(kind, run_dir, *, has_gpu):
        return [sys.executable, "-m", f"training.pipeline.{kind}", "--run-dir", str(run_dir)]

    monkeypatch.setattr(round_plan, "program_of", program_of)
    return list(TrainingRound.objects.get(pk=round.pk).stages.order_by("position"))


def test_a_round_of_several_stages_imports_once_for_those_that_are_left(round, stages):
    with programs.starter(round, stages[5:]) as starter:
        assert starter.modules == [f"training.pipeline.{stage.kind}" for stage in stages[5:]]
        assert starter.run_dir == round.run_dir / "warm"
        assert not starter.closed
    assert starter.closed


def test_it_is_ended_when_the_round_ends_badly_too(round, stages):
    with pytest.raises(KeyError), programs.starter(round, stages) as starter:
        raise KeyError
    assert starter.closed


def test_one_stage_alone_starts_by_itself(round, stages):
    with programs.starter(round, stages[-1:]) as starter:
        assert isinstance(starter, Cold)


def test_with_a_gpu_every_program_starts_by_itself(round, stages, settings):
    settings.HAS_GPU = True
    with programs.starter(round, stages) as starter:
        assert isinstance(starter, Cold)


def test_another_program_than_ours_is_imported_by_nobody(round, stages, monkeypatch):
    monkeypatch.setattr(round_plan, "program_of", fake_program)
    with programs.starter(round, stages) as starter:
        assert isinstance(starter, Cold)
