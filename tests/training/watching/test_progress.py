"""What the page reads from rows and run directories."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from sampling.engine import run_dir as files
from sampling.long_tasks import TaskState
from training.models import StageState
from training.watching import progress

pytestmark = pytest.mark.django_db


@pytest.fixture
def running(round):
    """The round with its first stage begun twenty seconds ago."""
    round.take()
    stage = round.stages.get(position=1)
    stage.move_to(StageState.RUNNING, started_at=timezone.now() - timedelta(seconds=20))
    stage.run_dir.mkdir(parents=True)
    return stage


def shown(round):
    return progress.of_round(round)


def write_progress(stage, **content):
    (stage.run_dir / files.PROGRESS).write_text(json.dumps(content))


def test_a_running_stage_shows_its_rate_and_what_is_left(round, running):
    write_progress(running, done=10, total=40, unit="steps", phase="training")
    stage = shown(round).running
    assert (stage.done, stage.total, stage.phase, stage.rate) == (10, 40, "training", "0.5 steps/s")
    # Ten steps took twenty seconds, so thirty take sixty.
    assert stage.remaining_seconds == pytest.approx(60, abs=1)


def test_a_slow_stage_shows_seconds_a_step(round, running):
    write_progress(running, done=1, total=4, unit="steps", phase="training")
    assert shown(round).running.rate == "20 s a step"


def test_a_stage_that_was_resumed_is_as_fast_as_what_it_did_since(round, running):
    write_progress(running, done=30, total=40, unit="steps", phase="training", begun_at=20)
    stage = shown(round).running
    # Ten steps took twenty seconds; the twenty before them were an earlier attempt's.
    assert (stage.rate, stage.share) == ("0.5 steps/s", 0.75)
    assert stage.remaining_seconds == pytest.approx(20, abs=1)


def test_a_stage_that_is_starting_has_neither(round, running):
    stage = shown(round).running
    assert (stage.rate, stage.remaining, stage.done) == ("", "", 0)


def test_each_stage_counts_the_same_in_the_rounds_bar(round, running):
    write_progress(running, done=20, total=40, unit="steps", phase="training")
    share_of_one = 100 / round.stages.count()
    assert shown(round).percent == pytest.approx(share_of_one / 2, abs=0.5)


def test_a_stage_whose_worker_was_lost_waits_with_its_round(round, running):
    round.put_back()
    stage = shown(round).stages[0]
    assert stage.state == StageState.PENDING
    assert not stage.is_running


def test_a_run_directory_that_is_gone_leaves_the_states(round, running):
    running.run_dir.rmdir()
    assert shown(round).running.done == 0


def test_a_progress_file_that_is_no_json_does_not_break_the_page(round, running):
    (running.run_dir / files.PROGRESS).write_text("{broken\n")
    assert shown(round).running.done == 0


def test_a_wish_to_stop_shows_until_the_round_is_over(round, running):
    assert not shown(round).cancelling
    round.request_cancel()
    assert shown(round).cancelling
    round.end(TaskState.CANCELLED)
    assert not shown(round).cancelling
