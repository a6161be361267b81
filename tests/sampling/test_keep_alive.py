"""Signs of life while a worker's own process is busy."""

import time

import pytest

from sampling import actions
from sampling.keep_alive import kept_alive
from sampling.models import SamplingRun

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def run(prompt_set, policy) -> SamplingRun:
    run = actions.create_sampling_run(prompt_set=prompt_set, policies=[policy], enqueue=False)
    run.take()
    return run


def heartbeat(run: SamplingRun):
    return SamplingRun.objects.get(pk=run.pk).heartbeat_at


def test_the_row_shows_signs_of_life_while_the_block_works_and_none_after(run):
    before = heartbeat(run)
    with kept_alive(run, every_seconds=0.02):
        deadline = time.monotonic() + 20
        while heartbeat(run) == before:
            assert time.monotonic() < deadline, "no heartbeat came"
    after = heartbeat(run)
    time.sleep(0.1)
    assert heartbeat(run) == after


def test_a_block_that_fails_ends_the_heartbeat_too(run):
    with pytest.raises(ZeroDivisionError), kept_alive(run, every_seconds=0.02):
        raise ZeroDivisionError
    after = heartbeat(run)
    time.sleep(0.1)
    assert heartbeat(run) == after


def test_the_block_can_see_that_somebody_wants_it_to_stop(run):
    with kept_alive(run, every_seconds=0.02) as unwanted:
        assert not unwanted.is_set()
        actions.cancel(run=run)
        assert unwanted.wait(20)


def test_each_beat_stores_how_far_the_work_is(run):
    with kept_alive(run, every_seconds=0.02, progress=lambda: {"phase": "halfway", "done": 5}):
        deadline = time.monotonic() + 20
        while SamplingRun.objects.get(pk=run.pk).phase != "halfway":
            assert time.monotonic() < deadline, "no progress came"
    assert SamplingRun.objects.get(pk=run.pk).done == 5
