"""Signs of life while a worker's own process is busy."""

import time

import pytest

from training.keep_alive import kept_alive
from training.models import TrainingRound

pytestmark = pytest.mark.django_db(transaction=True)


def heartbeat(round):
    return TrainingRound.objects.get(pk=round.pk).heartbeat_at


def test_the_row_shows_signs_of_life_while_the_block_works_and_none_after(round):
    round.take()
    before = heartbeat(round)
    with kept_alive(round, every_seconds=0.02):
        deadline = time.monotonic() + 20
        while heartbeat(round) == before:
            assert time.monotonic() < deadline, "no heartbeat came"
    after = heartbeat(round)
    time.sleep(0.1)
    assert heartbeat(round) == after


def test_a_block_that_fails_ends_the_heartbeat_too(round):
    round.take()
    with pytest.raises(ZeroDivisionError), kept_alive(round, every_seconds=0.02):
        raise ZeroDivisionError
    after = heartbeat(round)
    time.sleep(0.1)
    assert heartbeat(round) == after
