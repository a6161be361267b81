"""Two rounds of one schedule, run with the fake stages."""

import pytest

from tests.training.rounds import RECIPE, make_snapshot
from training import actions


@pytest.fixture
def first(round):
    return actions.execute_round(round=round)


@pytest.fixture
def second(first):
    launched = actions.launch_round(
        name="r2",
        base_policy=first.policy,
        snapshot=make_snapshot("july"),
        recipe=RECIPE,
        previous=first,
        enqueue=False,
    )
    return actions.execute_round(round=launched)
